"""What can a face be told while a run goes on? One frozen class; a listener is any callable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EventKind = Literal[
    "run_started",
    "run_resumed",
    "run_waiting",
    "run_ended",
    "thread_started",
    "thread_ended",
    "turn_started",
    "turn_ended",
    "call_proposed",
    "call_started",
    "call_ended",
    "review_opened",
    "review_decided",
    "plan_made",
    "budget_breached",
    "compacted",
    "retry",
    "warning",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. Fields that say nothing about a kind keep their defaults."""

    kind: EventKind
    run: str
    at: float
    """Seconds since the epoch."""
    thread: str = ""
    agent: str = ""
    turn: int = -1
    place: int = -1
    tool: str = ""
    state: str = ""
    """New state of the run, thread, call or review."""
    text: str = ""
    """One line for people."""
    review: str = ""
    tokens: int = 0
    money: int | None = 0
    """Nano-dollars of this turn; None: price unknown."""
    run_tokens: int = 0
    run_money: int = 0
    """Nano-dollars of the run so far."""


Listener = Callable[[Event], None]


def silent(_: Event) -> None:
    """The listener of a run that nobody watches."""
