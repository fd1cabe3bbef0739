"""When is the audit log signed, and with whose key? In the transaction of the last entry that is covered.

A checkpoint is made every so many entries, at every decision, at the end of every activation of a run and at every
change of people or policy. It is an entry itself, so that one that is taken away is missed. Each machine has its own
key, and the log says when each was first used.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select

from crews.records import audit, copies, merkle
from crews.records.audit import Written
from crews.records.signing import PublicKey, SigningKey, signing_key
from crews.records.statement import Prepared
from crews.records.store import WRITTEN, Store, open_store
from crews.records.tables import audit_keys, checkpoints, meta
from crews.safety.own_secrets import outward_redactor
from crews.settings import Settings

AT_ONCE = frozenset({
    "review_decided", "decision_refused", "identity_refused", "run_released", "run_failed", "stop_asked",
    "owner_lost", "run_purged", "run_erased", "run_exported", "audit_exported", "policy_changed",
    "limits_extended", "day_extended", "user_added", "user_roles", "user_removed", "token_made",
    "token_revoked",
})  # fmt: skip
"""Kinds of entries that are signed with the transaction that wrote them."""
_ORIGIN = "audit:origin"
_KNOWN = Prepared(select(audit_keys.c.key).where(audit_keys.c.key == bindparam("b_key")))
_NAME = Prepared(select(meta.c.value).where(meta.c.name == _ORIGIN))
_SIGNED = Prepared(insert(checkpoints))


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that has signed."""

    public: PublicKey
    origin: str
    """Name of the log."""
    host: str
    """The machine that used it first."""
    added_at: float


def open_journal(settings: Settings) -> Store:
    """Open the journal that the settings name; its audit log is signed.

    Raises:
        StoreError: the database cannot be reached or written, or was written by a newer version.
        UsageError: personal data is to be kept out of the log, and what that needs is not installed.
    """
    return open_store(
        settings.journal_url,
        patience=settings.patience,
        sealing=seal(settings),
        outward=outward_redactor(settings),
    )


def seal(settings: Settings) -> Callable[[Connection], None]:
    """What signs the log at the end of a transaction, where that is due."""
    key: SigningKey | None = None

    def seal_now(connection: Connection) -> None:
        nonlocal key
        written: Written | None = connection.info.get(WRITTEN)
        if written is not None and _is_due(written, settings.audit.every):
            if key is None:
                given = settings.audit_key.get_secret_value() if settings.audit_key else ""
                key = signing_key(settings.audit_key_file, given)
            checkpoint(connection, key, settings)
        connection.info.pop(WRITTEN, None)

    return seal_now


def _is_due(written: Written, every: int) -> bool:
    crossed = written.last // every > (written.first - 1) // every
    return crossed or bool(written.kinds & AT_ONCE)


def checkpoint(connection: Connection, key: SigningKey, settings: Settings) -> str:
    """Sign the log as it stands in this transaction, which has added to it; returns the note."""
    _introduce(connection, key.public)
    written: Written = connection.info[WRITTEN]
    size = written.last
    nodes = audit.read_nodes(connection, merkle.edge(size))
    root = merkle.root_at(size, nodes.__getitem__)
    note = key.checkpoint(origin(connection), size, root)
    _SIGNED.run(connection, {"size": size, "key": key.public.fingerprint, "note": note})
    facts = {"size": size, "root": root.hex(), "key": key.public.fingerprint, "note": digest(note)}
    audit.append(connection, "", "checkpoint", facts)
    copies.put(connection, settings.audit.targets, size, note)
    return note


def digest(note: str) -> str:
    """What the log says of a checkpoint's text."""
    return hashlib.sha256(note.encode()).hexdigest()


def _introduce(connection: Connection, public: PublicKey) -> None:
    """Write a key down when it is first used in this journal."""
    if _KNOWN.run(connection, {"b_key": public.fingerprint}).first() is not None:
        return
    facts = {"key": public.fingerprint, "public": public.raw.hex(), "host": socket.gethostname()}
    sequence = audit.append(connection, "", "audit_key", facts)
    values = {"key": public.fingerprint, "public": public.raw.hex(), "sequence": sequence}
    connection.execute(insert(audit_keys).values(**values))


def origin(connection: Connection) -> str:
    """The log's name, made when it is first signed."""
    found = _NAME.run(connection, {}).scalar()
    if found is None:
        found = f"crews/{secrets.token_hex(8)}"
        connection.execute(insert(meta).values(name=_ORIGIN, value=found))
    return found


def known_keys(store: Store) -> tuple[KnownKey, ...]:
    """Every key that has signed, in the order of their first use."""
    log = audit.audit
    query = select(audit_keys.c.public, log.c.at, log.c.body).join(
        log, log.c.sequence == audit_keys.c.sequence
    )
    with store.reading() as connection:
        rows = connection.execute(query.order_by(log.c.sequence)).all()
        name = connection.execute(select(meta.c.value).where(meta.c.name == _ORIGIN)).scalar() or ""
    return tuple(
        KnownKey(PublicKey(bytes.fromhex(row.public)), name, json.loads(row.body)["host"], row.at)
        for row in rows
    )
