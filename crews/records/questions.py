"""What does a question to a human hold, as a value, and how can it be answered?"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from crews.teams.spec import Stage

ReviewKind = Literal[
    "action", "change_set", "plan", "budget", "question", "unknown", "hand_over", "model"
]
Decision = Literal["approve", "edit", "reject", "answer", "stop", "escalate"]


class Brief(BaseModel):
    """What the escalation agent tells the human, in its own words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    why: str
    risk: Literal["low", "medium", "high"]
    checked: tuple[str, ...] = ()
    recommendation: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One question to a human."""

    id: str
    run: str
    number: int
    kind: ReviewKind
    address: str
    agent: str
    title: str
    subject: str
    """JSON object: what is asked about; its keys depend on the kind."""
    content_hash: str
    rule: str
    reason: str
    role: str
    findings: str
    brief: str | None
    brief_note: str
    """Why there is no brief, if there is none."""
    allowed: str
    state: Literal["open", "decided", "void"]
    decision: Decision | Literal[""]
    answer: str
    edit: str | None
    decided_by: str
    opened_at: float
    decided_at: float | None
    four_eyes: bool
    """Whoever started the run cannot decide it."""
    chain: str
    """JSON list of `teams.spec.Stage`: who is asked, in which order, for how long."""
    stage: int
    """Where in the chain it stands."""
    due_at: float | None
    """When it is handed up, or denied; None: it waits for as long as it takes."""
    remind_at: float | None
    """When the people of this stage are told again."""
    claimed_by: str
    """Who is looking at it."""
    claimed_until: float | None
    scope: Literal["", "run"]
    """`run`: the approval holds for every such action of the run."""
    signed_in: str
    """How the decider was known: `local`, `login` or `token`; empty: not decided, or by a deadline."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The chain, parsed."""
        from crews.teams.spec import Stage  # a list of reviews is shown without it

        return tuple(Stage.model_validate(one) for one in json.loads(self.chain))

    @property
    def about(self) -> dict[str, Any]:
        """The subject, parsed."""
        return json.loads(self.subject)

    @property
    def choices(self) -> tuple[Decision, ...]:
        """Decisions that this review takes."""
        return tuple(json.loads(self.allowed))

    @property
    def briefing(self) -> Brief | None:
        """The escalation agent's brief, if there is one."""
        return None if self.brief is None else Brief.model_validate_json(self.brief)

    @property
    def edited(self) -> dict[str, Any] | None:
        """What the human wrote instead, parsed."""
        return None if self.edit is None else json.loads(self.edit)


def group_key(review: ReviewRow) -> tuple[str, str]:
    """What open reviews of the same question have in common; of any other review, its own id."""
    if review.kind == "action" and review.state == "open":
        return review.run, review.content_hash
    return review.run, review.id


def claimed_by(review: ReviewRow, now: float) -> str:
    """Who looks at it at this time; empty: nobody."""
    if review.claimed_until is None or review.claimed_until <= now or review.state != "open":
        return ""
    return review.claimed_by
