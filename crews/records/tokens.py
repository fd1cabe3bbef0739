"""Which token stands for which user? A token is shown once; only its SHA-256 digest is kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select, update

from crews.errors import UsageError
from crews.plain import one_line
from crews.records import audit, users
from crews.records.rows import row_as
from crews.records.store import Store
from crews.records.tables import tokens
from crews.records.users import Decider

PREFIX = "crw_"
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
_REMEMBER = 60.0
"""Seconds between two notes of a token's use: reading the inbox is no reason to write each time."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token."""

    id: str
    user: str
    digest: str
    label: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None

    def state(self, now: float) -> str:
        """`active`, `revoked` or `expired`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def make_token(
    store: Store, user: str, *, by: Decider, label: str = "", lasts: float | None = None
) -> tuple[Token, str]:
    """Make a token for a user.

    Args:
        store: The journal.
        user: Whose it is.
        by: Who makes it: an admin, or the user, logged in.
        label: What it is for.
        lasts: Seconds after which it counts no more; None: until it is revoked.

    Returns:
        What is kept, and the token itself: `crw_` and 256 random bits. It cannot be shown again.

    Raises:
        UsageError: no such user.
        Denied: `by` may not.
    """
    secret = PREFIX + secrets.token_urlsafe(32)
    now = time.time()
    made = Token(
        id="".join(secrets.choice(_ALPHABET) for _ in range(8)),
        user=user,
        digest=_digest(secret),
        label=one_line(label),
        created_at=now,
        expires_at=None if lasts is None else now + lasts,
        used_at=None,
        revoked_at=None,
    )

    def act(connection: Connection) -> None:
        users.find(connection, user)
        connection.execute(insert(tokens).values(**{k: getattr(made, k) for k in _COLUMNS}))
        body: dict[str, JsonValue] = {"expires_at": made.expires_at, "label": made.label}
        _note(connection, "token_made", by, made, body)

    users.changing(store, by, f"make a token for {user}", act, own=user)
    return made, secret


_COLUMNS = tuple(column.name for column in tokens.columns)


def list_tokens(store: Store, user: str | None = None) -> tuple[Token, ...]:
    """Every token, or those of one user, oldest first."""
    query = select(tokens).order_by(tokens.c.created_at)
    if user is not None:
        query = query.where(tokens.c.user == user)
    with store.reading() as connection:
        return tuple(row_as(Token, row) for row in connection.execute(query))


def revoke_token(store: Store, token: str, *, by: Decider) -> Token:
    """Make a token count no more, from now on; UsageError if there is none of that id."""
    found = next((t for t in list_tokens(store) if t.id == token), None)
    if found is None:
        raise UsageError(f"there is no token `{token}`", hint="`crews users tokens` lists them")
    if found.revoked_at is not None:
        raise UsageError(f"token `{token}` was revoked before")

    def act(connection: Connection) -> None:
        mine = tokens.c.id == token
        connection.execute(update(tokens).where(mine).values(revoked_at=time.time()))
        _note(connection, "token_revoked", by, found, {})

    users.changing(store, by, f"revoke token {token}", act, own=found.user)
    return next(t for t in list_tokens(store) if t.id == token)


def owner(connection: Connection, secret: str, now: float) -> Token | str:
    """The token that this secret is, if it counts; else why it does not."""
    digest = _digest(secret)
    row = connection.execute(select(tokens).where(tokens.c.digest == digest)).first()
    # The look-up is by a digest of 256 random bits; comparing in constant time costs nothing more.
    if row is None or not hmac.compare_digest(row.digest, digest):
        return "no such token"
    token = row_as(Token, row)
    state = token.state(now)
    return token if state == "active" else f"token {token.id} is {state}"


def note_use(store: Store, token: Token, now: float) -> None:
    """Keep when a token was last used, to the minute."""
    if token.used_at is not None and now - token.used_at < _REMEMBER:
        return
    with store.writing() as connection:
        connection.execute(update(tokens).where(tokens.c.id == token.id).values(used_at=now))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _note(
    connection: Connection, kind: str, by: Decider, token: Token, more: dict[str, JsonValue]
) -> None:
    body: dict[str, JsonValue] = {
        "token": token.id, "user": token.user, "by": by.name, "signed_in": by.signed_in,
    }  # fmt: skip
    audit.append(connection, "", kind, body | more)
