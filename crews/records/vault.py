"""How can what people said be taken out of a log that nobody can change? It is kept beside it, under the run's own key.

An entry of the audit log holds structure: ids, names of rules and tools, rulings. What people and models wrote (a goal,
arguments, a reason, an answer) stands in the entry only as HMAC-SHA256 under a key of the run, and its text,
encrypted with AES-256-GCM under that key, in a table of its own. Throwing the key away erases the texts, and what is
left in the log says nothing about them: not even a short one can be guessed, as it could from a plain hash. A backup
that was made before holds the key still.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue
from sqlalchemy import Connection, delete, insert, select, update

from crews.errors import StoreError
from crews.records.statement import Prepared
from crews.records.store import KEYS, Store, dump
from crews.records.tables import payloads, vault_keys

Contents = Mapping[str, JsonValue]

ERASED = "erased"
"""Stands where the HMAC would: the run's key had been thrown away before this was written."""
_NONCE = 12
_INSERT = Prepared(insert(payloads))
_KEEP = Prepared(insert(vault_keys))


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run's key; an empty `secret`: it was thrown away."""

    run: str
    secret: str

    def mac(self, name: str, value: JsonValue) -> str:
        """What stands in the log for a value."""
        if not self.secret:
            return ERASED
        text = f"{name}\0{dump([value])}".encode()
        return hmac.digest(self._part("mac"), text, "sha256").hex()

    def encrypt(self, sequence: int, contents: Contents) -> str:
        """Contents of one entry, as the table keeps them."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(_NONCE)
        cipher = AESGCM(self._part("text"))
        sealed = cipher.encrypt(nonce, dump(dict(contents)).encode(), self._place(sequence))
        return base64.b64encode(nonce + sealed).decode()

    def decrypt(self, sequence: int, sealed: str) -> dict[str, JsonValue]:
        """Contents of one entry.

        Raises:
            StoreError: they are not what was written.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            raw = base64.b64decode(sealed, validate=True)
            cipher = AESGCM(self._part("text"))
            text = cipher.decrypt(raw[:_NONCE], raw[_NONCE:], self._place(sequence))
        except (ValueError, InvalidTag):
            raise StoreError(
                f"the contents of audit entry {sequence} were changed, or its run's key was"
            ) from None
        return json.loads(text)

    def _part(self, use: str) -> bytes:
        return _derived(self.secret, use)

    def _place(self, sequence: int) -> bytes:
        return f"{self.run}\0{sequence}".encode()


@lru_cache(maxsize=128)
def _derived(secret: str, use: str) -> bytes:
    """One key for each use, all from the one that is kept."""
    return hmac.digest(base64.b64decode(secret), f"crews vault {use}".encode(), "sha256")


def key_of(connection: Connection, run: str, found: str | None) -> RunKey:
    """A run's key, made on its first use; `found`: what the table holds."""
    if found is None:
        found = base64.b64encode(secrets.token_bytes(32)).decode()
        _KEEP.run(connection, {"run": run, "secret": found})
    return RunKey(run, found)


def put(connection: Connection, key: RunKey, sequence: int, contents: Contents) -> None:
    """Keep an entry's contents; nothing of an erased run."""
    if key.secret:
        sealed = key.encrypt(sequence, contents)
        _INSERT.run(connection, {"sequence": sequence, "run": key.run, "sealed": sealed})


def erase(connection: Connection, run: str) -> int:
    """Throw a run's key and its sealed contents away; returns how many entries lose theirs."""
    _derived.cache_clear()
    connection.info.pop(KEYS, None)  # what comes after it in the transaction has no key
    gone = connection.execute(delete(payloads).where(payloads.c.run == run)).rowcount
    values = {"secret": "", "erased_at": time.time()}
    mine = vault_keys.c.run == run
    if not connection.execute(update(vault_keys).where(mine).values(**values)).rowcount:
        connection.execute(insert(vault_keys).values(run=run, **values))
    return gone


def contents_of(store: Store, run: str | None = None) -> dict[int, dict[str, JsonValue]]:
    """Sequence -> contents of the entries of a run, or of all; none where they were erased.

    Raises:
        StoreError: some were changed.
    """
    with store.reading() as connection:
        return opened(keys(connection, run), _sealed(connection, run))


def keys(connection: Connection, run: str | None = None) -> dict[str, RunKey]:
    """Run -> its key; of all runs, or of one."""
    query = select(vault_keys.c.run, vault_keys.c.secret)
    if run is not None:
        query = query.where(vault_keys.c.run == run)
    return {row.run: RunKey(row.run, row.secret) for row in connection.execute(query)}


def opened(
    known: Mapping[str, RunKey], rows: Mapping[int, tuple[str, str]]
) -> dict[int, dict[str, JsonValue]]:
    """Contents of those whose key is there; `rows`: sequence -> (run, sealed)."""
    return {
        sequence: known[run].decrypt(sequence, sealed)
        for sequence, (run, sealed) in rows.items()
        if run in known and known[run].secret
    }


def sealed_between(connection: Connection, first: int, last: int) -> dict[int, tuple[str, str]]:
    """Sequence -> (run, sealed contents) of a stretch of the log."""
    query = select(payloads).where(payloads.c.sequence.between(first, last))
    return {row.sequence: (row.run, row.sealed) for row in connection.execute(query)}


def _sealed(connection: Connection, run: str | None) -> dict[int, tuple[str, str]]:
    query = select(payloads)
    if run is not None:
        query = query.where(payloads.c.run == run)
    return {row.sequence: (row.run, row.sealed) for row in connection.execute(query)}
