"""Is a hand-over that claims what no call bears out flagged, and an honest one left alone?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from crews.records.rows import CallRow, CallState, HandOver
from crews.runtime.flags import flags_of
from crews.runtime.handing import HandOverTool, ReviewTool
from crews.tools.files import EditFile, ReadFile
from crews.tools.gate import AnyTool

TOOLS: dict[str, AnyTool] = {t.name: t for t in (ReadFile(), EditFile(), HandOverTool())}
HONEST = HandOver(summary="Done.", changes=("a.txt",), evidence=("0.0", "1.0"), confidence=0.9)


def call(turn: int, tool: str, effect: str, state: CallState = "done") -> CallRow:
    return CallRow(
        run="r", path="/0.0", turn=turn, place=0, use_id="u", tool=tool, arguments="{}",
        effect=effect, ruling="allow", rule="", reason="", findings="[]", state=state, result="",
        whole_result=None, is_error=False, review="", epoch=1, expected="", started_at=None,
        ended_at=None,
    )  # fmt: skip


READ, EDIT = call(0, "read_file", "read"), call(1, "edit_file", "write")
END = call(2, "hand_over", "read")


def found(outcome: HandOver, *calls: CallRow, ending: str = "hand_over") -> list[str]:
    return flags_of(outcome, calls, TOOLS, ending)


def test_an_honest_hand_over_has_no_flags() -> None:
    assert found(HONEST, READ, EDIT, END) == []


def test_work_without_a_call_is_flagged() -> None:
    assert any("without one successful" in f for f in found(HandOver(summary="Done."), END))
    failed = replace(READ, state="failed")
    assert any("without one successful" in f for f in found(HandOver(summary="Done."), failed))


@pytest.mark.parametrize("state", ["denied", "failed"])
def test_changes_without_a_call_that_changes_are_flagged(state: CallState) -> None:
    flags = found(HONEST, READ, replace(EDIT, state=state), END)
    assert flags == ["it claims changes, but no call of it changed anything"]


def test_a_command_may_have_made_the_changes() -> None:
    assert found(HONEST, READ, call(1, "run_command", "execute"), END) == []


def test_an_approval_of_what_was_not_looked_at_is_flagged() -> None:
    approval = HandOver(summary="Fine.", verdict="approve", confidence=1.0)
    tools = {**TOOLS, "hand_over": ReviewTool()}
    flags = flags_of(approval, [END], tools, "hand_over")
    assert "it approved without having looked at anything" in flags
    assert flags_of(approval, [READ, END], tools, "hand_over") == []


def test_evidence_that_does_not_exist_is_flagged_by_name() -> None:
    outcome = replace_evidence("0.0", "see 7.3 and 1.0")
    assert found(outcome, READ, EDIT, END) == ["its evidence names calls that do not exist: 7.3"]


def test_changes_without_evidence_are_flagged() -> None:
    assert found(replace_evidence(), READ, EDIT, END) == ["it gives no evidence for its changes"]


def test_an_end_that_the_engine_made_is_flagged() -> None:
    outcome = HandOver(summary="[ended by the engine after 9 turns without a hand-over]")
    assert "it made no hand-over of its own" in found(outcome, READ)


def test_who_just_answers_claims_nothing() -> None:
    assert found(HandOver(summary="42"), ending="") == []


def replace_evidence(*evidence: str) -> HandOver:
    return HONEST.model_copy(update={"evidence": evidence})
