"""Who vouches for the audit log as it grows? Signed checkpoints: its size, its last hash and its Merkle root.

Whoever writes signs, in a transaction of its own after the entries are committed: when a run has ended, with every
`EVERY` entries, `AFTER` seconds after the last time, and when the journal is closed. A checkpoint is made from the one
before it (its Merkle frontier is kept) and from the entries since, whose chain is looked at again: what was changed
before it was signed is not signed. Signing never fails an effect and never loses an entry: without a key, or with one
that cannot be used, entries are kept unsigned, the log file says why, and the next one to sign takes them along.

What a signature is worth: whoever can write the database but not read `keys` in `CREWS_HOME` can change nothing that
is signed without being found. Of the checkpoints that it has signed a machine keeps the last one beside its key, so that
it finds the loss of a log's end, too. Whoever has both can write another history: only copies of checkpoints that lie
elsewhere (`copies`) show that.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import SQLAlchemyError

from crews.errors import CrewsError, StoreError
from crews.records import audit, merkle, notes, signing
from crews.records.store import Store, open_store
from crews.records.tables import audit as audit_table
from crews.records.tables import checkpoints, keys, meta

if TYPE_CHECKING:
    from crews.settings import Settings

EVERY = 100
"""Entries."""
AFTER = 300.0
"""Seconds."""
AT_ONCE = 5000
"""Entries that one checkpoint takes along at most; a long unsigned log is caught up with step by step."""
REST = 60.0
"""Seconds after a failure before signing is tried again."""
PATIENCE = 2.0
"""Seconds for which signing waits for the database."""
PAGE = 500
"""Checkpoints that are read at once."""


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """One checkpoint."""

    size: int
    note: str
    """The text that was signed, with its signature (`notes`)."""
    frontier: str | None
    """What the next one is made from (`merkle`); None outside of a journal."""


def open_journal(settings: Settings) -> Store:
    """Open the journal that the settings name; what this process adds to its audit log is signed.

    Raises:
        StoreError: see `open_store`.
    """
    store = open_store(settings.journal_url, patience=settings.patience)
    attend(store, settings.home)
    return store


def attend(store: Store, home: Path) -> Signer:
    """Have checkpoints made of what this process writes to the journal, with the key in `home`."""
    if not isinstance(store.witness, Signer):
        store.witness = Signer(store, signing.folder_of(home))
    return store.witness


class Signer:
    """Makes this process's checkpoints of one journal."""

    def __init__(self, store: Store, folder: Path) -> None:
        # Its own patience, and nobody who listens: what it writes is no reason to sign again.
        self._store = Store(store.engine, PATIENCE)
        self._folder = folder
        self._lock = threading.Lock()
        self._unsigned = False
        self._size, self._at = 0, 0.0
        self._rests_until = 0.0

    def heard(self, added: Sequence[tuple[int, bool]]) -> None:
        """Sign, if it is time: see `Witness`."""
        with self._lock:
            self._unsigned = True
            due = added[-1][0] - self._size >= EVERY or time.time() - self._at >= AFTER
            ends = any(end for _, end in added)
            if due or ends:
                self._try(force=ends)

    def leave(self) -> None:
        """Sign what this process has left unsigned."""
        with self._lock:
            if self._unsigned:
                self._try(force=True)

    def keep(self) -> None:
        """Sign what any process has left, if it is time; catches up with all of a long log."""
        with self._lock:
            while self._try(force=False):
                pass

    def _try(self, *, force: bool) -> bool:
        """Make a checkpoint if one is due; False: none was made. Never fails."""
        if time.monotonic() < self._rests_until:
            return False
        try:
            last, made = _sign(self._store, self._folder, force=force)
        except (CrewsError, OSError, ValueError, SQLAlchemyError) as error:
            self._rests_until = time.monotonic() + REST
            logger.warning("the audit log is kept, but not signed now: {}", error)
            return False
        if last is not None:
            self._size, self._at = last.size, last.at
        self._unsigned = self._unsigned and not (made or force)
        return made


def _sign(store: Store, folder: Path, *, force: bool) -> tuple[notes.Note | None, bool]:
    """The last checkpoint, and whether it was made now."""
    with store.reading() as connection:
        last = latest(connection)
        pending = audit.last_sequence(connection) - (last.size if last else 0)
    note = notes.parse(last.note) if last else None
    due = pending >= EVERY or note is None or time.time() - note.at >= AFTER
    if pending <= 0 or not (force or due):
        return note, False
    key = signing.key_in(folder)
    with store.reading() as connection:
        origin = origin_of(connection)
        known = _public(connection, key.fingerprint)
    if not origin or not known:
        origin = _announce(store, key)
    made, row = _next(store, last, key, origin)
    with store.writing() as connection:
        now = latest(connection)
        if now != last:  # another process was quicker
            return (notes.parse(now.note) if now else None), False
        values = {"size": row.size, "note": row.note, "frontier": row.frontier}
        connection.execute(insert(checkpoints).values(**values))
    _remember(store, folder, row)
    return made, True


def _next(
    store: Store, last: CheckpointRow | None, key: signing.Key, origin: str
) -> tuple[notes.Note, CheckpointRow]:
    """The checkpoint after `last`, of committed entries: nobody needs to wait while it is made."""
    tree, previous = _continued(last)
    query = select(audit_table).where(audit_table.c.sequence > tree.size)
    with store.reading() as connection:
        found = connection.execute(query.order_by(audit_table.c.sequence).limit(AT_ONCE)).all()
    for entry in (audit.AuditRow(*row) for row in found):
        if wrong := audit.flaw(entry, tree.size + 1, previous):
            raise StoreError(f"the audit log is damaged at entry {tree.size + 1}: {wrong}",
                             hint="`crews audit verify` says more")  # fmt: skip
        tree.add(bytes.fromhex(entry.hash))
        previous = entry.hash
    before, before_hash = (last.size, notes.digest(last.note)) if last else (0, notes.NONE)
    draft = notes.Note(
        origin=origin, size=tree.size, root=tree.root(), last=previous,
        time=notes.moment(time.time()), key=key.fingerprint, before=before, before_hash=before_hash,
    )  # fmt: skip
    note = replace(draft, signature=key.sign(draft.signed_text.encode()))
    return note, CheckpointRow(note.size, note.text(key.public), tree.frontier())


def _continued(last: CheckpointRow | None) -> tuple[merkle.Tree, str]:
    """Tree and hash from which the next checkpoint goes on; nothing is built on a row that was changed."""
    if last is None:
        return merkle.Tree(), audit.GENESIS
    note = notes.parse(last.note)
    tree = merkle.restored(last.size, last.frontier or "")
    if note.size != last.size or note.root != tree.root():
        raise StoreError(f"the checkpoint of {last.size} entries was changed",
                         hint="`crews audit verify` says more")  # fmt: skip
    return tree, note.last


def _announce(store: Store, key: signing.Key) -> str:
    """Name the journal and the key in it, once; the audit log says from when on the key signs."""
    with store.writing() as connection:
        origin = origin_of(connection)
        if not origin:
            origin = f"crews-journal/{secrets.token_hex(8)}"
            connection.execute(insert(meta).values(name="origin", value=origin))
        if not _public(connection, key.fingerprint):
            public = signing.public_text(key.public)
            row = {"fingerprint": key.fingerprint, "public": public}
            connection.execute(insert(keys).values(**row))
            audit.append(connection, "", "key_added", {**row, "origin": origin})
    return origin


def _remember(store: Store, folder: Path, row: CheckpointRow) -> None:
    """Keep the last checkpoint that was signed here beside the key, unless the log no longer holds the one before."""
    file = own_copy(folder, notes.parse(row.note).origin)
    with contextlib.suppress(FileNotFoundError):
        before = notes.parse(file.read_text(encoding="utf-8"))
        if before.size >= row.size:
            return
        with store.reading() as connection:
            query = select(checkpoints.c.note).where(checkpoints.c.size == before.size)
            kept = connection.execute(query).scalar()
        if kept != file.read_text(encoding="utf-8"):
            logger.warning("the audit log has lost what this machine signed: `crews audit verify`")
            return
    made = file.with_name(f".{file.name}-{secrets.token_hex(4)}")
    try:
        signing.write_new(made, row.note.encode())
        os.replace(made, file)
    finally:
        made.unlink(missing_ok=True)


def own_copy(folder: Path, origin: str) -> Path:
    """Where a machine keeps the last checkpoint of a journal that it signed itself."""
    return folder / f"last-{origin.rpartition('/')[2]}.txt"


def latest(connection: Connection) -> CheckpointRow | None:
    """The checkpoint that speaks of the most entries."""
    query = select(checkpoints).order_by(checkpoints.c.size.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else CheckpointRow(row.size, row.note, row.frontier)


def pages(store: Store, until: int) -> Iterator[CheckpointRow]:
    """Checkpoints of no more than `until` entries, the smallest first, read a page at a time."""
    query = select(checkpoints).where(checkpoints.c.size <= until)
    query = query.order_by(checkpoints.c.size).limit(PAGE)
    after: int | None = None
    while True:
        with store.reading() as connection:
            page = query if after is None else query.where(checkpoints.c.size > after)
            found = connection.execute(page).all()
        for row in found:
            yield CheckpointRow(row.size, row.note, row.frontier)
        if len(found) < PAGE:
            return
        after = found[-1].size


def origin_of(connection: Connection) -> str:
    """Name of the journal in its checkpoints; empty: it has none yet."""
    return connection.execute(select(meta.c.value).where(meta.c.name == "origin")).scalar() or ""


def public_keys(connection: Connection) -> dict[str, str]:
    """Fingerprint -> public key, in base64, of all that have signed."""
    return {row.fingerprint: row.public for row in connection.execute(select(keys))}


def _public(connection: Connection, fingerprint: str) -> str | None:
    query = select(keys.c.public).where(keys.c.fingerprint == fingerprint)
    return connection.execute(query).scalar()
