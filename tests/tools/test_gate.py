"""Does a call happen only where it may, exactly once, and only as it was approved?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crews.errors import ModelAuthError, StopRun, TapeMismatch, Waiting
from crews.records import inbox
from crews.safety.action import Standing
from crews.teams.spec import Match, Rule
from crews.tools import workspace
from crews.tools.base import (
    NeedsReview,
    ToolContext,
    ToolError,
    ToolResult,
)
from crews.tools.files import EditFile, WriteFile, WriteFileArgs
from tests.records import builders
from tests.tools.bench import Bench, Words, laid_out, probe, rule, ruled


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


# -- allow, deny, and what cannot be judged -------------------------------------------------------


def test_what_is_allowed_runs_once_and_every_step_is_on_record(bench: Bench) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe", text="hello"), tool)
    assert (row.state, row.result, row.is_error, row.ruling) == ("done", "hello", False, "allow")
    assert tool.runs == [row.address]
    assert row.started_at is not None and row.ended_at is not None
    assert bench.kinds() == ["verdict", "effect_started", "effect_ended"]
    assert [s for s, _ in bench.told] == ["started", "done"]


def test_a_finished_call_is_not_touched_again(bench: Bench) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe"), tool)
    assert bench.settle(row, tool) == row
    assert bench.taken_over().settle(row, tool) == row
    assert len(tool.runs) == 1


def test_started_is_committed_before_the_effect(bench: Bench) -> None:
    call = bench.propose("probe")
    seen: list[str] = []

    def look(args: Words, context: ToolContext) -> str:
        del args, context
        seen.append(bench.now(call).state)
        return ""

    bench.settle(call, probe(act=look))
    assert seen == ["started"]


def test_what_policy_denies_does_not_run(bench: Bench) -> None:
    tool = probe()
    row = ruled(bench, rule("deny")).settle(bench.propose("probe"), tool)
    assert (row.state, row.ruling, row.rule, row.is_error) == ("denied", "deny", "deny-it", True)
    assert "deny-it" in row.result
    assert tool.runs == []
    assert bench.kinds() == ["verdict", "refused"]


def test_a_tool_that_was_not_granted_does_not_exist(bench: Bench) -> None:
    row = bench.settle(bench.propose("other"), probe())
    assert (row.state, row.rule) == ("denied", "not-granted")
    assert "Yours are: probe" in row.result


@pytest.mark.parametrize(
    ("arguments", "place"),
    [({"text": 5}, "text"), ({"words": "x"}, "words"), ({"times": "often"}, "times")],
)
def test_arguments_that_are_not_right_are_explained(
    bench: Bench, arguments: dict[str, Any], place: str
) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe", **arguments), tool)
    assert row.state == "failed"
    assert f"- {place}: " in row.result
    assert tool.runs == []


def test_what_can_never_work_is_not_even_asked_about(bench: Bench) -> None:
    row = ruled(bench, rule("ask")).settle(bench.propose("probe", text="impossible"), probe())
    assert (row.state, row.result) == ("failed", "that can never work")


def test_nobody_is_asked_where_the_files_are_more_than_anybody_can_look_through(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question would be about what they hold. The agent is told, and can make room."""
    monkeypatch.setattr(workspace, "MOST_BYTES", 10)
    tool = probe("external")
    bench.workspace.write_text("large", "x" * 100)
    row = bench.settle(bench.propose("probe"), tool)
    assert (row.state, row.is_error, tool.runs) == ("failed", True, [])
    assert "delete what is not needed" in row.result
    bench.workspace.write_text("large", "x")
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "approve")
    bench.workspace.write_text("large", "x" * 100)
    row = bench.settle(bench.now(call), tool)
    assert (row.state, tool.runs) == ("failed", [])


def test_what_cannot_be_known_beforehand_is_denied(bench: Bench) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe", text="unclear"), tool)
    assert (row.state, tool.runs) == ("denied", [])


def test_an_error_of_the_judge_is_a_denial(bench: Bench) -> None:
    tool = probe()
    call = bench.propose("probe")

    def standing() -> Standing:
        raise LookupError("the run's row is gone")

    seat = replace(bench.seat(tool), standing=standing)
    row = asyncio.run(bench.gate().settle(call, seat))
    assert (row.state, row.rule, tool.runs) == ("denied", "judge-error", [])


def test_a_tool_that_breaks_is_told_to_the_model(bench: Bench) -> None:
    def fail(args: Words, context: ToolContext) -> str:
        del context
        raise ToolError("not there") if args.text == "kindly" else ZeroDivisionError("oh")

    kindly = bench.settle(bench.propose("probe", text="kindly"), probe(act=fail))
    assert (kindly.state, kindly.result, kindly.is_error) == ("failed", "not there", True)
    badly = bench.settle(bench.propose("probe", text="badly"), probe(act=fail))
    assert (badly.state, badly.result) == ("failed", "The tool broke: ZeroDivisionError: oh")


@pytest.mark.parametrize("error", [ModelAuthError("no key"), TapeMismatch("another request")])
def test_what_no_agent_can_act_on_stops_the_run_and_the_call_keeps_its_place(
    bench: Bench, error: Exception
) -> None:
    """A delegation is a call too: its model's refused key is nothing to tell the supervisor."""
    broken: list[Exception] = [error]

    def work(args: Words, context: ToolContext) -> str:
        del args, context
        if broken:
            raise broken.pop()
        return "handed over"

    tool, call = probe(act=work), bench.propose("probe")
    with pytest.raises(type(error)):
        bench.settle(call, tool)
    assert bench.now(call).state == "started"
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, len(tool.runs)) == ("done", "handed over", 2)


# -- asking ---------------------------------------------------------------------------------------


def asking(bench: Bench) -> Bench:
    return ruled(bench, rule("ask"))


def test_what_policy_asks_about_waits_without_running(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ship")
    review = bench.waits(call, tool)
    assert (review.kind, review.rule, review.agent) == ("action", "ask-it", "ann")
    assert review.about["command"] == "ship"
    row = bench.now(call)
    assert (row.state, row.ruling) == ("waiting", "ask")
    with pytest.raises(Waiting):
        bench.taken_over().settle(row, tool)
    assert tool.runs == []
    assert len(inbox.list_reviews(bench.store, state=None)) == 1


def test_approved_it_runs(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ship")
    bench.decide(bench.waits(call, tool), "approve")
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, len(tool.runs)) == ("done", "ship", 1)


def test_rejected_it_does_not_and_the_agent_is_told_why(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "reject", answer="not on a Friday")
    row = bench.settle(bench.now(call), tool)
    assert row.state == "denied"
    assert "<human>not on a Friday</human>" in row.result
    assert tool.runs == []


def test_edited_it_runs_as_the_human_wrote_it(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ship")
    bench.decide(bench.waits(call, tool), "edit", edit={"text": "ship --dry-run"})
    row = bench.settle(bench.now(call), tool)
    told = 'A human changed the arguments: <human>{"text":"ship --dry-run"}</human>\nship --dry-run'
    assert (row.state, row.result) == ("done", told)
    assert row.args == {"text": "ship --dry-run"}


def test_an_edit_is_judged_again(bench: Bench) -> None:
    never = Rule(name="never", when=Match(content=("regex:rm -rf",)), ruling="deny", reason="no")
    tool, bench = probe(), ruled(bench, rule("ask"), never)
    call = bench.propose("probe", text="ls")
    bench.decide(bench.waits(call, tool), "edit", edit={"text": "rm -rf /"})
    row = bench.settle(bench.now(call), tool)
    assert (row.state, row.rule, tool.runs) == ("denied", "never", [])


def test_who_decides_one_rule_s_question_writes_nothing_that_another_rule_asks_about(
    bench: Bench,
) -> None:
    live = Rule(name="live", when=Match(content=("regex:prod",)), ruling="ask", role="security")
    tool, bench = probe(), ruled(bench, rule("ask"), live)
    call = bench.propose("probe", text="ship test")
    first = bench.waits(call, tool)
    assert first.role == ""
    bench.decide(first, "edit", edit={"text": "ship prod"})
    second = bench.waits(bench.now(call), tool)
    assert (second.id != first.id, second.role) == (True, "security")
    assert (second.about["arguments"], tool.runs) == ({"text": "ship prod"}, [])
    bench.decide(second, "approve")
    row = bench.settle(bench.now(call), tool)
    assert (row.state, tool.runs) == ("done", [call.address])
    assert row.result.startswith("A human changed the arguments")


def test_an_approval_is_void_where_another_rule_asks_by_now(bench: Bench) -> None:
    dear = Rule(name="dear", when=Match(cost_above=Decimal(1)), ruling="ask", role="finance")
    tool, bench = probe(), ruled(bench, rule("ask"), dear)
    call = bench.propose("probe", text="ship")
    first = bench.waits(call, tool)
    bench.decide(first, "approve")
    bench.spent = Decimal(2)
    second = bench.waits(bench.now(call), tool)
    assert (second.role, tool.runs) == ("finance", [])
    assert inbox.get_review(bench.store, first.id).state == "void"
    bench.decide(second, "approve")
    assert bench.settle(bench.now(call), tool).state == "done"


def test_an_edit_that_does_not_fit_the_tool_is_explained(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ls")
    bench.decide(bench.waits(call, tool), "edit", edit={"txt": "x"})
    row = bench.settle(bench.now(call), tool)
    assert (row.state, tool.runs) == ("failed", [])


def test_stop_ends_the_run(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "stop")
    with pytest.raises(StopRun, match="stopped by eve"):
        bench.settle(bench.now(call), tool)
    assert tool.runs == []


def test_an_approval_is_void_when_what_it_was_about_has_changed(bench: Bench) -> None:
    bench = ruled(bench, rule("ask", "write"))
    tool = EditFile()
    call = bench.propose("edit_file", path="a.txt", old="one", new="two")
    review = bench.waits(call, tool)
    bench.decide(review, "approve")
    bench.workspace.write_text("a.txt", "one and more\n")
    again = bench.waits(bench.now(call), tool)
    assert inbox.get_review(bench.store, review.id).state == "void"
    assert again.id != review.id
    assert again.content_hash != review.content_hash
    bench.decide(again, "approve")
    assert bench.settle(bench.now(call), tool).state == "done"
    assert bench.workspace.read_text("a.txt") == "two and more\n"


def test_an_approval_is_void_when_the_team_has_changed(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    review = bench.waits(call, tool)
    bench.decide(review, "approve")
    other = replace(bench, team_hash="another")
    assert other.waits(bench.now(call), tool).id != review.id
    assert tool.runs == []


def test_what_policy_refuses_meanwhile_no_approval_lets_through(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "approve")
    row = ruled(bench, rule("deny")).settle(bench.now(call), tool)
    assert (row.state, tool.runs) == ("denied", [])


def test_a_tool_can_ask_its_own_question_and_go_on_with_the_answer(bench: Bench) -> None:
    def ask(args: Words, context: ToolContext) -> str:
        raise NeedsReview(builders.question("question", address=context.call, title=args.text))

    tool = probe(act=ask)
    call = bench.propose("probe", text="left or right?")
    review = bench.waits(call, tool)
    assert review.title == "left or right?"
    bench.decide(review, "answer", answer="again")
    second = bench.waits(bench.now(call), tool)
    bench.decide(second, "answer", answer="left")
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result) == ("done", "heard: left")
    assert (len(tool.runs), tool.decisions) == (1, ["answer", "answer"])


def test_what_is_put_with_the_change_set_goes_on_now(bench: Bench) -> None:
    bench = ruled(bench, rule("ask", "write", at="change_set"))
    row = bench.settle(bench.propose("write_file", path="b.txt", content="b\n"), WriteFile())
    assert (row.state, row.ruling, row.review) == ("done", "ask", "")
    assert bench.workspace.read_text("b.txt") == "b\n"


def test_a_write_is_bound_to_what_was_judged(bench: Bench) -> None:
    class Overtaken(WriteFile):
        async def run(self, args: WriteFileArgs, context: ToolContext) -> ToolResult:
            (bench.workspace.root / "a.txt").write_text("another agent's\n", encoding="utf-8")
            return await super().run(args, context)

    row = bench.settle(bench.propose("write_file", path="a.txt", content="mine\n"), Overtaken())
    assert (row.state, row.is_error) == ("failed", True)
    assert "has changed since this call was judged" in row.result
    assert bench.workspace.read_text("a.txt") == "another agent's\n"
