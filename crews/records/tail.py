"""What has happened in a run since one last looked? Events from the rows that another process writes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import or_, select

from crews.records.events import Event, EventKind
from crews.records.questions import ReviewRow
from crews.records.rows import CallRow, RunRow, ThreadRow, TurnRow, row_as
from crews.records.runs import run_in
from crews.records.store import Store
from crews.records.tables import calls, reviews, threads, turns

OVERLAP = 2.0
"""Seconds that each look goes back: a row is stamped a little before it is committed."""


@dataclass(slots=True)
class Tail:
    """One watcher of one run; `new` returns each event once."""

    store: Store
    run: str
    _since: float = 0.0
    _told: set[tuple[object, ...]] = field(default_factory=set[tuple[object, ...]])
    _status: str = ""
    _reason: str = ""

    def skip(self) -> None:
        """Take everything up to now as told."""
        self.new()

    def new(self) -> tuple[Event, ...]:
        """What has come since the last look, in order."""
        now = time.time()
        with self.store.reading() as connection:
            row = run_in(connection, self.run)
            since = self._since - OVERLAP
            found = [
                *self._threads(
                    row_as(ThreadRow, one)
                    for one in connection.execute(
                        select(threads).where(
                            threads.c.run == self.run,
                            or_(threads.c.started_at > since, threads.c.ended_at > since),
                        )
                    )
                ),
                *self._turns(
                    row_as(TurnRow, one)
                    for one in connection.execute(
                        select(turns).where(turns.c.run == self.run, turns.c.ended_at > since)
                    )
                ),
                *self._calls(
                    row_as(CallRow, one)
                    for one in connection.execute(
                        select(calls).where(
                            calls.c.run == self.run,
                            or_(calls.c.started_at > since, calls.c.ended_at > since),
                        )
                    )
                ),
                *self._reviews(
                    row_as(ReviewRow, one)
                    for one in connection.execute(
                        select(reviews).where(
                            reviews.c.run == self.run,
                            or_(reviews.c.opened_at > since, reviews.c.decided_at > since),
                        )
                    )
                ),
            ]
            agents = dict(
                connection.execute(
                    select(threads.c.path, threads.c.agent).where(threads.c.run == self.run)
                ).all()
            )
        fresh = [(key, event) for key, event in found if key not in self._told]
        self._told.update(key for key, _ in fresh)
        self._since = now
        events = sorted((_named(event, agents) for _, event in fresh), key=lambda e: e.at)
        return (*self._begun(row), *events, *self._run(row, now))

    def _begun(self, row: RunRow) -> Iterator[Event]:
        """At the first look: that the run has begun, before all that has happened in it since."""
        if self._status == "" and row.started_at is not None and row.status != "queued":
            kind: EventKind = "run_resumed" if row.epoch > 1 else "run_started"
            self._status = "running"
            yield self._told_of_run(kind, row, row.started_at)

    def _run(self, row: RunRow, now: float) -> Iterator[Event]:
        if row.status == "queued" and row.reason and row.reason != self._reason:
            self._reason = row.reason
            yield Event("warning", self.run, now, state=row.status, text=row.reason)
        if row.status == self._status:
            return
        before, self._status = self._status, row.status
        kind: EventKind = "run_ended"
        if row.status == "running":
            kind = "run_resumed" if before == "waiting" or row.epoch > 1 else "run_started"
        elif row.status == "waiting":
            kind = "run_waiting"
        elif row.status == "queued":
            return
        yield self._told_of_run(kind, row, now)

    def _told_of_run(self, kind: EventKind, row: RunRow, at: float) -> Event:
        begins = kind in {"run_started", "run_resumed"}
        return Event(
            kind, self.run, at, state="running" if begins else row.status,
            text=row.goal if begins else row.reason, run_tokens=row.tokens, run_money=row.money,
        )  # fmt: skip

    def _threads(self, found: Iterator[ThreadRow]) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in found:
            yield (
                ("thread", row.path),
                Event("thread_started", self.run, row.started_at, thread=row.path, agent=row.agent,
                      text=row.task),
            )  # fmt: skip
            if row.ended_at is not None:
                outcome = row.outcome
                said = outcome.summary.partition("\n")[0][:200] if outcome else ""
                yield (
                    ("thread", row.path, row.state),
                    Event("thread_ended", self.run, row.ended_at, thread=row.path, agent=row.agent,
                          state=row.state, text=said),
                )  # fmt: skip

    def _turns(self, found: Iterator[TurnRow]) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in found:
            words = [str(b["text"]) for b in json.loads(row.blocks) if b.get("type") == "text"]
            said = "\n".join(words).strip().partition("\n")[0][:200]
            yield (
                ("turn", row.path, row.turn),
                Event("turn_ended", self.run, row.ended_at, thread=row.path, turn=row.turn,
                      tokens=row.tokens, money=row.money, text=said),
            )  # fmt: skip

    def _calls(self, found: Iterator[CallRow]) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in found:
            place = (row.path, row.turn, row.place)
            if row.started_at is not None:
                yield (
                    ("call", *place),
                    Event("call_started", self.run, row.started_at, thread=row.path, turn=row.turn,
                          place=row.place, tool=row.tool, state="started"),
                )  # fmt: skip
            if row.ended_at is not None:
                yield (
                    ("call", *place, row.state),
                    Event("call_ended", self.run, row.ended_at, thread=row.path, turn=row.turn,
                          place=row.place, tool=row.tool, state=row.state,
                          text=row.result.partition("\n")[0][:200]),
                )  # fmt: skip

    def _reviews(self, found: Iterator[ReviewRow]) -> Iterator[tuple[tuple[object, ...], Event]]:
        for row in found:
            thread = row.address.rpartition(":")[0]
            yield (
                ("review", row.id),
                Event("review_opened", self.run, row.opened_at, thread=thread, agent=row.agent,
                      text=row.title, review=row.id),
            )  # fmt: skip
            if row.decided_at is not None:
                yield (
                    ("review", row.id, row.decision),
                    Event("review_decided", self.run, row.decided_at, thread=thread,
                          agent=row.agent, state=row.decision, text=row.title, review=row.id),
                )  # fmt: skip


def _named(event: Event, agents: dict[str, str]) -> Event:
    """Rows of turns and calls do not say whose they are; their thread does."""
    if event.agent or not event.thread:
        return event
    from dataclasses import replace

    return replace(event, agent=agents.get(event.thread, ""))
