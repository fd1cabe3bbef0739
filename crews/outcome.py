"""What goes into a run from outside, and what comes out of it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

from crews.errors import UsageError
from crews.records.questions import Decision, ReviewRow
from crews.records.rows import RunStatus
from crews.teams.spec import MAX_PRIORITY, SandboxChoice, TeamSpec
from crews.tools.changeset import ChangeSet


@dataclass(frozen=True, slots=True)
class Answer:
    """A human's decision on a review."""

    decision: Decision
    text: str = ""
    """The reason of a rejection, or the answer to a question."""
    edit: dict[str, Any] | None = None
    """What is to be done instead."""


Asker = Callable[[ReviewRow], Answer | None]
"""Puts a review to a human; None leaves it open, and the run waiting."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a run took."""

    turns: int
    calls: int
    tokens: int
    working_seconds: float


@dataclass(frozen=True, slots=True)
class Result:
    """Where a run stands after a kickoff or a resume."""

    run_id: str
    status: RunStatus
    exit_code: int
    """The code with which a command would end; see `crews.errors`."""
    reason: str
    report: str
    """The report in Markdown; what is known so far, if the run has not ended."""
    change_set: ChangeSet
    reviews: tuple[ReviewRow, ...]
    """Every review of the run, oldest first."""
    usage: Usage
    cost: Decimal | None
    """US dollars; None: a model was used whose price is unknown."""

    @property
    def waiting_for(self) -> tuple[ReviewRow, ...]:
        """The reviews that a human must decide before the run goes on."""
        return tuple(r for r in self.reviews if r.state == "open")


@dataclass(frozen=True, slots=True)
class Kickoff:
    """How a run is to be made; see `kickoff` for the fields.

    Raises:
        UsageError: `sandbox`, `model` or `priority` is none that there is.
    """

    goal: str
    team: Path | str | TeamSpec | None = None
    workspace: Path | str | None = None
    inputs: Mapping[str, str] | None = None
    autonomy: int | None = None
    observe: bool = False
    apply: bool = True
    tape: Path | str | None = None
    record: Path | str | None = None
    sandbox: SandboxChoice | None = None
    model: str = ""
    submission: str | None = None
    """Idempotency key: whoever submits it again gets the run that it made."""
    priority: int = 0
    """Lower goes first, 1 to 1000; 0: as the team's policy says."""

    def __post_init__(self) -> None:
        _check(self.sandbox, self.model, self.priority)


def _check(sandbox: object, model: object, priority: object) -> None:
    """Scripts are not always type-checked, and what is wrong here would be found much later."""
    sandboxes = get_args(SandboxChoice)
    if sandbox not in (None, *sandboxes):
        raise UsageError(f"there is no sandbox `{sandbox}`", hint=", ".join(sandboxes))
    if not isinstance(model, str):
        raise UsageError(f"`model` must be a name, not {model!r}")
    if type(priority) is not int or not 0 <= priority <= MAX_PRIORITY:
        raise UsageError(
            f"there is no priority {priority!r}",
            hint=f"1 to {MAX_PRIORITY}, lower goes first; 0: as the team's policy says",
        )
