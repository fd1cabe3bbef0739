"""What was decided and done, in an order that nobody can change unseen? A hash chain over the journal."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select

from crews.records.store import Store, dump
from crews.records.tables import audit

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the chain."""

    sequence: int
    run: str
    at: float
    kind: str
    body: str
    previous: str
    hash: str


def append(connection: Connection, run: str, kind: str, body: dict[str, JsonValue]) -> None:
    """Write one entry inside the transaction of what it speaks of: both are kept, or neither."""
    # Sequence and hash of the last entry: the transaction holds the write lock, so nobody is between.
    last = connection.execute(
        select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)
    ).first()
    sequence, previous = (last.sequence + 1, last.hash) if last else (1, GENESIS)
    at, text = time.time(), dump(body)
    connection.execute(
        insert(audit).values(
            sequence=sequence,
            run=run,
            at=at,
            kind=kind,
            body=text,
            previous=previous,
            hash=entry_hash(sequence, run, at, kind, text, previous),
        )
    )


def entry_hash(sequence: int, run: str, at: float, kind: str, body: str, previous: str) -> str:
    """SHA-256 over the entry's fields and the hash before it."""
    row = AuditRow(sequence, run, at, kind, body, previous, "")
    return hashlib.sha256(entry_line(row).encode()).hexdigest()


def entry_line(row: AuditRow) -> str:
    """The text whose SHA-256 is the entry's hash: a JSON list of its fields and the hash before it."""
    return dump([row.sequence, row.run, repr(row.at), row.kind, row.body, row.previous])


def entries(store: Store, run: str | None = None) -> tuple[AuditRow, ...]:
    """The chain, or the entries of one run, oldest first."""
    query = select(audit).order_by(audit.c.sequence)
    if run is not None:
        query = query.where(audit.c.run == run)
    with store.reading() as connection:
        return tuple(AuditRow(*row) for row in connection.execute(query))


def first_break(store: Store) -> int | None:
    """Sequence of the first entry that is not what was written; None: the chain holds."""
    previous, expected = GENESIS, 1
    for row in entries(store):
        found = entry_hash(row.sequence, row.run, row.at, row.kind, row.body, row.previous)
        if (row.sequence, row.previous, row.hash) != (expected, previous, found):
            return expected
        previous, expected = row.hash, expected + 1
    return None
