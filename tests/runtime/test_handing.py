"""Does one structured call end a thread, with a human's consent where the task wants it?"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from crews.records.questions import Brief, ReviewRow
from crews.records.rows import HandOver
from crews.runtime.describing import definition
from crews.runtime.handing import (
    BriefArgs,
    BriefTool,
    HandOverArgs,
    HandOverTool,
    ReviewArgs,
    ReviewTool,
)
from crews.runtime.threads import with_ending
from crews.teams.spec import AgentOversight, AgentSpec, Duty
from crews.tools.base import NeedsReview, ToolContext, ToolError
from crews.tools.copying import make_workspace
from crews.tools.files import EditFile, ReadFile
from crews.tools.gate import AnyTool

DONE: dict[str, Any] = {"summary": "It is done.", "confidence": 0.5}
REJECTED = ReviewArgs.model_validate(DONE | {"verdict": "reject"})


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ToolContext:
    workspace = make_workspace(None, tmp_path_factory.mktemp("run") / "r", 10)
    return ToolContext(
        workspace=workspace, sandbox=None, agent="ann", thread="/1.0", call="/1.0:5.0"
    )


def review(decision: Any, answer: str = "") -> ReviewRow:
    return replace(_REVIEW, decision=decision, answer=answer)


def test_every_ending_ends_its_thread() -> None:
    for tool in (HandOverTool, ReviewTool, BriefTool):
        assert tool.ends_thread
        assert tool.effect == "read"


def test_the_arguments_are_the_hand_over(context: ToolContext) -> None:
    args = HandOverArgs.model_validate(
        {
            **DONE,
            "changes": ["a"],
            "evidence": ["0.0"],
            "open_questions": ["why"],
            "sensitive": ["auth"],
        }
    )
    assert asyncio.run(HandOverTool().run(args, context)).text == "Handed over."
    assert HandOverTool().handover(args) == HandOver(
        summary="It is done.", changes=("a",), evidence=("0.0",), confidence=0.5,
        open_questions=("why",), sensitive=("auth",),
    )  # fmt: skip
    preview = HandOverTool().preview(args, context)
    assert (preview.confidence, preview.stated) == (0.5, ("auth",))


@pytest.mark.parametrize(
    "wrong", [{"confidence": 1.5}, {"confidence": -0.1}, {"summary": ""}, {"verdict": "approve"}]
)
def test_a_workers_hand_over_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        HandOverArgs.model_validate(DONE | wrong)


@pytest.mark.parametrize(
    ("tool", "duty", "told"),
    [
        (ReadFile(), "worker", False),
        (EditFile(), "worker", True),
        (ReadFile(), "reviewer", False),
    ],
)
def test_who_can_only_look_is_not_asked_what_it_changed(
    tool: AnyTool, duty: Duty, told: bool
) -> None:
    agent = AgentSpec(
        name="a", role="r", goal="g", backstory="b", oversight=AgentOversight(duty=duty)
    )
    ending = with_ending(agent, {tool.name: tool})["hand_over"]
    shown = definition(ending)["input_schema"]["properties"]
    assert ("changes" in shown) == told
    assert "sensitive" in shown  # policy may ask a human about what any agent calls so
    given = ending.args.model_validate(
        DONE | {"sensitive": ["auth"]} | ({"verdict": "approve"} if duty == "reviewer" else {})
    )
    assert ending.handover(given).sensitive == ("auth",)


def test_a_reviewer_must_judge_and_say_why_it_rejects(context: ToolContext) -> None:
    with pytest.raises(ValidationError):
        ReviewArgs.model_validate(DONE)
    with pytest.raises(ToolError, match="what must change"):
        asyncio.run(ReviewTool().run(REJECTED, context))
    said = ReviewArgs.model_validate(
        {**DONE, "summary": "a.txt: the second line must go", "verdict": "reject"}
    )
    assert asyncio.run(ReviewTool().run(said, context)).text == "Handed over."
    assert ReviewTool().handover(said).verdict == "reject"


@pytest.mark.parametrize("tool", [HandOverTool(asks=True), ReviewTool(asks=True)])
def test_where_the_task_wants_it_a_human_accepts_the_result(
    tool: HandOverTool, context: ToolContext
) -> None:
    args = ReviewArgs.model_validate(DONE | {"verdict": "approve"})
    with pytest.raises(NeedsReview) as asked:
        asyncio.run(tool.run(args, context))
    question = asked.value.question
    assert (question.kind, question.address) == ("hand_over", "/1.0:5.0")
    assert question.subject["summary"] == "It is done."
    accepted = asyncio.run(tool.decided(args, context, review("approve")))
    assert accepted.text == "Handed over."
    for decision in ("answer", "reject"):
        with pytest.raises(ToolError, match="<human>the tests are missing</human>"):
            asyncio.run(tool.decided(args, context, review(decision, "the tests are missing")))


def test_another_result_is_another_question(context: ToolContext) -> None:
    hashes: set[str] = set()
    for summary in ("one", "two", "三"):
        with pytest.raises(NeedsReview) as asked:
            args = HandOverArgs(summary=summary, confidence=1.0)
            asyncio.run(HandOverTool(asks=True).run(args, context))
        hashes.add(asked.value.question.content_hash)
    assert len(hashes) == 3


def test_a_brief_travels_in_the_hand_over(context: ToolContext) -> None:
    args = BriefArgs(what="w", why="y", risk="high", recommendation="r", checked=("c",))
    assert asyncio.run(BriefTool().run(args, context)).text == "Briefed."
    brief = Brief.model_validate_json(BriefTool().handover(args).summary)
    assert brief == Brief(what="w", why="y", risk="high", recommendation="r", checked=("c",))
    with pytest.raises(ValidationError):
        BriefArgs.model_validate({**args.model_dump(), "risk": "none"})


_REVIEW = ReviewRow(
    id="r-1", run="r", number=1, kind="hand_over", address="/1.0:5.0", agent="ann", title="",
    subject="{}", content_hash="", rule="", reason="", role="", findings="[]", brief=None,
    brief_note="", allowed="[]", state="decided", decision="approve", answer="", edit=None,
    decided_by="eve", opened_at=0.0, decided_at=1.0, four_eyes=False, chain="[]", stage=0,
    due_at=None, remind_at=None, claimed_by="", claimed_until=None, scope="", signed_in="local",
)  # fmt: skip
