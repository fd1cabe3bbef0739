"""What can a supervisor do beside planning and delegating? Ask a human, escalate, and finish."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from crews.records import inbox
from crews.records.inbox import Question
from crews.records.questions import ReviewRow
from crews.runtime.delegation import DelegateTool, Worker
from crews.runtime.finishing import FinishTool
from crews.runtime.planning import PlanTool, beside
from crews.runtime.scene import Scene
from crews.safety.bounds import LONG_TEXT, MOST_QUESTIONS, SHORT_TEXT
from crews.safety.known import ENGINES_OWN
from crews.teams.spec import TaskSpec
from crews.tools.base import Args, NeedsReview, Tool, ToolContext, ToolError, ToolResult
from crews.tools.gate import AnyTool


class AskHumanArgs(Args):
    """A question."""

    question: Annotated[str, Field(min_length=1, max_length=SHORT_TEXT)]
    context: Annotated[str, Field(max_length=LONG_TEXT)] = ""


class AskHumanTool(Tool[AskHumanArgs]):
    """Puts a question to a human and waits for the answer."""

    name = "ask_human"
    description = "Ask a human, but only what nobody in the team can know. The run waits."
    effect = "read"
    declared = ENGINES_OWN
    args = AskHumanArgs

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def run(self, args: AskHumanArgs, context: ToolContext) -> ToolResult:
        """Always a review."""
        _check_patience(self._scene)
        raise NeedsReview(_question(args.question, args.context, context, escalated=False))

    async def decided(
        self, args: AskHumanArgs, context: ToolContext, review: ReviewRow
    ) -> ToolResult:
        """The answer, marked as a human's."""
        del args, context
        return ToolResult(f"<human>{review.answer}</human>")


class EscalateArgs(Args):
    """Something that a human must decide."""

    what: Annotated[str, Field(min_length=1, max_length=SHORT_TEXT)]
    why: Annotated[str, Field(max_length=LONG_TEXT)]
    positions: Annotated[
        tuple[Annotated[str, Field(max_length=SHORT_TEXT)], ...],
        Field(
            max_length=MOST_QUESTIONS,
            description="of agents who disagree, one line each",
        ),
    ] = ()


class EscalateTool(Tool[EscalateArgs]):
    """Has the escalation agent brief a human, who decides."""

    name = "escalate"
    description = (
        "Have a human decide what is security-sensitive and unclear, or in dispute. The run waits."
    )
    effect = "read"
    declared = ENGINES_OWN
    args = EscalateArgs

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    async def run(self, args: EscalateArgs, context: ToolContext) -> ToolResult:
        """Always a review, with a brief."""
        _check_patience(self._scene)
        text = "\n".join((args.why, *args.positions))
        raise NeedsReview(_question(args.what, text, context, escalated=True))

    async def decided(
        self, args: EscalateArgs, context: ToolContext, review: ReviewRow
    ) -> ToolResult:
        """The decision, marked as a human's."""
        del args, context
        return ToolResult(f"<human>{review.answer}</human>")


def _check_patience(scene: Scene) -> None:
    """Nobody reads questions without end. Raises ToolError."""
    journal = scene.journal
    asked = inbox.list_reviews(journal.store, run=journal.run, state=None, kind="question")
    if len(asked) >= MOST_QUESTIONS:
        raise ToolError(
            f"{MOST_QUESTIONS} questions were asked in this run: no more. Decide by what you know, or finish "
            "and say what is open."
        )


def _question(text: str, more: str, context: ToolContext, *, escalated: bool) -> Question:
    subject: dict[str, Any] = {"question": text, "context": more}
    if escalated:
        subject["escalated"] = True
    return Question(
        kind="question",
        address=context.call,
        agent=context.agent,
        title=f"{context.agent} asks: {text.partition(chr(10))[0][:120]}",
        subject=subject,
        content_hash=hashlib.sha256(f"{text}\n{more}".encode()).hexdigest(),
        rule="escalated" if escalated else "asked",
        reason="the supervisor escalated this" if escalated else "the supervisor asked",
    )


def supervisor_tools(
    scene: Scene, path: str, own: dict[str, AnyTool], worker: Worker, task: TaskSpec
) -> dict[str, AnyTool]:
    """The supervisor's tools for a task: its own reading ones, and control over the team."""
    control: tuple[AnyTool, ...] = (
        PlanTool(scene.team, partial(beside, scene, path), scene.tools),
        DelegateTool(scene, path, worker),
        AskHumanTool(scene),
        EscalateTool(scene),
        FinishTool(scene, path, asks=task.human_input, output_file=task.output_file),
    )
    reading = {n: t for n, t in own.items() if t.effect == "read"}
    return reading | {t.name: t for t in control}
