"""How does an agent end its thread? By one structured call."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from crews.records.inbox import Question
from crews.records.questions import Brief, ReviewRow
from crews.records.rows import HandOver, ThreadRow
from crews.safety.bounds import LONG_TEXT, MOST_ENTRIES, SHORT_TEXT
from crews.safety.known import ENGINES_OWN
from crews.tools.base import Args, NeedsReview, Preview, Tool, ToolContext, ToolError, ToolResult

Confidence = Annotated[float, Field(ge=0, le=1)]
Entry = Annotated[str, Field(max_length=SHORT_TEXT)]
Sensitive = Annotated[
    tuple[Entry, ...],
    Field(
        max_length=MOST_ENTRIES,
        description="what it touches: auth, permissions, crypto, secrets, sql ...",
    ),
]
"""Free words: a hand-over is not refused for the name of a category."""


class HandOverArgs(Args):
    """What a worker leaves behind."""

    summary: Annotated[str, Field(min_length=1, max_length=LONG_TEXT)]
    changes: Annotated[
        tuple[Entry, ...],
        Field(max_length=MOST_ENTRIES, description="one line each"),
    ] = ()
    evidence: Annotated[
        tuple[Entry, ...],
        Field(max_length=MOST_ENTRIES, description="calls: TURN.INDEX, from 0.0"),
    ] = ()
    confidence: Confidence
    open_questions: Annotated[tuple[Entry, ...], Field(max_length=MOST_ENTRIES)] = ()
    sensitive: Sensitive = ()


class ReviewArgs(HandOverArgs):
    """What a reviewer leaves behind."""

    verdict: Annotated[
        Literal["approve", "reject"], Field(description="of the change as it stands")
    ]


_OF_CHANGES = frozenset({"changes"})


class HandOverTool(Tool[HandOverArgs]):
    """Ends a worker's thread.

    Args:
        asks: A human accepts the result before it counts (`human_input: true` of a task).
        looks: The agent can only look: it has no changes to tell of.
    """

    name = "hand_over"
    description = "End your work: what was done and found."
    effect = "read"
    inner = True
    declared = ENGINES_OWN
    args = HandOverArgs
    ends_thread = True

    def __init__(self, *, asks: bool = False, looks: bool = False) -> None:
        self._asks = asks
        self.unsaid = _OF_CHANGES if looks else frozenset()

    def preview(self, args: HandOverArgs, context: ToolContext) -> Preview:
        """Policy may ask about low confidence, and about what the agent calls sensitive."""
        del context
        return Preview(confidence=args.confidence, stated=args.sensitive)

    async def run(self, args: HandOverArgs, context: ToolContext) -> ToolResult:
        """The end, once a human has accepted it where the task wants that."""
        if self._asks:
            raise NeedsReview(result_question(args.summary, context))
        return ToolResult("Handed over.")

    async def decided(
        self, args: HandOverArgs, context: ToolContext, review: ReviewRow
    ) -> ToolResult:
        """Accepted, or told what is missing."""
        del args, context
        return accepted(review)

    def handover(self, args: HandOverArgs) -> HandOver:
        """The arguments are the hand-over."""
        return HandOver(**args.model_dump())


def stated_in(threads: Iterable[ThreadRow]) -> tuple[str, ...]:
    """What sensitive things those who have handed over say that their work touches."""
    outcomes = (thread.outcome for thread in threads)
    return tuple(dict.fromkeys(word for o in outcomes if o for word in o.sensitive))


def result_question(summary: str, context: ToolContext) -> Question:
    """Does a human accept this result?"""
    return Question(
        kind="hand_over",
        address=context.call,
        agent=context.agent,
        title=f"{context.agent} hands over its result",
        subject={
            "author": context.agent,
            "reviewer": "",
            "rounds": 0,
            "reasons": [],
            "summary": summary,
        },
        content_hash=hashlib.sha256(summary.encode(errors="surrogatepass")).hexdigest(),
        rule="human_input",
        reason="the task wants a human to accept its result",
    )


def accepted(review: ReviewRow) -> ToolResult:
    """What the agent is told of the decision; raises ToolError where it must go on."""
    if review.decision == "approve":
        return ToolResult("Handed over.")
    raise ToolError(f"A human does not accept this yet: <human>{review.answer}</human>")


class ReviewTool(HandOverTool):
    """Ends a reviewer's thread, with a verdict."""

    description = "End your review: approve the change as it stands, or reject it with reasons."
    args = ReviewArgs

    def __init__(self, *, asks: bool = False) -> None:
        super().__init__(asks=asks)
        self.unsaid = frozenset({"changes"})  # what it speaks of is others' work

    async def run(self, args: HandOverArgs, context: ToolContext) -> ToolResult:
        """A rejection without a reason helps nobody."""
        if isinstance(args, ReviewArgs) and args.verdict == "reject" and len(args.summary) < 20:
            raise ToolError("say in `summary` what must change, file by file")
        return await super().run(args, context)


class BriefArgs(Args):
    """What the escalation agent tells the human."""

    what: Annotated[
        str,
        Field(
            min_length=1,
            max_length=SHORT_TEXT,
            description="what is about to happen, in plain words",
        ),
    ]
    why: Annotated[str, Field(max_length=SHORT_TEXT, description="why it was stopped")]
    risk: Literal["low", "medium", "high"]
    checked: Annotated[
        tuple[Entry, ...], Field(max_length=MOST_ENTRIES, description="what you checked")
    ] = ()
    recommendation: Annotated[str, Field(max_length=SHORT_TEXT)]
    unknown: Annotated[
        tuple[Entry, ...], Field(max_length=MOST_ENTRIES, description="what you could not know")
    ] = ()


class BriefTool(Tool[BriefArgs]):
    """Ends the escalation agent's thread."""

    name = "brief"
    description = "End your work: brief the human who must decide."
    effect = "read"
    inner = True
    declared = ENGINES_OWN
    args = BriefArgs
    ends_thread = True

    async def run(self, args: BriefArgs, context: ToolContext) -> ToolResult:
        """Nothing but the end."""
        del args, context
        return ToolResult("Briefed.")

    def handover(self, args: BriefArgs) -> HandOver:
        """The brief travels as JSON in the hand-over's summary."""
        return HandOver(summary=Brief(**args.model_dump()).model_dump_json(), confidence=1.0)
