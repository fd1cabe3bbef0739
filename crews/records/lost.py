"""Which runs have lost their owner, and which are ready to be worked on? What a worker looks for, every second."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, tuple_, update

from crews.records import audit
from crews.records.leaving import close_questions
from crews.records.owner import this_process
from crews.records.rows import RunRow, row_as
from crews.records.runs import zombie
from crews.records.store import Store
from crews.records.tables import calls, runs
from crews.records.workers import alive

MOST_DEATHS = 20
"""Owners that may die in a row without any progress, before the run is given up."""
PAGE = 200
"""Queued runs that are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Some of the runs that are ready."""

    runs: tuple[RunRow, ...]
    more: RunRow | None
    """Others stand behind this one; None: that was all."""


def rest_after(deaths: int) -> float:
    """Seconds before a run is begun again whose owners died so often without getting any further."""
    return min(60.0, 2.0 ** (deaths - 4)) if deaths > 3 else 0.0


def lost_runs(store: Store, home: str) -> tuple[RunRow, ...]:
    """Runs whose owner has died or fallen silent, oldest first; by index, whatever else the journal holds."""
    query = select(runs).where(runs.c.status == "running", runs.c.home.in_((home, "")))
    with store.reading() as connection:
        found = [row_as(RunRow, row) for row in connection.execute(query)]
        return tuple(row for row in found if not alive(connection, row.owner))


def own_runs(store: Store) -> tuple[RunRow, ...]:
    """Runs that are in this process' name."""
    query = select(runs).where(runs.c.owner == this_process(), runs.c.status == "running")
    with store.reading() as connection:
        return tuple(row_as(RunRow, row) for row in connection.execute(query))


def release_lost(store: Store, lost: RunRow, *, own: bool = False) -> RunRow | None:
    """Take a run from its dead owner and queue it; the epoch moves on, so that a frozen one writes nothing more.

    A run whose owners die again and again without getting any further is failed instead.

    Args:
        store: The journal.
        lost: The run, as it was found.
        own: It is this process' own, which knows that nothing of it works on the run any more.

    Returns:
        The run as it stands then; None: somebody else was quicker, or the owner is back.
    """
    with store.writing() as connection:
        mine = runs.c.id == lost.id
        row = row_as(RunRow, connection.execute(select(runs).where(mine)).one())
        if (row.status, row.owner, row.epoch) != (lost.status, lost.owner, lost.epoch):
            return None
        if not own and alive(connection, row.owner):
            return None
        reached = _reached(connection, row)
        deaths = row.deaths + 1 if row.deaths and reached == row.deaths_at else 1
        values: dict[str, object] = {
            "owner": "", "left_by": zombie(row), "epoch": row.epoch + 1, "deaths": deaths, "deaths_at": reached,
            "status": "queued",
        }  # fmt: skip
        if row.stop_asked:
            values |= _ended("stopped", "stopped by a human")
        elif deaths >= MOST_DEATHS:
            values |= _ended("failed", f"{deaths} processes in a row died at the same place")
        connection.execute(update(runs).where(mine).values(**values))
        if row.stop_asked:
            close_questions(connection, row.id)
        audit.append(connection, row.id, "owner_lost", {"owner": row.owner, "deaths": deaths})
        return row_as(RunRow, connection.execute(select(runs).where(mine)).one())


def _ended(status: str, reason: str) -> dict[str, object]:
    return {"status": status, "reason": reason, "exit_code": 1, "ended_at": time.time()}


def _reached(connection: Connection, row: RunRow) -> int:
    """How far the run has come: requests answered and calls ended."""
    ended = (calls.c.run == row.id) & calls.c.ended_at.is_not(None)
    query = select(func.count()).select_from(calls).where(ended)
    return row.turns + int(connection.execute(query).scalar_one())


def ready_runs(store: Store, home: str, limit: int = PAGE, after: RunRow | None = None) -> Ready:
    """Queued runs that nobody keeps for himself, in the order in which they are to be worked on.

    A run that a person interrupted waits for that person to go on with it.

    Args:
        store: The journal.
        home: The folder of runs.
        limit: Most rows that are looked at.
        after: Look at those behind this run; None: from the first one.
    """
    place = tuple_(runs.c.priority, runs.c.created_at, runs.c.id)
    query = (
        select(runs)
        .where(runs.c.status == "queued", runs.c.home.in_((home, "")))
        .where(runs.c.reason != "interrupted")
        .order_by(runs.c.priority, runs.c.created_at, runs.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(place > (after.priority, after.created_at, after.id))
    with store.reading() as connection:
        found = [row_as(RunRow, row) for row in connection.execute(query)]
        free = tuple(row for row in found if not alive(connection, row.owner))
    return Ready(free, found[-1] if len(found) == limit else None)


def note_on_queued(store: Store, run: str, reason: str) -> None:
    """Say why a run that is ready does not go on; its next activation takes that back."""
    with store.writing() as connection:
        mine = (runs.c.id == run) & (runs.c.status == "queued")
        connection.execute(update(runs).where(mine).values(reason=reason))
