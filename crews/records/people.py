"""Who is at work here, and how do we know? A token, or the operating system's login; never a mere name."""

from __future__ import annotations

import os
import socket
import time

from pydantic import JsonValue
from sqlalchemy import Connection

from crews.errors import Denied
from crews.records import audit, tokens, users
from crews.records.store import Store
from crews.records.users import Decider, Person, SignedIn

__all__ = ["Decider", "changer", "identify", "local", "os_login"]


def identify(store: Store, *, user: str = "", token: str | None = None, about: str = "") -> Decider:
    """Who acts in this process.

    A journal that knows no users has one person, with every role: `user`, or the operating system's login. Once
    it knows users, a token must be valid; without one the login, asked of the system by the process's user number
    and not of the environment, must be an active user's. `user` counts for nothing then.

    Args:
        store: The journal.
        user: The name to go by where there are no users.
        token: The user's token.
        about: What they want to do, for the audit log.

    Raises:
        Denied: the journal knows users, and this is none of them. The attempt is recorded.
    """
    now = time.time()
    if users.is_nobody_known(store):
        return local(user)
    with store.reading() as connection:
        found = _by_token(connection, token, now) if token else _by_login(connection)
        used = tokens.owner(connection, token, now) if token else ""
    if isinstance(found, str):
        raise _unknown(store, found, about, with_token=bool(token))
    if isinstance(used, tokens.Token):
        tokens.note_use(store, used, now)
    return _decider(found, "token" if token else "login")


def local(user: str = "") -> Decider:
    """The one person of a journal that knows no users."""
    name = user or os_login() or "unknown"
    return Decider(name, frozenset(), every_role=True, signed_in="local")


def changer(store: Store, *, user: str = "", token: str | None = None, about: str = "") -> Decider:
    """Who changes people: as `identify`, but where no active user is left, whoever can write the journal."""
    if not users.list_users(store):
        return local(user)
    return identify(store, user=user, token=token, about=about)


def os_login() -> str:
    """The operating system's name for this process's user; empty: it has none."""
    try:
        import pwd
    except ImportError:  # a system without user numbers
        return ""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def _by_token(connection: Connection, secret: str, now: float) -> Person | str:
    token = tokens.owner(connection, secret, now)
    if isinstance(token, str):
        return token
    found = next((p for p in users.people(connection) if p.name == token.user), None)
    return found or f"the user of token {token.id} was removed"


def _by_login(connection: Connection) -> Person | str:
    login = os_login()
    if not login:
        return "the process's user has no login"
    by_login = {p.login: p for p in users.people(connection) if p.login}
    found = by_login.get(f"{socket.gethostname()}/{login}") or by_login.get(login)
    return found or f"no active user has the login `{login}`"


def _decider(person: Person, signed_in: SignedIn) -> Decider:
    return Decider(person.name, person.roles, every_role=False, signed_in=signed_in)


def _unknown(store: Store, why: str, about: str, *, with_token: bool) -> Denied:
    body: dict[str, JsonValue] = {
        "why": why, "login": os_login(), "host": socket.gethostname(), "with_token": with_token,
        "about": about,
    }  # fmt: skip
    with store.writing() as connection:
        audit.append(connection, "", "identity_refused", body)
        left = bool(users.people(connection))
    hint = "ask an admin for a token (`crews users token NAME`) and set CREWS_TOKEN to it"
    if not with_token and left:
        hint += ", or for `crews users add NAME --login LOGIN`"
    if not left:
        hint = "every user was removed: `crews users add NAME --login LOGIN` makes a new one"
    return Denied(f"this journal has users, and you are none of them: {why}", hint=hint)
