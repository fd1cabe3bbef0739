"""What was decided and done, in an order that nobody can change unseen? A hash chain over the journal.

An entry's hash is SHA-256 over one line of canonical JSON: the list of its sequence, run, time, kind, body and the
hash before it. Canonical means: keys sorted by code point, no spaces, UTF-8, no escapes but those that JSON demands
(all that is not ASCII is escaped where there is half a surrogate pair). Numbers that are not whole are written as
text, the shortest that gives the same double again, so that no program can spell them differently.
`tests/records/test_audit.py` holds a test vector. The same line is the entry's leaf in the Merkle tree of `merkle`,
whose roots `sealing` signs.

What people and models wrote is not in the body: see `vault`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import JsonValue
from sqlalchemy import BigInteger, Connection, bindparam, insert, literal, or_, select

from crews.errors import StoreError
from crews.records import merkle, vault
from crews.records.rows import columns_of
from crews.records.statement import Prepared
from crews.records.store import KEYS, OUTWARD, WRITTEN, Store, dump
from crews.records.tables import audit, vault_keys
from crews.records.vault import Contents, RunKey
from crews.safety.redact import Redactor

GENESIS = "0" * 64
SEALED = "sealed"
"""Name in a body under which the HMACs of the contents stand."""

_SHAPES = Redactor({})
_COLUMNS = (
    audit.c.sequence, audit.c.run, audit.c.at, audit.c.kind, audit.c.body, audit.c.previous,
    audit.c.hash, audit.c.node,
)  # fmt: skip

# Built once: each call writes three entries, and to build a statement takes longer than to run it.
_OF_RUN = select(vault_keys.c.secret).where(vault_keys.c.run == bindparam("run"))
_KEY = Prepared(_OF_RUN)
_ENDS = (audit.c.sequence, audit.c.hash, audit.c.node)
_LAST = Prepared(
    select(*_ENDS, literal(None).label("secret")).order_by(audit.c.sequence.desc()).limit(1)
)
_LAST_AND_KEY = Prepared(
    select(*_ENDS, _OF_RUN.scalar_subquery().label("secret"))
    .order_by(audit.c.sequence.desc())
    .limit(1)
)
_INSERT = Prepared(insert(audit))


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
    node: str = ""
    """Of the Merkle tree; it follows from the entries, and no hash covers it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a transaction has appended."""

    first: int
    last: int
    kinds: frozenset[str]
    hash: str
    """Of the last one."""
    node: str


@dataclass(frozen=True, slots=True)
class _Tip:
    """The last entry, and the key of the run that the next one is about, if that is asked for."""

    sequence: int
    hash: str
    node: str
    key: RunKey | None


def append(
    connection: Connection,
    run: str,
    kind: str,
    body: Mapping[str, JsonValue],
    *,
    contents: Contents | None = None,
    keyed: Contents | None = None,
    clean: bool = False,
) -> int:
    """Write one entry inside the transaction of what it speaks of: both are kept, or neither.

    Args:
        connection: The transaction; it holds the write lock, so nobody comes between.
        run: The run; empty: the entry is about none.
        kind: What happened.
        body: Structure: ids, names of rules and tools, rulings. It stays for ever.
        contents: What people or models wrote. The log gets its HMAC, the vault its text; empty values are left out.
        keyed: Hashes of such contents, which stand in the body as HMACs: a plain one could be guessed.
        clean: The caller has taken secrets, and personal data where that is to go, out of `contents`.

    Returns:
        The entry's sequence.
    """
    given = {k: v for k, v in (contents or {}).items() if v not in ("", [], None)}
    hashes = {k: v for k, v in (keyed or {}).items() if v}
    tip = _tip(connection, run if given or hashes else None)
    sequence = tip.sequence + 1
    whole = dict(body)
    if key := tip.key:
        whole |= {name: key.mac(name, value) for name, value in hashes.items()}
        if given:
            kept = given if clean else _without_secrets(connection, given)
            whole[SEALED] = {name: key.mac(name, value) for name, value in kept.items()}
            vault.put(connection, key, sequence, kept)
    body_text, at = dump({k: _spelt(v) for k, v in whole.items()}), time.time()
    line = _line(sequence, run, at, kind, body_text, tip.hash).encode()
    node = _node(connection, sequence, merkle.leaf_hash(line), tip.node)
    row = AuditRow(
        sequence, run, at, kind, body_text, tip.hash, hashlib.sha256(line).hexdigest(), node
    )
    _INSERT.run(connection, columns_of(row))
    _remember(connection, row)
    return sequence


def _without_secrets(connection: Connection, contents: Contents) -> dict[str, JsonValue]:
    """What may be kept of the contents: the chain, and the HMACs in it, are over what was redacted before."""
    outward: Redactor | None = connection.info.get(OUTWARD)
    redactor = outward or _SHAPES
    return {k: redactor.outward_json(v) for k, v in contents.items()}


def _tip(connection: Connection, run: str | None) -> _Tip:
    """The chain's end; `run`: with the key of this one."""
    mine: Written | None = connection.info.get(WRITTEN)
    known: dict[str, RunKey] = connection.info.setdefault(KEYS, {})
    if mine is not None and (run is None or run in known):
        return _Tip(mine.last, mine.hash, mine.node, known[run] if run else None)
    last = (_LAST if run is None else _LAST_AND_KEY).run(connection, {"run": run}).first()
    if run is not None:
        found = _KEY.run(connection, {"run": run}).scalar() if last is None else last.secret
        known[run] = vault.key_of(connection, run, found)
    key = known[run] if run else None
    return (
        _Tip(0, GENESIS, "", key)
        if last is None
        else _Tip(last.sequence, last.hash, last.node, key)
    )


def _spelt(value: JsonValue) -> JsonValue:
    """A value without numbers that another program could write differently."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {k: _spelt(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_spelt(v) for v in value]
    return value


def _node(connection: Connection, sequence: int, leaf: bytes, last: str) -> str:
    """The hash of the largest whole subtree of the Merkle tree that ends with the entry."""
    places = merkle.needed(sequence)
    if not places:
        return leaf.hex()
    nodes = {sequence - 1: bytes.fromhex(last)} | read_nodes(connection, places[1:])
    return merkle.node_at(sequence, leaf, nodes.__getitem__).hex()


def read_nodes(connection: Connection, places: list[int]) -> dict[int, bytes]:
    """Nodes of the Merkle tree at these sequences.

    Raises:
        StoreError: an entry is missing, or was changed.
    """
    if not places:
        return {}
    given = {f"place{n}": place for n, place in enumerate(places)}
    rows = _nodes(len(places)).run(connection, given).rows
    try:
        found = {row.sequence: bytes.fromhex(row.node) for row in rows}
    except ValueError:
        found = {}
    if len(found) != len(places):
        raise StoreError("the audit log is damaged, so nothing can be added to it",
                         hint="`crews audit verify` says where")  # fmt: skip
    return found


@cache
def _nodes(count: int) -> Prepared:
    """There are never more than the bits of a sequence."""
    places = [bindparam(f"place{n}", type_=BigInteger) for n in range(count)]
    which = or_(*(audit.c.sequence == place for place in places))
    return Prepared(select(audit.c.sequence, audit.c.node).where(which))


def _remember(connection: Connection, row: AuditRow) -> None:
    """Let whoever ends the transaction, or appends more to it, know what is new."""
    before: Written | None = connection.info.get(WRITTEN)
    first, kinds = (before.first, before.kinds) if before else (row.sequence, frozenset[str]())
    now = Written(first, row.sequence, kinds | {row.kind}, row.hash, row.node)
    connection.info[WRITTEN] = now


def entry_hash(sequence: int, run: str, at: float, kind: str, body: str, previous: str) -> str:
    """SHA-256 over the entry's fields and the hash before it."""
    line = _line(sequence, run, at, kind, body, previous)
    return hashlib.sha256(line.encode()).hexdigest()


def entry_line(row: AuditRow) -> str:
    """The text whose SHA-256 is the entry's hash: a JSON list of its fields and the hash before it."""
    return _line(row.sequence, row.run, row.at, row.kind, row.body, row.previous)


def _line(sequence: int, run: str, at: float, kind: str, body: str, previous: str) -> str:
    return dump([sequence, run, repr(at), kind, body, previous])


def told(store: Store, run: str | None = None) -> tuple[tuple[AuditRow, dict[str, JsonValue]], ...]:
    """Entries, oldest first, each with its body and, as long as they are kept, the contents that the vault has."""
    contents = vault.contents_of(store, run)
    return tuple(
        (row, json.loads(row.body) | contents.get(row.sequence, {})) for row in entries(store, run)
    )


def entries(store: Store, run: str | None = None) -> tuple[AuditRow, ...]:
    """The chain, or the entries of one run, oldest first."""
    query = select(*_COLUMNS).order_by(audit.c.sequence)
    if run is not None:
        query = query.where(audit.c.run == run)
    with store.reading() as connection:
        return tuple(AuditRow(*row) for row in connection.execute(query))


def newest(
    store: Store, *, run: str = "", kind: str = "", limit: int = 50
) -> tuple[tuple[AuditRow, dict[str, JsonValue] | None], ...]:
    """The newest entries, oldest first, each with its contents; None: they were erased."""
    query = select(*_COLUMNS).order_by(audit.c.sequence.desc()).limit(limit)
    query = query.where(audit.c.run == run) if run else query
    query = query.where(audit.c.kind == kind) if kind else query
    with store.reading() as connection:
        rows = [AuditRow(*row) for row in reversed(connection.execute(query).all())]
        if not rows:
            return ()
        sealed = vault.sealed_between(connection, rows[0].sequence, rows[-1].sequence)
        contents = vault.opened(vault.keys(connection), sealed)
    return tuple((row, _contents(row, contents.get(row.sequence))) for row in rows)


def _contents(row: AuditRow, found: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
    return found if found is not None or SEALED in json.loads(row.body) else {}


def stream(connection: Connection) -> Iterator[AuditRow]:
    """Each entry, oldest first, as the caller's transaction sees them."""
    for page in pages(connection):
        yield from page


def pages(connection: Connection) -> Iterator[list[AuditRow]]:
    """The entries, oldest first, a thousand at a time."""
    start = None
    query = select(*_COLUMNS).order_by(audit.c.sequence).limit(1000)
    while True:
        page = query if start is None else query.where(audit.c.sequence > start)
        rows = connection.execute(page).all()
        yield [AuditRow(*row) for row in rows]
        if len(rows) < 1000:
            return
        start = rows[-1].sequence


def fill_nodes(connection: Connection) -> None:
    """Give the entries of an older journal, which had no tree, their nodes; they themselves stay as they are."""
    from sqlalchemy import update

    changed: list[dict[str, object]] = []
    edge = merkle.Edge()
    for row in stream(connection):
        node = edge.add(merkle.leaf_hash(entry_line(row).encode())).hex()
        changed.append({"place": row.sequence, "value": node})
    if changed:
        statement = update(audit).where(audit.c.sequence == bindparam("place"))
        connection.execute(statement.values(node=bindparam("value")), changed)


def first_break(store: Store) -> int | None:
    """Sequence of the first entry that is not what was written; None: the chain holds."""
    previous, expected, edge = GENESIS, 1, merkle.Edge()
    with store.reading() as connection:
        for row in stream(connection):
            line = entry_line(row).encode()
            found = hashlib.sha256(line).hexdigest()
            is_whole = (row.sequence, row.previous, row.hash) == (expected, previous, found)
            if not is_whole or edge.add(merkle.leaf_hash(line)).hex() != row.node:
                return expected
            previous, expected = row.hash, expected + 1
    return None
