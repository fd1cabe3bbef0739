"""What was decided and done, in an order that nobody can change unseen? A hash chain over the journal.

An entry's hash is SHA-256 over the UTF-8 text of a JSON list of its sequence, run, time (as text: the shortest decimal
that reads back as the same double), kind, body (the JSON text of an object, as one string) and the hash of the entry
before. All JSON is canonical, as `store.dump` writes it: keys sorted by code point, no spaces, no escapes but those that
JSON demands, integers in full, other numbers as Python's `repr`; half a surrogate pair has the text escaped to ASCII.
`checkpoints` signs it as it grows, `verifying` looks whether it is what was written.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select

from crews.records.rows import ENDED
from crews.records.store import AUDITED, Store, dump
from crews.records.tables import audit, runs

GENESIS = "0" * 64
PAGE = 2000
"""Entries that are read at once."""
_ENDS = frozenset({"run_failed", "run_purged", "stop_asked"})


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
    ends = kind in _ENDS or (kind == "run_released" and body.get("status") in ENDED)
    connection.info.setdefault(AUDITED, []).append((sequence, ends))


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


def pages(
    store: Store, *, run: str = "", kind: str = "", after: int | None = None, until: int | None = None
) -> Iterator[AuditRow]:  # fmt: skip
    """Entries, oldest first, read a page at a time, so that memory stays the same however many there are.

    Args:
        store: The journal.
        run: Only of this run; empty: of all.
        kind: Only of this kind; empty: of all.
        after: Only those with a greater sequence.
        until: Only those with no greater sequence.
    """
    query = select(audit).order_by(audit.c.sequence).limit(PAGE)
    if run:
        query = query.where(audit.c.run == run)
    if kind:
        query = query.where(audit.c.kind == kind)
    if until is not None:
        query = query.where(audit.c.sequence <= until)
    while True:
        page = query if after is None else query.where(audit.c.sequence > after)
        with store.reading() as connection:
            found = connection.execute(page).all()
        for row in found:
            yield AuditRow(*row)
        if len(found) < PAGE:
            return
        after = found[-1].sequence


def last_sequence(connection: Connection) -> int:
    """How far the log has come; 0: it is empty."""
    query = select(audit.c.sequence).order_by(audit.c.sequence.desc()).limit(1)
    return connection.execute(query).scalar() or 0


def flaw(row: AuditRow, expected: int, previous: str) -> str:
    """What is wrong with an entry; empty: nothing.

    Args:
        row: The entry.
        expected: The sequence that is next.
        previous: Hash of the entry before.
    """
    if row.sequence > expected:
        last = row.sequence - 1
        gone = f"entries {expected} to {last} are" if last > expected else f"entry {expected} is"
        return f"{gone} missing"
    if row.sequence < expected:
        return f"an entry with the number {row.sequence} was put in"
    try:
        found = entry_hash(row.sequence, row.run, row.at, row.kind, row.body, row.previous)
    except (TypeError, ValueError):  # a value of another kind, such as bytes
        found = ""
    if found != row.hash:
        return "it is not what was written: it was changed, moved or replaced"
    if row.previous != previous:
        return "it does not follow the entry before it: that one was changed or replaced, or others were taken out"
    return ""


def first_break(store: Store) -> int | None:
    """Sequence of the first entry that is not what was written; None: the chain holds."""
    previous, expected = GENESIS, 1
    for row in pages(store):
        if flaw(row, expected, previous):
            return expected
        previous, expected = row.hash, expected + 1
    return None


def policy_change(store: Store, entry: AuditRow) -> tuple[str, tuple[str, ...]]:
    """Whether a run began with other team files than its team's run before.

    Args:
        store: The journal.
        entry: A `run_created` entry.

    Returns:
        The run before, and the names of the files that are new, gone or not the same; empty where nothing changed.
    """
    body = body_of(entry.body)
    query = (
        select(audit.c.run, audit.c.body)
        .join(runs, runs.c.id == audit.c.run)
        .where(
            audit.c.kind == "run_created",
            audit.c.sequence < entry.sequence,
            runs.c.team_name == str(body.get("team", "")),
        )
        .order_by(audit.c.sequence.desc())
        .limit(1)
    )
    with store.reading() as connection:
        before = connection.execute(query).first()
    if before is None:
        return "", ()
    old, new = (_sources(value) for value in (body_of(before.body), body))
    names = tuple(sorted(n for n in {*old, *new} if old.get(n) != new.get(n)))
    return (str(before.run), names) if names else ("", ())


def body_of(text: str) -> dict[str, JsonValue]:
    """An entry's body; empty where somebody has made it something else."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return cast("dict[str, JsonValue]", value) if isinstance(value, dict) else {}


def _sources(body: dict[str, JsonValue]) -> dict[str, JsonValue]:
    value = body.get("sources")
    return value if isinstance(value, dict) else {}
