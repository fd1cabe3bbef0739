"""Which processes are at work on this journal, and which of them have fallen silent?

Each writes a heartbeat every `BEAT` seconds. One that was silent for `LEASE` seconds has lost its runs,
whether it is dead, frozen or cut off: another takes them over under a new epoch. Times are those of the
database, so that the clocks of several machines need not agree.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from crews.records.owner import host_of, presence
from crews.records.rows import row_as
from crews.records.statement import Prepared
from crews.records.store import Store
from crews.records.tables import workers

BEAT = 1.0
"""Seconds between two heartbeats."""
LEASE = 8.0
"""Seconds of silence after which a process has lost its runs."""
HOLD = 5.0
"""Seconds of silence after which a process itself begins nothing more; well below `LEASE`."""

WorkerKind = Literal["worker", "solo"]
_MINE = workers.c.id == bindparam("b_id")
_BEAT = Prepared(update(workers).where(_MINE))
_BEGIN = Prepared(insert(workers))
_LEAVE = Prepared(delete(workers).where(_MINE))
_LAST = Prepared(select(workers.c.beat_at).where(_MINE))


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One process at work."""

    id: str
    kind: WorkerKind
    """`solo`: it works on its own runs only and takes none from the queue."""
    host: str
    home: str
    state: Literal["running", "draining"]
    concurrency: int
    started_at: float
    beat_at: float


def clock(connection: Connection) -> float:
    """Seconds since the epoch, by the clock that every process of this journal shares."""
    if connection.dialect.name != "postgresql":
        return time.time()  # one file, one machine
    now = select(func.extract("epoch", func.clock_timestamp()))
    return float(connection.execute(now).scalar_one())


def beat(
    store: Store,
    me: str,
    *,
    kind: WorkerKind,
    home: str,
    concurrency: int = 1,
    state: Literal["running", "draining"] = "running",
) -> None:
    """Say that this process is alive."""
    with store.writing() as connection:
        now = clock(connection)
        again = {"b_id": me, "beat_at": now, "state": state, "kind": kind}
        if _BEAT.run(connection, again).rowcount:
            return
        first = {
            "id": me, "kind": kind, "host": host_of(me), "home": home, "state": state,
            "concurrency": concurrency, "started_at": now, "beat_at": now,
        }  # fmt: skip
        _BEGIN.run(connection, first)


def leave(store: Store, me: str) -> None:
    """This process works on nothing any more."""
    with store.writing() as connection:
        _LEAVE.run(connection, {"b_id": me})


def alive(connection: Connection, owner: str) -> bool:
    """May that process still write? A silent one may not; one without any heartbeat may while it is there."""
    if not owner:
        return False
    where = presence(owner)
    if where == "gone":
        return False
    last = _LAST.run(connection, {"b_id": owner}).scalar()
    if last is None:
        return where == "here"
    return clock(connection) - last < LEASE


def is_alive(store: Store, owner: str) -> bool:
    """See `alive`."""
    with store.reading() as connection:
        return alive(connection, owner)


def living(store: Store, kind: WorkerKind | None = "worker") -> tuple[WorkerRow, ...]:
    """Processes that are at work now, oldest first."""
    with store.reading() as connection:
        return _living(connection, kind)


def _living(connection: Connection, kind: WorkerKind | None) -> tuple[WorkerRow, ...]:
    since = clock(connection) - LEASE
    query = select(workers).where(workers.c.beat_at > since).order_by(workers.c.started_at)
    if kind is not None:
        query = query.where(workers.c.kind == kind)
    found = tuple(row_as(WorkerRow, row) for row in connection.execute(query))
    return tuple(row for row in found if presence(row.id) != "gone")


def forget_silent(store: Store, after: float = 3600.0) -> None:
    """Remove the rows of processes that have been silent for so many seconds."""
    with store.writing() as connection:
        old = workers.c.beat_at < clock(connection) - after
        connection.execute(delete(workers).where(old))
