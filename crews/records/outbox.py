"""Which notifications are to be sent, which were, and who sends each of them now?

What is to be told is derived from the audit log, whose order is the order of the commits: a mark for
each target and event says how far it was read. So nothing has to remember to tell, a process that
died between a review and its notification loses nothing, and an idle look costs two reads however
many reviews are open.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from crews.records import audit
from crews.records.questions import ReviewRow
from crews.records.rows import ENDED, row_as
from crews.records.store import Store, dump
from crews.records.tables import audit as audit_table
from crews.records.tables import deliveries, meta, reviews, runs
from crews.settings import NotifyEvent, NotifyTarget

LEASE = 60.0
"""Seconds for which a claimed delivery is its claimer's; longer than any attempt may take."""
GIVE_UP = 24 * 3600.0
"""Seconds after which a delivery that never succeeded has failed."""
BATCH = 10
"""Deliveries of one target that are claimed at once."""
SCAN = 500
"""Audit entries that are read at once."""
BEHIND = 1000
"""Entries that a mark may lag behind before it is moved for its own sake."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
"""Seconds between attempts: the first pause, doubled each time, up to the longest."""

CHECKPOINT: Final = "checkpoint"
"""What a delivery is that is no notification, but a copy of the audit log's checkpoint."""
DeliveryKind = NotifyEvent | Literal["checkpoint"]
DeliveryState = Literal["due", "sent", "failed", "dropped"]
"""`dropped`: the review was decided before anybody was told."""

_KINDS: Mapping[NotifyEvent, tuple[str, ...]] = {
    "review_opened": ("review_opened",),
    "run_ended": ("run_released", "run_failed", "run_stopped", "stop_asked", "owner_lost"),
}
"""Audit entries after which the event may have come about; whether it has, the rows say."""


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One notification to one target."""

    id: str
    """The same for each attempt: receivers can tell a repetition by it."""
    run: str
    review: str
    """Empty: it is about the run."""
    kind: DeliveryKind
    target: str
    """Name of the target; its address is in nobody's journal."""
    body: str
    """What was sent, as JSON; empty before the first attempt."""
    state: DeliveryState
    attempts: int
    due_at: float
    """Of a `due` one: when it is tried next, or when the lease of whoever tries it now ends."""
    error: str
    created_at: float
    sent_at: float | None


def put(
    connection: Connection,
    targets: Mapping[str, NotifyTarget],
    review: ReviewRow,
    kind: str,
    now: float,
) -> int:
    """Have a review's event told, in the transaction that makes it come about; returns how many are new.

    A `kind` that is no `NotifyEvent` is told to nobody.
    """
    mark = f"{review.stage}/{review.remind_at}"
    rows = (
        _new(event, name, review.run, review.id, mark, now)
        for name, target in targets.items()
        for event in target.events
        if event == kind
    )
    return _insert(connection, rows)


def collect(store: Store, targets: Mapping[str, NotifyTarget], now: float) -> int:
    """Write down what is to be told of reviews that were opened and runs that ended; returns how many are new.

    Safe in any number of processes. A target that is new is told of every review that is open, and of
    runs that end from now on.
    """
    return sum(
        _collect(store, event, [n for n, t in targets.items() if event in t.events], now)
        for event in _KINDS
    )


def _collect(store: Store, event: NotifyEvent, names: list[str], now: float) -> int:
    made = 0
    more = bool(names)
    while more:
        with store.reading() as connection:
            last = connection.execute(select(func.max(audit_table.c.sequence))).scalar() or 0
            marks = _marks(connection, event, names)
            start = min(marks.get(name, _first(event, last)) for name in names)
            found = _entries(connection, event, start) if last > start else []
        more = len(found) == SCAN
        until = found[-1].sequence if more else max(last, start)
        if found or len(marks) < len(names) or until - start >= BEHIND:
            with store.writing() as connection:
                made += _write(connection, event, names, found, until, now)
    return made


def _first(event: NotifyEvent, last: int) -> int:
    """Where a new target begins: runs that ended long ago are no news, open reviews wait still."""
    return 0 if event == "review_opened" else last


def _key(event: NotifyEvent, target: str) -> str:
    return f"notify:{event}:{target}"


def _marks(connection: Connection, event: NotifyEvent, names: Iterable[str]) -> dict[str, int]:
    keys = {_key(event, name): name for name in names}
    rows = connection.execute(select(meta.c.name, meta.c.value).where(meta.c.name.in_(keys)))
    return {keys[row.name]: int(row.value) for row in rows}


@dataclass(frozen=True, slots=True)
class _Entry:
    sequence: int
    run: str
    review: str


def _entries(connection: Connection, event: NotifyEvent, start: int) -> list[_Entry]:
    query = (
        select(audit_table.c.sequence, audit_table.c.run, audit_table.c.body)
        .where(audit_table.c.sequence > start, audit_table.c.kind.in_(_KINDS[event]))
        .order_by(audit_table.c.sequence)
        .limit(SCAN)
    )
    return [
        _Entry(row.sequence, row.run, str(json.loads(row.body).get("review", "")))
        for row in connection.execute(query)
    ]


def _write(
    connection: Connection,
    event: NotifyEvent,
    names: list[str],
    found: list[_Entry],
    until: int,
    now: float,
) -> int:
    """Insert what is true still, and move the marks; another process may have done both meanwhile."""
    marks = _marks(connection, event, names)
    happened = _open(connection, found) if event == "review_opened" else _ended(connection, found)
    first = _first(event, until)
    rows = [
        _new(event, name, entry.run, entry.review, mark, now)
        for name in names
        for entry, mark in happened
        if entry.sequence > marks.get(name, first)
    ]
    for name in names:
        _move(connection, _key(event, name), marks.get(name), until)
    return _insert(connection, rows)


def _open(connection: Connection, found: list[_Entry]) -> list[tuple[_Entry, str]]:
    ids = [entry.review for entry in found]
    query = select(reviews.c.id).where(reviews.c.id.in_(ids), reviews.c.state == "open")
    waiting = set(connection.execute(query).scalars())
    return [(entry, "") for entry in found if entry.review in waiting]


def _ended(connection: Connection, found: list[_Entry]) -> list[tuple[_Entry, str]]:
    """Of each run that has ended its last entry; a run that goes on and ends again is told again."""
    entries = {entry.run: _Entry(entry.sequence, entry.run, "") for entry in found}
    query = select(runs.c.id, runs.c.ended_at).where(
        runs.c.id.in_(entries), runs.c.status.in_(ENDED)
    )
    return [(entries[row.id], str(row.ended_at)) for row in connection.execute(query)]


def _move(connection: Connection, key: str, old: int | None, new: int) -> None:
    if old is None:
        connection.execute(insert(meta).values(name=key, value=str(new)))
    elif new > old:
        connection.execute(update(meta).where(meta.c.name == key).values(value=str(new)))


def _new(
    kind: NotifyEvent, target: str, run: str, review: str, mark: str, now: float
) -> DeliveryRow:
    digest = hashlib.sha256(dump([kind, target, run, review, mark]).encode()).hexdigest()
    return DeliveryRow(
        id=f"msg_{digest[:32]}", run=run, review=review, kind=kind, target=target, body="",
        state="due", attempts=0, due_at=now, error="", created_at=now, sent_at=None,
    )  # fmt: skip


def _insert(connection: Connection, rows: Iterable[DeliveryRow]) -> int:
    """Insert those that are not there; the write lock is held, so nobody comes between."""
    wanted = {row.id: row for row in rows}
    if not wanted:
        return 0
    known = select(deliveries.c.id).where(deliveries.c.id.in_(wanted))
    for present in connection.execute(known).scalars().all():
        del wanted[present]
    if wanted:
        connection.execute(insert(deliveries), [asdict(row) for row in wanted.values()])
    return len(wanted)


def claim(store: Store, targets: Collection[str], now: float) -> tuple[DeliveryRow, ...]:
    """Take what is due, for `LEASE` seconds: nobody else tries it meanwhile.

    `targets`: names of those that this process can reach; the others' deliveries are left to others.
    """
    due = (deliveries.c.state == "due") & (deliveries.c.due_at <= now)
    late = deliveries.c.created_at <= now - GIVE_UP
    with store.reading() as connection:
        mine = deliveries.c.target.in_(targets) | late
        if connection.execute(select(deliveries.c.id).where(due, mine).limit(1)).first() is None:
            return ()
    asked = time.monotonic()
    with store.writing() as connection:
        # A lease that began before a long wait for the lock would be over before anything is sent.
        now += (time.monotonic() - asked) // 1
        for row in _rows(connection, due & late & deliveries.c.target.not_in(targets)):
            _settle(connection, row, "failed", now, "nobody has a target of this name any more")
        rows = tuple(
            row
            for name in targets
            for row in _rows(connection, due & (deliveries.c.target == name))
        )
        values = {"due_at": now + LEASE, "attempts": deliveries.c.attempts + 1}
        claimed = deliveries.c.id.in_([row.id for row in rows])
        connection.execute(update(deliveries).where(claimed).values(**values))
        return tuple(
            row_as(DeliveryRow, row)
            for row in connection.execute(
                select(deliveries).where(claimed).order_by(deliveries.c.created_at)
            )
        )


def _rows(connection: Connection, which: ColumnElement[bool]) -> tuple[DeliveryRow, ...]:
    query = select(deliveries).where(which).order_by(deliveries.c.due_at).limit(BATCH)
    return tuple(row_as(DeliveryRow, row) for row in connection.execute(query))


def settle(
    store: Store,
    row: DeliveryRow,
    state: Literal["sent", "failed", "dropped"],
    now: float,
    *,
    error: str = "",
    body: str = "",
) -> None:
    """Write down how a claimed delivery went. `failed`: it is never tried again."""
    with store.writing() as connection:
        _settle(connection, row, state, now, error, body)


def _settle(
    connection: Connection,
    row: DeliveryRow,
    state: Literal["sent", "failed", "dropped"],
    now: float,
    error: str = "",
    body: str = "",
) -> None:
    mine = (deliveries.c.id == row.id) & (deliveries.c.state == "due")
    sent_at = now if state == "sent" else None
    values = {"state": state, "error": error, "body": body or row.body, "sent_at": sent_at}
    done = connection.execute(update(deliveries).where(mine).values(**values))
    if not done.rowcount or state == "dropped":
        return
    facts: dict[str, JsonValue] = {
        "delivery": row.id, "event": row.kind, "target": row.target, "review": row.review,
        "attempts": row.attempts,
    }  # fmt: skip
    if state == "sent":
        audit.append(connection, row.run, "notified", facts)
    else:
        audit.append(connection, row.run, "notify_failed", facts, contents={"error": error})


def postpone(store: Store, row: DeliveryRow, now: float, *, error: str, body: str = "") -> None:
    """Have a delivery that did not succeed tried again later; after `GIVE_UP` it has failed."""
    due_at = now + pause(row.attempts)
    if due_at - row.created_at > GIVE_UP:
        settle(store, row, "failed", now, error=error, body=body)
        return
    # Whoever claimed it after the lease ran out has its own say.
    mine = (deliveries.c.id == row.id) & (deliveries.c.attempts == row.attempts)
    values = {"due_at": due_at, "error": error, "body": body or row.body}
    with store.writing() as connection:
        connection.execute(
            update(deliveries).where(mine, deliveries.c.state == "due").values(**values)
        )


def pause(attempts: int) -> float:
    """Seconds before the next attempt: doubled each time, and uneven, so that many do not come at once."""
    whole = min(FIRST_PAUSE * 2 ** min(max(attempts - 1, 0), 30), LONGEST_PAUSE)
    return whole * (0.5 + secrets.randbelow(1001) / 2000)


def list_deliveries(
    store: Store, *, run: str | None = None, limit: int = 50
) -> tuple[DeliveryRow, ...]:
    """Deliveries, newest first."""
    query = select(deliveries).order_by(deliveries.c.created_at.desc(), deliveries.c.id)
    if run is not None:
        query = query.where(deliveries.c.run == run)
    with store.reading() as connection:
        return tuple(row_as(DeliveryRow, row) for row in connection.execute(query.limit(limit)))
