"""Does the audit log hold: chain, tree, contents, checkpoints, keys, and the checkpoints that were kept outside?

What this cannot see: entries behind the last checkpoint that were cut off, and a log that was cut off at an earlier
checkpoint, or that somebody with the signing key has written anew. A checkpoint that was kept outside shows all of
it, up to its own size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from crews.records import audit, copies, vault
from crews.records.sealing import digest
from crews.records.signing import Checkpoint, PublicKey, parse
from crews.records.store import Store
from crews.records.tables import audit as audit_table
from crews.records.tables import audit_keys, checkpoints, meta, vault_keys
from crews.records.walking import Break, Walk

__all__ = ["Audited", "Break", "Signed", "check_notes", "verify"]


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint, and where it was found."""

    note: str
    where: str
    outside: bool = False

    @property
    def read(self) -> Checkpoint | None:
        """Taken apart; None: it is none."""
        try:
            return parse(self.note)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Audited:
    """What a look at the whole log has found."""

    origin: str
    """Name of the log; empty: it was never signed."""
    entries: int
    signed: int
    """Entries that checkpoints cover which are right."""
    checkpoints: int
    outside: int
    """Of them, those that were kept outside."""
    erased: int
    """Runs whose contents were erased."""
    breaks: tuple[Break, ...]
    """In the order of the entries; none: the log holds."""
    warnings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Is everything as it was written?"""
        return not self.breaks


def verify(
    store: Store, outside: Sequence[Signed] = (), trusted: Sequence[PublicKey] | None = None
) -> Audited:
    """Read the whole log.

    Args:
        store: The journal.
        outside: Checkpoints that were kept elsewhere.
        trusted: The only keys that may have signed; None: those that the log itself names.
    """
    with store.reading() as connection:
        rows = connection.execute(select(checkpoints).order_by(checkpoints.c.size)).all()
        inside = [Signed(row.note, f"checkpoint {row.size}") for row in rows]
        notes = [*inside, *outside]
        walk = Walk({found.size for note in notes if (found := note.read)})
        run_keys = vault.keys(connection)
        for page in audit.pages(connection):
            sealed = (
                vault.sealed_between(connection, page[0].sequence, page[-1].sequence)
                if page
                else {}
            )
            for row in page:
                if not walk.take(row):
                    break
                walk.open(row, run_keys, sealed.get(row.sequence))
            if not walk.whole:
                break
        count = connection.execute(select(func.count()).select_from(audit_table)).scalar() or 0
        origin = _origin(connection.execute(select(meta.c.name, meta.c.value)).all())
        public = connection.execute(select(audit_keys)).all()
        gone = connection.execute(select(vault_keys.c.run).where(vault_keys.c.secret == "")).all()
    named = {str(row.key): (str(row.public), int(row.sequence)) for row in public}
    keys = _keys(named) if trusted is None else trusted
    signed, broken = check_notes(walk, notes, keys, origin)
    breaks = [
        *walk.breaks,
        *broken,
        *_rows_and_entries(walk, {row.size: (row.note, row.key) for row in rows}),
        *_key_breaks(walk, named),
        *_erasures(walk),
    ]
    return Audited(
        origin=origin,
        entries=count,
        signed=signed,
        checkpoints=len(rows),
        outside=len(outside),
        erased=len(gone),
        breaks=tuple(sorted(breaks, key=lambda b: b.sequence)),
        warnings=(*_warnings(count, signed), *copies.troubles(store)),
    )


def _origin(rows: Iterable[Sequence[str]]) -> str:
    return {row[0]: row[1] for row in rows}.get("audit:origin", "")


def check_notes(
    walk: Walk, notes: Sequence[Signed], keys: Sequence[PublicKey], origin: str
) -> tuple[int, list[Break]]:
    """Compare checkpoints with the log that was read; returns the largest size that is right."""
    breaks: list[Break] = []
    good = 0
    for note in sorted(notes, key=lambda n: n.read.size if n.read else 0):
        found = note.read
        if found is None:
            breaks.append(Break(good + 1, f"{note.where} is no checkpoint, or was changed"))
        elif why := _wrong(walk, found, keys, origin):
            breaks.append(Break(min(good, walk.size) + 1, f"{note.where}: {why}"))
        elif found.size in walk.roots:
            good = found.size
    return good, breaks


def _wrong(walk: Walk, note: Checkpoint, keys: Sequence[PublicKey], origin: str) -> str:
    if note.origin != origin:
        return f"it is of another log, {note.origin}"
    named = [key for key in keys if key.id(note.origin) == note.key]
    if not named:
        return f"it was signed by an unknown key ({note.key.hex()})"
    if not any(note.is_by(key) for key in named):
        return "its signature is wrong"
    if note.size > walk.size:
        if not walk.whole:
            return ""  # what is behind the break nobody knows; the break itself is told
        return f"it covers {note.size} entries, and {walk.size} are left: the log was cut"
    if walk.roots[note.size] != note.root:
        return f"it was signed over other entries than the first {note.size} that are here"
    return ""


def _rows_and_entries(walk: Walk, rows: Mapping[int, tuple[str, str]]) -> Iterable[Break]:
    """Each checkpoint is an entry too: one that was taken away is missed, one that was put in has none."""
    for size, (sequence, said) in walk.checkpoints.items():
        if size not in rows:
            yield Break(sequence, f"the checkpoint of {size} entries, of which it speaks, is gone")
        elif digest(rows[size][0]) != said:
            yield Break(sequence, f"the checkpoint of {size} entries is not the one that was made")
    for size, (note, key) in rows.items():
        if walk.whole and size not in walk.checkpoints:
            yield Break(size + 1, f"no entry speaks of the checkpoint of {size} entries")
        read = Signed(note, "").read
        if read is not None and (read.size != size or not _is_named(walk, key, read)):
            yield Break(size, f"the checkpoint of {size} entries is kept under another size or key")


def _is_named(walk: Walk, key: str, note: Checkpoint) -> bool:
    """Is the key under which a checkpoint is kept the one that it names? Unknown where the log breaks before."""
    if key not in walk.keys:
        return not walk.whole
    return PublicKey(bytes.fromhex(walk.keys[key][1])).id(note.origin) == note.key


def _keys(named: Mapping[str, tuple[str, int]]) -> list[PublicKey]:
    """Those that can be read; a signature by another one is one by an unknown key."""
    found: list[PublicKey] = []
    for raw, _ in named.values():
        with contextlib.suppress(ValueError):
            found.append(PublicKey(bytes.fromhex(raw)))
    return found


def _key_breaks(walk: Walk, named: Mapping[str, tuple[str, int]]) -> Iterable[Break]:
    for key, (sequence, public) in walk.keys.items():
        if named.get(key) != (public, sequence):
            yield Break(sequence, f"the public key {key}, of which it speaks, is gone or another")
    if walk.whole:
        for key in named.keys() - walk.keys.keys():
            yield Break(walk.size + 1, f"no entry speaks of the key {key}")


def _erasures(walk: Walk) -> Iterable[Break]:
    if walk.whole:
        for run, sequence in walk.missed.items():
            if run not in walk.erased:
                yield Break(
                    sequence, f"the key of run {run} is gone, and no entry says who erased it"
                )


def _warnings(entries: int, signed: int) -> Iterable[str]:
    left = entries - signed
    # The entry that speaks of a checkpoint always comes after it.
    if left > 1 and signed:
        yield f"the last {left} entries are behind the last checkpoint: cut off, they would not be missed"
    elif entries and not signed:
        yield "nothing is signed: entries that were cut off at the end would not be missed"
