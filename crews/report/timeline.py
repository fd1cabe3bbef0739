"""What happened in a run, step by step? Each step stands below the one it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from crews.plain import one_line
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.questions import ReviewRow
from crews.records.rows import CallRow, ThreadRow, TurnRow, child_path
from crews.records.runs import get_run
from crews.records.store import Store
from crews.report.facts import in_words
from crews.report.money import counted, of_turn

MomentKind = Literal["thread", "turn", "call", "review", "hand_over", "flag"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    kind: MomentKind
    depth: int
    """How far below the run's first thread it stands."""
    at: float | None
    """Seconds since the run was asked for; None: it has no moment of its own."""
    address: str
    agent: str
    title: str
    state: str = ""
    ruling: str = ""
    rule: str = ""
    detail: str = ""
    """A reason, an answer, an error."""


@dataclass(frozen=True, slots=True)
class _Rows:
    since: float
    threads: tuple[ThreadRow, ...]
    turns: dict[str, tuple[TurnRow, ...]]
    calls: tuple[CallRow, ...]
    reviews: tuple[ReviewRow, ...]


def timeline(store: Store, run: str) -> tuple[Moment, ...]:
    """A run as a tree, flattened: a delegation stands below the call that opened it.

    Raises:
        UsageError: there is no such run.
    """
    row = get_run(store, run)
    journal = Journal(store, run, row.epoch)
    threads = journal.threads()
    rows = _Rows(
        # A fork's first threads are older than the fork.
        since=min([row.created_at, *(t.started_at for t in threads)]),
        threads=threads,
        turns={t.path: journal.turns(t.path) for t in threads},
        calls=journal.calls(),
        reviews=list_reviews(store, run=run, state=None),
    )
    return tuple(_all(rows))


def _all(rows: _Rows) -> Iterator[Moment]:
    opened = {child_path(c.path, c.turn, c.place) for c in rows.calls}
    for thread in rows.threads:
        if _opener(thread) not in opened:
            yield from _thread(thread, 0, rows)
    at_a_call = {c.address for c in rows.calls}
    for review in rows.reviews:
        if review.address not in at_a_call:
            yield _review(review, 0, rows)


def _opener(thread: ThreadRow) -> str:
    """Path that the call which opened the thread gives; a brief's has a mark of its own behind it."""
    return thread.path.partition("!")[0]


def _thread(thread: ThreadRow, depth: int, rows: _Rows) -> Iterator[Moment]:
    yield Moment(
        kind="thread",
        depth=depth,
        at=thread.started_at - rows.since,
        address=thread.path,
        agent=thread.agent,
        title=one_line(thread.task),
        state=thread.state,
        detail="" if thread.kind == "delegation" else thread.kind,
    )
    for turn in rows.turns[thread.path]:
        yield from _turn(turn, thread, depth + 1, rows)
    yield from _ending(thread, depth + 1, rows)


def _turn(turn: TurnRow, thread: ThreadRow, depth: int, rows: _Rows) -> Iterator[Moment]:
    spent = f"{counted(turn.tokens, 'token')}, {of_turn(turn.money)}"
    yield Moment(
        kind="turn",
        depth=depth,
        at=turn.ended_at - rows.since,
        address=f"{turn.path}:{turn.turn}",
        agent=thread.agent,
        title=f"turn {turn.turn}: {turn.model}, {spent}",
        state=turn.stop_reason,
        detail=one_line(_said(turn), 200),
    )
    for call in rows.calls:
        if (call.path, call.turn) == (turn.path, turn.turn):
            yield from _call(call, thread, turn, depth + 1, rows)


def _said(turn: TurnRow) -> str:
    """The text of an answer, without its tool calls and its thinking."""
    return " ".join(str(b.get("text", "")) for b in turn.content if b.get("type") == "text")


def _call(
    call: CallRow, thread: ThreadRow, turn: TurnRow, depth: int, rows: _Rows
) -> Iterator[Moment]:
    refused = call.state == "denied" or call.is_error
    yield Moment(
        kind="call",
        depth=depth,
        at=(call.started_at or turn.ended_at) - rows.since,
        address=call.address,
        agent=thread.agent,
        title=f"{call.tool} {short_arguments(call.arguments)}".rstrip(),
        state=call.state,
        ruling=call.ruling,
        rule=call.rule,
        detail=one_line(call.result or call.reason, 200) if refused else "",
    )
    for review in rows.reviews:
        if review.address == call.address:
            yield _review(review, depth + 1, rows)
    below = child_path(call.path, call.turn, call.place)
    for child in rows.threads:
        if _opener(child) == below:
            yield from _thread(child, depth + 1, rows)


def _review(review: ReviewRow, depth: int, rows: _Rows) -> Moment:
    decided = f"{review.decision} by {review.decided_by}" if review.decision else review.state
    return Moment(
        kind="review",
        depth=depth,
        at=review.opened_at - rows.since,
        address=review.id,
        agent=review.agent,
        title=one_line(review.title),
        state=decided if review.state != "void" else f"{decided}, void",
        rule=review.rule,
        detail=one_line(review.answer, 200),
    )


def _ending(thread: ThreadRow, depth: int, rows: _Rows) -> Iterator[Moment]:
    at = None if thread.ended_at is None else thread.ended_at - rows.since
    outcome = thread.outcome
    if outcome is not None:
        yield Moment(
            kind="hand_over",
            depth=depth,
            at=at,
            address=thread.path,
            agent=thread.agent,
            title=one_line(in_words(thread), 200),
            state=outcome.verdict or "",
            detail=f"confidence {outcome.confidence:g}",
        )
    for flag in thread.flagged:
        yield Moment("flag", depth, at, thread.path, thread.agent, one_line(flag, 200))


def short_arguments(arguments: str, width: int = 80) -> str:
    """A call's arguments on one line: `path=src/a.py, old='x = 1'`; long values are cut."""
    try:
        found: object = json.loads(arguments)
    except ValueError:
        return one_line(arguments, width)
    if not isinstance(found, dict):
        return one_line(arguments, width)
    return one_line(", ".join(_pairs(found)), width)  # pyright: ignore[reportUnknownArgumentType]


def _pairs(found: dict[str, object]) -> Sequence[str]:
    # What it is about first: the rest may be cut.
    about = [k for k in ("path", "command", "step") if k in found]
    names = [*about, *(k for k in found if k not in about)]
    return [f"{k}={one_line(_value(found[k]), 48)}" for k in names]


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
