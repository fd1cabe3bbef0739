"""How is the audit log taken out as one file, and does such a file hold, without the journal?

JSON lines: first what the file is, then the public keys, the checkpoints and the entries. A file with the whole log
is checked from its beginning. In one with a part, each entry has its proof (RFC 9162, section 2.1.3) that it is in the
log that the one checkpoint covers: what is there is genuine, but the file cannot show that nothing was left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from crews.errors import UsageError
from crews.records import audit, merkle, vault
from crews.records.audit import AuditRow, entry_line
from crews.records.proving import Audited, Break, Signed, check_notes
from crews.records.sealing import known_keys
from crews.records.signing import Checkpoint, PublicKey
from crews.records.store import Store, dump
from crews.records.tables import checkpoints
from crews.records.walking import Walk
from crews.safety.redact import Redactor

FORMAT = 1
"""Of the layout of the file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the log."""

    run: str = ""
    since: float = 0.0
    """Seconds since the epoch."""
    contents: bool = False
    """With what people and models wrote; erasing does not reach it there."""

    @property
    def is_whole(self) -> bool:
        """Is it all of it?"""
        return not self.run and not self.since

    def takes(self, row: AuditRow) -> bool:
        """Is the entry part of it?"""
        return self.run in {"", row.run} and row.at >= self.since


def lines(store: Store, wanted: Wanted, redactor: Redactor) -> Iterator[str]:
    """The file, line by line, each without its end.

    Raises:
        UsageError: the log was never signed, so that nothing could be shown of a part of it.
    """
    with store.reading() as connection:
        notes = connection.execute(select(checkpoints).order_by(checkpoints.c.size)).all()
        rows = list(audit.stream(connection))
    size = notes[-1].size if notes else 0
    if not notes and not wanted.is_whole:
        raise UsageError("the audit log was never signed, so no part of it can be proved",
                         hint="export all of it")  # fmt: skip
    keys = known_keys(store)
    rows = rows[:size] if notes else rows
    yield dump({
        "line": "log", "format": FORMAT, "origin": keys[0].origin if keys else "",
        "entries": len(rows), "whole": wanted.is_whole, "run": wanted.run, "since": repr(wanted.since),
    })  # fmt: skip
    for key in keys:
        public = key.public
        yield dump({
            "line": "key", "fingerprint": public.fingerprint, "public": public.raw.hex(),
            "verifier": public.verifier(key.origin), "host": key.host,
        })  # fmt: skip
    for note in notes if wanted.is_whole else notes[-1:]:
        yield dump({"line": "checkpoint", "note": note.note})
    contents = vault.contents_of(store, wanted.run or None) if wanted.contents else {}
    yield from _entries(rows, wanted, contents, redactor)


def _entries(
    rows: Sequence[AuditRow], wanted: Wanted, contents: dict[int, Any], redactor: Redactor
) -> Iterator[str]:
    leaves = [merkle.leaf_hash(entry_line(row).encode()) for row in rows]
    tree = None if wanted.is_whole else merkle.Tree(leaves)
    for index, row in enumerate(rows):
        if not wanted.takes(row):
            continue
        found: dict[str, Any] = {"line": "entry", **asdict(row), "at": repr(row.at)}
        if tree is not None:
            found["proof"] = [other.hex() for other in tree.inclusion(index)]
        if row.sequence in contents:
            found["contents"] = redactor.outward_json(contents[row.sequence])
        yield dump(found)


@dataclass(frozen=True, slots=True)
class AuditFile:
    """Such a file, read."""

    head: dict[str, Any]
    keys: tuple[PublicKey, ...]
    notes: tuple[Signed, ...]
    entries: tuple[tuple[AuditRow, tuple[bytes, ...]], ...]
    """Each with its proof; empty where the file holds the whole log."""


def read(text: Iterable[str], where: str) -> AuditFile:
    """Read such a file.

    Raises:
        UsageError: it is none; the error names the line.
    """
    found: dict[str, list[dict[str, Any]]] = {"log": [], "key": [], "checkpoint": [], "entry": []}
    number = 0
    try:
        for line in text:
            number += 1
            one = json.loads(line)
            found[one["line"]].append(one)
        (head,) = found["log"]
        if head["format"] != FORMAT:
            raise UsageError("the file was written by another version of crews", where=where)
        number = 0
        return AuditFile(
            head,
            tuple(PublicKey(bytes.fromhex(one["public"])) for one in found["key"]),
            tuple(Signed(str(one["note"]), "a checkpoint in the file") for one in found["checkpoint"]),
            tuple((_row(one), tuple(map(bytes.fromhex, one.get("proof", [])))) for one in found["entry"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        raise UsageError("this is no exported audit log", where=f"{where}:{number}" if number else where,
                         hint="`crews audit export --to FILE` writes one") from None  # fmt: skip


def _row(one: dict[str, Any]) -> AuditRow:
    texts = {name: str(one[name]) for name in ("run", "kind", "body", "previous", "hash", "node")}
    return AuditRow(sequence=int(one["sequence"]), at=float(one["at"]), **texts)


def check(
    file: AuditFile,
    outside: Sequence[Signed] = (),
    trusted: Sequence[PublicKey] | None = None,
) -> Audited:
    """Check such a file by itself; `trusted`: the only keys that may have signed."""
    keys = file.keys if trusted is None else trusted
    origin = str(file.head.get("origin", ""))
    notes = [*file.notes, *outside]
    if file.head.get("whole"):
        walk = Walk({found.size for note in notes if (found := note.read)})
        all(walk.take(row) for row, _ in file.entries)
        signed, broken = check_notes(walk, notes, keys, origin)
        breaks = [*walk.breaks, *broken, *_missing(file, walk)]
    else:
        signed, breaks = _check_part(file, keys, origin)
        if outside:
            breaks.append(
                Break(1, "a part of a log cannot be compared with a checkpoint kept outside")
            )
    warnings = (
        () if trusted else ("its keys are those that it names itself: compare them, or give --key",)
    )
    return Audited(
        origin=origin, entries=len(file.entries), signed=signed, checkpoints=len(file.notes),
        outside=len(outside), erased=0, breaks=tuple(sorted(breaks, key=lambda b: b.sequence)),
        warnings=warnings,
    )  # fmt: skip


def _missing(file: AuditFile, walk: Walk) -> list[Break]:
    said = int(file.head.get("entries", 0))
    if walk.whole and walk.size != said:
        return [Break(walk.size + 1, f"the file says that it holds {said} entries")]
    return []


def _check_part(file: AuditFile, keys: Sequence[PublicKey], origin: str) -> tuple[int, list[Break]]:
    note = file.notes[-1].read if file.notes else None
    if note is None or note.origin != origin or not any(note.is_by(key) for key in keys):
        return 0, [Break(1, "there is no checkpoint in it that one of the keys has signed")]
    last, breaks = 0, list[Break]()
    for row, proof in file.entries:
        if why := _unproved(row, proof, note, last):
            breaks.append(Break(row.sequence, why))
        last = row.sequence
    return note.size, breaks


def _unproved(row: AuditRow, proof: Sequence[bytes], note: Checkpoint, last: int) -> str:
    line = entry_line(row).encode()
    if row.sequence <= last:
        return "it stands behind a later one"
    if hashlib.sha256(line).hexdigest() != row.hash:
        return "it was changed: its hash is another one"
    leaf = merkle.leaf_hash(line)
    if not merkle.includes(note.root, note.size, row.sequence - 1, leaf, proof):
        return "it is not in the log that was signed"
    return ""
