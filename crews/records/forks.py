"""What of a run does a fork of it take over, and how is that written down? Nothing of it is paid for again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import JsonValue
from sqlalchemy import insert, select

from crews.errors import UsageError
from crews.records import audit, vault
from crews.records.questions import ReviewRow
from crews.records.rows import (
    FINISHED_CALL,
    CallRow,
    RunRow,
    ThreadRow,
    TurnRow,
    child_path,
    row_as,
)
from crews.records.runs import note_created
from crews.records.store import Store
from crews.records.tables import calls, reviews, runs, threads, turns

_OF_THE_MOMENT = frozenset({"budget", "model"})
"""Kinds of reviews that speak of what a run had spent, or could not reach: a fork has spent nothing yet."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one run: all of them, or what a fork takes over."""

    threads: tuple[ThreadRow, ...]
    turns: tuple[TurnRow, ...]
    calls: tuple[CallRow, ...]
    reviews: tuple[ReviewRow, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A turn of a thread: what came before it is taken over, the turn itself is asked for again."""

    thread: str
    turn: int

    def __str__(self) -> str:
        return f"{self.turn}" if self.thread == "/" else f"{self.thread}:{self.turn}"


def rows_of(store: Store, run: str) -> Rows:
    """Every row of a run's threads and reviews, each in its order."""
    with store.reading() as connection:

        def read(kind: Any, table: Any, *order: Any) -> Any:
            found = connection.execute(select(table).where(table.c.run == run).order_by(*order))
            return tuple(row_as(kind, row) for row in found)

        return Rows(
            read(ThreadRow, threads, threads.c.started_at, threads.c.path),
            read(TurnRow, turns, turns.c.path, turns.c.turn),
            read(CallRow, calls, calls.c.path, calls.c.turn, calls.c.place),
            read(ReviewRow, reviews, reviews.c.number),
        )


def answered_at(rows: Rows, place: Place) -> float:
    """When the model gave the answer that is asked for again: what had happened by then is taken over.

    Raises:
        UsageError: there is no such thread or turn, or no fork can begin there.
    """
    thread = next((t for t in rows.threads if t.path == place.thread), None)
    if thread is None:
        known = ", ".join(t.path for t in rows.threads if t.kind != "brief")
        raise UsageError(
            f"the run has no thread `{place.thread}`", hint=f"it has: {known or 'none'}"
        )
    if thread.kind == "brief":
        raise UsageError(f"thread `{place.thread}` is a brief on a question",
                         hint="fork at the turn that led to the question")  # fmt: skip
    mine = [t for t in rows.turns if t.path == place.thread]
    found = next((t for t in mine if t.turn == place.turn), None)
    if found is None:
        last = max((t.turn for t in mine), default=-1)
        told = f"its turns are 0 to {last}" if last >= 0 else "no model has answered in it yet"
        raise UsageError(f"thread `{place.thread}` has no turn {place.turn}", hint=told)
    return found.ended_at


# -- what is taken over ---------------------------------------------------------------------------


def taken_over(rows: Rows, place: Place) -> Rows:
    """The part of a run's rows with which a fork begins; they still carry the old run's id.

    That is: the thread's turns before the place with their calls; the threads above it up to the call
    that leads here; every delegation that one of those calls made and finished; and the team's other
    tasks that had been finished by then. All else is begun again.

    Raises:
        UsageError: see `answered_at`.
    """
    until = answered_at(rows, place)
    line = dict(_line(rows, place))
    kept_calls: list[CallRow] = []
    kept_threads: list[ThreadRow] = []
    ended: set[str] = set()
    # A thread's path is longer than that of the thread that opened it.
    for thread in sorted(rows.threads, key=lambda t: len(t.path)):
        mine = [c for c in rows.calls if c.path == thread.path]
        if (end := line.get(thread.path)) is not None:
            kept_threads.append(_reopened(thread))
            mine = [again for c in mine if (again := _at_end(c, end, until)) is not None]
        elif _finished(thread, ended, until):
            kept_threads.append(_paid(thread))
        else:
            continue
        kept_calls += mine
        ended |= {child_path(c.path, c.turn, c.place) for c in mine if c.state in FINISHED_CALL}
    paths = {t.path for t in kept_threads}
    whole = paths - line.keys()
    return Rows(
        tuple(sorted(kept_threads, key=lambda t: t.started_at)),
        tuple(
            replace(t, money=0, copied=True)
            for t in rows.turns
            if t.path in whole or (t.path in line and t.turn < line[t.path].turns)
        ),
        tuple(kept_calls),
        tuple(_decided(rows.reviews, {c.address for c in kept_calls}, until)),
    )


@dataclass(frozen=True, slots=True)
class _End:
    """Up to where a thread that goes on is taken over."""

    turns: int
    leads_on: tuple[int, int] | None
    """Turn and place of the call that opened the next thread of the line; None: this is the last."""


def _line(rows: Rows, place: Place) -> Iterator[tuple[str, _End]]:
    """The threads that go on: the one of the place, and those above it."""
    by_path = {t.path: t for t in rows.threads}
    path, end = place.thread, _End(place.turn, None)
    while True:
        yield path, end
        if by_path[path].kind == "task":
            return
        above, _, call = path.rpartition("/")
        turn, _, index = call.partition(".")
        path, end = above or "/", _End(int(turn) + 1, (int(turn), int(index)))


def _at_end(call: CallRow, end: _End, until: float) -> CallRow | None:
    """A call of a thread that goes on; None: it is not taken over."""
    if call.turn >= end.turns:
        return None
    if end.leads_on is None or call.turn < end.turns - 1:
        return replace(call, epoch=0)
    if (call.turn, call.place) == end.leads_on:
        return _open(call, state="started")
    if call.state in FINISHED_CALL and _by_then(call.ended_at, until):
        return replace(call, epoch=0)
    nothing = {"ruling": "", "rule": "", "reason": "", "findings": "[]", "review": ""}
    return _open(call, state="proposed", started_at=None, expected="", **nothing)


def _open(call: CallRow, **values: Any) -> CallRow:
    """The call before it had a result."""
    return replace(
        call, result="", whole_result=None, is_error=False, ended_at=None, epoch=0, **values
    )


def _finished(thread: ThreadRow, ended: set[str], until: float) -> bool:
    """Is the thread taken over whole?"""
    if thread.kind == "task":
        return thread.state == "done" and _by_then(thread.ended_at, until)
    # A brief stands beside the call that it is about, with a mark behind the call's place.
    return thread.path.partition("!")[0] in ended


def _by_then(ended_at: float | None, until: float) -> bool:
    return ended_at is not None and ended_at <= until


def _paid(thread: ThreadRow) -> ThreadRow:
    """The thread with nothing used: the run that it comes from has paid for it."""
    return replace(
        thread, tokens=0, money=0, money_known=True, turns=0, calls=0, working_seconds=0.0
    )


def _reopened(thread: ThreadRow) -> ThreadRow:
    return replace(
        _paid(thread), state="open", handover=None, flags="[]", hash_after="", ended_at=None,
        finish_now=False,
    )  # fmt: skip


def _decided(found: Sequence[ReviewRow], kept: set[str], until: float) -> Iterator[ReviewRow]:
    """Reviews of calls that are taken over; a standing approval stood for the run that it was given to."""
    for review in found:
        lasting = review.kind not in _OF_THE_MOMENT and review.decision != "stop"
        by_then = _by_then(review.decided_at, until)
        if review.state == "decided" and review.address in kept and lasting and by_then:
            yield replace(review, scope="")


def compacted_before(store: Store, run: str, place: Place) -> int:
    """Turns whose long results the thread no longer sent when it asked for the turn of the place."""
    found = 0
    for entry in audit.entries(store, run):
        body = json.loads(entry.body)
        if body.get("thread") != place.thread:
            continue
        if entry.kind == "compacted":
            found = int(body["turns"])
        elif entry.kind == "model_request" and body.get("turn") == place.turn:
            return found
    return found


# -- writing it down ------------------------------------------------------------------------------


def write_fork(
    store: Store, run: RunRow, kept: Rows, place: Place, of: str, differences: Sequence[str]
) -> None:
    """Write down a new run with what it takes over, in one transaction.

    Args:
        store: The journal.
        run: The new run's row.
        kept: What it takes over; see `taken_over`.
        place: Where it begins.
        of: The run that it was forked from.
        differences: Why its files are not quite those that there were, as far as known.
    """
    names = {r.id: f"{run.id}-{n}" for n, r in enumerate(kept.reviews, 1)}
    asked = [replace(r, id=names[r.id], number=n) for n, r in enumerate(kept.reviews, 1)]
    made = [replace(c, review=names.get(c.review, "")) for c in kept.calls]
    with store.writing() as connection:
        connection.execute(insert(runs).values(**asdict(run)))
        for table, rows in (
            (threads, kept.threads), (turns, kept.turns), (calls, made), (reviews, asked),
        ):  # fmt: skip
            if rows:
                connection.execute(insert(table), [asdict(row) | {"run": run.id} for row in rows])
        by, origin = run.asked.started_by, run.origin
        note_created(connection, run.id, run.goal, run.spec, by=by, origin=origin)
        audit.append(
            connection,
            run.id,
            "run_forked",
            {
                "of": of,
                "thread": place.thread,
                "turn": place.turn,
                "turns": len(kept.turns),
                "calls": len(kept.calls),
                "reviews": dict[str, JsonValue]((new, old) for old, new in names.items()),
            },
            contents={"differences": list(differences)},
        )


def differences(store: Store, run: str) -> tuple[str, ...]:
    """Why a fork's files are not quite those that there were; empty for any other run."""
    found = [e for e in audit.entries(store, run) if e.kind == "run_forked"]
    if not found:
        return ()
    contents = vault.contents_of(store, run).get(found[0].sequence, {})
    # An older journal has them in the entry itself.
    listed = contents.get("differences", json.loads(found[0].body).get("differences", []))
    return tuple(map(str, listed)) if isinstance(listed, list) else ()
