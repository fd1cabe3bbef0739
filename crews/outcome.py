"""What goes into a run from outside, and what comes out of it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from crews.records.rows import Decision, ReviewRow, RunStatus
from crews.teams.spec import SandboxChoice, TeamSpec
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
    """How a run is to be made; see `kickoff` for the fields."""

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
