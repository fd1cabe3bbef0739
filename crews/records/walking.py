"""Is each entry of the audit log what was written, and what root did the log have at each size?"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from crews.errors import StoreError
from crews.records import merkle
from crews.records.audit import GENESIS, SEALED, AuditRow, entry_line
from crews.records.vault import ERASED, RunKey


@dataclass(frozen=True, slots=True)
class Break:
    """One thing that is not as it was written."""

    sequence: int
    """The first entry that is concerned."""
    what: str


@dataclass(slots=True)
class Walk:
    """A reader of the log from its beginning. It stops at the first break of the chain."""

    wanted: Collection[int]
    """Sizes whose roots are to be kept."""
    roots: dict[int, bytes] = field(default_factory=dict[int, bytes])
    breaks: list[Break] = field(default_factory=list[Break])
    checkpoints: dict[int, tuple[int, str]] = field(default_factory=dict[int, tuple[int, str]])
    """What the entries say: size -> sequence, digest of the note."""
    keys: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """What the entries say: fingerprint -> sequence, public key."""
    erased: set[str] = field(default_factory=set[str])
    """Runs whose contents were erased, as the entries say."""
    missed: dict[str, int] = field(default_factory=dict[str, int])
    """Runs without a key -> the first entry whose contents are gone with it."""
    whole: bool = True
    _previous: str = GENESIS
    _edge: merkle.Edge = field(default_factory=merkle.Edge)

    @property
    def size(self) -> int:
        """Entries that were read."""
        return self._edge.size

    def take(self, row: AuditRow) -> bool:
        """Read the next entry; False: the chain is broken here."""
        if why := self._wrong(row):
            self.breaks.append(Break(self.size + 1, why))
            self.whole = False
            return False
        self._previous = row.hash
        node = self._edge.add(merkle.leaf_hash(entry_line(row).encode()))
        if row.node != node.hex():
            why = "its place in the Merkle tree was changed"
            self.breaks.append(Break(row.sequence, why))
        if self.size in self.wanted:
            self.roots[self.size] = self._edge.root
        self._note(row, _body(row))
        return True

    def _wrong(self, row: AuditRow) -> str:
        expected = self.size + 1
        if row.sequence > expected:
            return f"missing: the entry after {self.size} is {row.sequence}"
        if row.sequence < expected:
            return f"an entry {row.sequence} stands where {expected} belongs"
        if hashlib.sha256(entry_line(row).encode()).hexdigest() != row.hash:
            return "it was changed: its hash is another one"
        if row.previous != self._previous:
            return "it does not follow the entry before it: one of the two was replaced"
        return ""

    def _note(self, row: AuditRow, body: Mapping[str, Any]) -> None:
        if row.kind == "checkpoint":
            self.checkpoints[int(body["size"])] = (row.sequence, str(body["note"]))
        elif row.kind == "audit_key":
            self.keys[str(body["key"])] = (row.sequence, str(body["public"]))
        elif row.kind == "run_erased" or (row.kind == "run_purged" and "erased" in body):
            self.erased.add(row.run)

    def open(
        self, row: AuditRow, keys: Mapping[str, RunKey], sealed: tuple[str, str] | None
    ) -> None:
        """Compare an entry's contents, as the vault has them, with what the entry says of them."""
        macs: Mapping[str, str] = _body(row).get(SEALED, {})
        if not macs and sealed is None:
            return
        key = keys.get(row.run)
        if key is None or not key.secret:
            if set(macs.values()) - {ERASED}:
                self.missed.setdefault(row.run, row.sequence)
            return
        if why := _unlike(row, key, macs, sealed):
            self.breaks.append(Break(row.sequence, why))


def _body(row: AuditRow) -> Mapping[str, Any]:
    try:
        found = json.loads(row.body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _unlike(
    row: AuditRow, key: RunKey, macs: Mapping[str, str], sealed: tuple[str, str] | None
) -> str:
    if sealed is None or sealed[0] != row.run:
        return "its contents are gone, although nobody has erased them"
    try:
        contents = key.decrypt(row.sequence, sealed[1])
    except StoreError:
        return "its contents were changed, or their key was"
    same = contents.keys() == macs.keys() and all(
        hmac.compare_digest(key.mac(name, value), macs[name]) for name, value in contents.items()
    )
    return "" if same else "its contents are not those that the entry speaks of"
