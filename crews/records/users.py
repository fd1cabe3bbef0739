"""Which people does this journal know, and with which roles?

Where it knows nobody, whoever can use it is one person with every role. From the first user on, only users decide.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import JsonValue
from sqlalchemy import Connection, insert, select, update

from crews.errors import CrewsError, Denied, UsageError
from crews.plain import one_line
from crews.records import audit
from crews.records.statement import Prepared
from crews.records.store import Store, dump
from crews.records.tables import tokens, users

ADMIN = "admin"
"""The role of those who may change people, roles and tokens; there is somebody who has it, always."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_ROLE = re.compile(r"[^\s,]([^,\n]{0,62}[^\s,])?")
_ANY = Prepared(select(users.c.name).limit(1))
T = TypeVar("T")

SignedIn = Literal["local", "login", "token"]


@dataclass(frozen=True, slots=True)
class Decider:
    """Whoever acts now, and how we know."""

    name: str
    roles: frozenset[str]
    every_role: bool
    """The journal knows no users: this person is the only one there is."""
    signed_in: SignedIn


@dataclass(frozen=True, slots=True)
class Person:
    """One user."""

    name: str
    roles: frozenset[str]
    login: str
    """The operating system's user who is this person: `login`, or `HOST/login` on that machine only."""
    active: bool
    created_at: float


def are_known(connection: Connection) -> bool:
    """Does the journal know any people, active or not?"""
    return _ANY.run(connection, {}).first() is not None


def is_nobody_known(store: Store) -> bool:
    """Does it know none at all?"""
    return store.look(_ANY, {}).first() is None


def people(connection: Connection, *, every: bool = False) -> tuple[Person, ...]:
    """The active users by name; `every`: those that were removed as well."""
    query = select(users).order_by(users.c.name)
    if not every:
        query = query.where(users.c.active)
    return tuple(
        Person(r.name, frozenset(json.loads(r.roles)), r.login, bool(r.active), r.created_at)
        for r in connection.execute(query)
    )


def list_users(store: Store, *, every: bool = False) -> tuple[Person, ...]:
    """The active users by name; `every`: those that were removed as well."""
    with store.reading() as connection:
        return people(connection, every=every)


def find(connection: Connection, name: str, *, active: bool = True) -> Person:
    """One user; UsageError if there is none of that name."""
    found = {p.name: p for p in people(connection, every=not active)}
    if name not in found:
        raise UsageError(f"there is no user `{name}`", hint="`crews users list` lists them")
    return found[name]


def add_user(
    store: Store, name: str, *, roles: Collection[str] = (), login: str = "", by: Decider
) -> Person:
    """Make a user, or bring one back who was removed. The first one is an `admin`, too.

    Args:
        store: The journal.
        name: What the audit log will call this person.
        roles: What they may decide: the roles that rules and chains name.
        login: The operating system's user who is this person; see `Person.login`.
        by: Who adds them: an `admin`, or anybody where there is no active user.

    Raises:
        UsageError: a name or role that cannot be, a user who is there already, a login that is another's.
        Denied: `by` is no admin.
    """
    _check_name(name)
    wanted = frozenset(map(_role, roles))
    if login and not re.fullmatch(r"[^\s/]+(/[^\s/]+)?", login):
        raise UsageError(f"`{login}` is no login", hint="write LOGIN, or HOST/LOGIN")

    def act(connection: Connection) -> None:
        everybody = people(connection, every=True)
        if any(p.name == name and p.active for p in everybody):
            raise UsageError(f"there is a user `{name}` already", hint="`crews users list`")
        _check_login(everybody, login)
        first = not any(p.active for p in everybody)
        given = wanted | {ADMIN} if first else wanted
        values = {"roles": dump(sorted(given)), "login": login, "active": True}
        if any(p.name == name for p in everybody):
            connection.execute(update(users).where(users.c.name == name).values(**values))
        else:
            connection.execute(insert(users).values(name=name, created_at=time.time(), **values))
        _note(connection, "user_added", by, user=name, roles=[*sorted(given)], login=login)

    changing(store, by, f"add user {name}", act)
    return _read(store, name)


def remove_user(store: Store, name: str, *, by: Decider) -> bool:
    """Take a user's rights away; their decisions stay theirs, their tokens are revoked.

    Returns:
        False if nobody is left who could decide anything.

    Raises:
        UsageError: no such user, or others are left and none of them is an `admin`.
        Denied: `by` is no admin.
    """

    def act(connection: Connection) -> bool:
        find(connection, name)
        rest = [p for p in people(connection) if p.name != name]
        _check_admin(rest)
        connection.execute(update(users).where(users.c.name == name).values(active=False))
        live = (tokens.c.user == name) & tokens.c.revoked_at.is_(None)
        connection.execute(update(tokens).where(live).values(revoked_at=time.time()))
        _note(connection, "user_removed", by, user=name, active_users=len(rest))
        return bool(rest)

    return changing(store, by, f"remove user {name}", act)


def change_roles(
    store: Store, name: str, *, add: Collection[str] = (), remove: Collection[str] = (), by: Decider
) -> Person:
    """Give a user roles and take others away.

    Raises:
        UsageError: no such user, a role that cannot be or that they do not have, or no `admin` is left.
        Denied: `by` is no admin.
    """
    more = frozenset(map(_role, add))

    def act(connection: Connection) -> None:
        before = find(connection, name)
        if strange := sorted(frozenset(remove) - before.roles):
            has = ", ".join(sorted(before.roles)) or "no role"
            raise UsageError(
                f"`{name}` does not have the role `{strange[0]}`", hint=f"{name} has: {has}"
            )
        after = (before.roles | more) - frozenset(remove)
        if ADMIN in remove:
            _check_admin([p for p in people(connection) if p.name != name], needed=True)
        values = {"roles": dump(sorted(after))}
        connection.execute(update(users).where(users.c.name == name).values(**values))
        _note(connection, "user_roles", by, user=name, roles=[*sorted(after)])

    changing(store, by, f"change the roles of {name}", act)
    return _read(store, name)


def changing(
    store: Store, by: Decider, what: str, act: Callable[[Connection], T], *, own: str = ""
) -> T:
    """Change people in one transaction, if `by` may; a refusal is recorded, then raised.

    `own`: the user who is changed, who may do this for themselves once they are logged in.
    """
    with store.writing() as connection:
        refused = _refusal(connection, by, own)
        if refused is None:
            return act(connection)
        _note(connection, "people_refused", by, what=one_line(what), why=refused.what)
    raise refused


def _refusal(connection: Connection, by: Decider, own: str) -> CrewsError | None:
    active = {p.name: p for p in people(connection)}
    me = active.get(by.name) if by.signed_in != "local" else None
    if not active or (me and ADMIN in me.roles):
        return None
    # A token that makes tokens would outlive its own end.
    if me and own == by.name and by.signed_in == "login":
        return None
    admins = ", ".join(sorted(p.name for p in active.values() if ADMIN in p.roles))
    return Denied(f"`{by.name}` may not change people: only an `{ADMIN}` may",
                  hint=f"ask one of them: {admins}")  # fmt: skip


def _note(connection: Connection, kind: str, by: Decider, **body: JsonValue) -> None:
    audit.append(connection, "", kind, body | {"by": by.name, "signed_in": by.signed_in})


def _read(store: Store, name: str) -> Person:
    with store.reading() as connection:
        return find(connection, name)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"`{one_line(name)}` is no name for a user",
                         hint="letters, digits and _ . @ -, up to 64, a letter or digit first")  # fmt: skip


def _role(text: str) -> str:
    if not _ROLE.fullmatch(text) or one_line(text) != text:
        raise UsageError(f"`{one_line(text)}` is no role", hint="one line of text without a comma")
    return text


def _check_login(everybody: Collection[Person], login: str) -> None:
    other = next((p for p in everybody if login and p.active and p.login == login), None)
    if other:
        raise UsageError(f"the login `{login}` is `{other.name}`'s already")


def _check_admin(rest: Collection[Person], *, needed: bool = False) -> None:
    """Those who are left must be able to change people; `needed`: even if nobody is left."""
    if (rest or needed) and not any(ADMIN in p.roles for p in rest):
        raise UsageError(
            f"nobody with the role `{ADMIN}` would be left",
            hint=f"first make another: crews users role NAME --add {ADMIN}",
        )
