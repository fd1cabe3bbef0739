"""Which people may decide here, with which roles and tokens, and who am I?"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli.common import Json, journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from crews.records.store import Store
    from crews.records.tokens import Token
    from crews.records.users import Decider, Person

users_app = typer.Typer(
    help="Say who may decide: people, their roles, their tokens.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
UserName = Annotated[str, typer.Argument(metavar="NAME", help="A user's name.")]
_NOBODY = (
    "nobody is left who may decide: no review can be answered before `crews users add` makes a user"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(users_app, name="users")
    app.command("whoami")(whoami)


def whoami(json: Json = False) -> None:
    """Say who you are here, how that is known, and what you may decide."""
    from crews.answering import identified
    from crews.cli.output import put, put_json

    with journal() as (store, settings):
        me = identified(store, settings, about="whoami")
    if json:
        from crews.cli.shapes import MeShape

        put_json(
            MeShape(
                name=me.name,
                signed_in=me.signed_in,
                roles=sorted(me.roles),
                every_role=me.every_role,
            )
        )
        return
    how = {
        "local": "the journal knows no users, so you are the only one there is",
        "login": "by your login on this machine",
        "token": "by the token in CREWS_TOKEN",
    }
    roles = "every role" if me.every_role else ", ".join(sorted(me.roles)) or "no role"
    put(f"{me.name}: {roles}\n{how[me.signed_in]}")


@users_app.command("add")
def add(
    name: UserName,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", metavar="ROLE", help="What they may decide; can be repeated."),
    ] = None,
    login: Annotated[
        str,
        typer.Option(
            metavar="LOGIN",
            help="The operating system's user who is this person: LOGIN, or HOST/LOGIN.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Make a user. From the first one on, only users decide."""
    from crews.cli.output import say
    from crews.records import users

    with _changing(f"users add {name}") as (store, me):
        first = not users.list_users(store)
        person = users.add_user(store, name, roles=role or (), login=login, by=me)
    _told_person(person, "added", as_json=json)
    if json:
        return
    if first:
        say(f"{name} is the first user and may change the others, as `{users.ADMIN}`; "
            "from now on only users decide")  # fmt: skip
    if not login:
        say(f"{name} signs in by token: crews users token {name}")


@users_app.command("remove")
def remove(name: UserName, json: Json = False) -> None:
    """Take a user's rights and tokens away; what they have decided stays theirs."""
    from crews.cli.output import put_json, say
    from crews.records import users

    with _changing(f"users remove {name}") as (store, me):
        left = users.remove_user(store, name, by=me)
    if json:
        put_json({"name": name, "active": False, "anybody_left": left})
        return
    say(f"user {name} may decide nothing any more")
    if not left:
        say(_NOBODY)


@users_app.command("role")
def role(
    name: UserName,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="ROLE", help="A further role.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="ROLE", help="A role less.")
    ] = None,
    json: Json = False,
) -> None:
    """Change what a user may decide."""
    from crews.errors import UsageError
    from crews.records import users

    if not (add or remove):
        raise UsageError("nothing is to be changed", hint="--add ROLE or --remove ROLE")
    with _changing(f"users role {name}") as (store, me):
        person = users.change_roles(store, name, add=add or (), remove=remove or (), by=me)
    _told_person(person, "changed", as_json=json)


@users_app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Removed users as well.")] = False,
    json: Json = False,
) -> None:
    """List the users."""
    from crews.cli.output import put, put_json
    from crews.cli.shapes import user_shape
    from crews.records import users

    with journal() as (store, _):
        found = users.list_users(store, every=every)
    if json:
        put_json([user_shape(p) for p in found])
    else:
        put(user_table(found))


def user_table(found: Sequence[Person]) -> str:
    """Users as a table; what it means if there are none."""
    from crews.cli.output import moment, table
    from crews.plain import one_line

    if not found:
        return "No users: whoever can use this journal may decide everything."
    rows = [
        [p.name, "" if p.active else "removed", one_line(p.login), moment(p.created_at),
         one_line(", ".join(sorted(p.roles)), 200)]
        for p in found
    ]  # fmt: skip
    return table(["user", "state", "login", "since", "roles"], rows)


@users_app.command("token")
def token(
    name: UserName,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="When it ends: 12h, 90d. Default: never.")
    ] = "",
    label: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    json: Json = False,
) -> None:
    """Make a token for a user and print it, once: it is kept nowhere."""
    from crews.cli.common import seconds
    from crews.cli.output import moment, put, put_json, say
    from crews.cli.shapes import token_shape
    from crews.records import tokens

    lasts = seconds(expires, "--expires") if expires else None
    with _changing(f"users token {name}") as (store, me):
        made, secret = tokens.make_token(store, name, by=me, label=label, lasts=lasts)
    if json:
        put_json({**token_shape(made, time.time()).model_dump(), "token": secret})
        return
    put(secret)
    ends = f"until {moment(made.expires_at)}" if made.expires_at else "until it is revoked"
    say(f"token {made.id} of {name}, {ends}; it is not shown again. Use it as CREWS_TOKEN")


@users_app.command("tokens")
def tokens_(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Of one user only.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the tokens, without what they are."""
    from crews.cli.output import put, put_json
    from crews.cli.shapes import token_shape
    from crews.records import tokens, users

    with journal() as (store, _):
        if name is not None:
            with store.reading() as connection:
                users.find(connection, name, active=False)  # a typo is no empty list
        found = tokens.list_tokens(store, name)
    if json:
        put_json([token_shape(t, time.time()) for t in found])
    else:
        put(token_table(found))


def token_table(found: Sequence[Token]) -> str:
    """Tokens as a table; a friendly line if there are none."""
    from crews.cli.output import moment, table

    if not found:
        return "No tokens."
    now = time.time()
    rows = [
        [t.id, t.user, t.state(now), moment(t.created_at), moment(t.expires_at) or "never",
         moment(t.used_at) or "never", t.label]
        for t in found
    ]  # fmt: skip
    return table(["token", "user", "state", "made", "expires", "used", "label"], rows)


@users_app.command("revoke")
def revoke(
    token: Annotated[str, typer.Argument(metavar="ID", help="A token's id.")], json: Json = False
) -> None:
    """Make a token count no more."""
    from crews.cli.output import put_json, say
    from crews.cli.shapes import token_shape
    from crews.records import tokens

    with _changing(f"users revoke {token}") as (store, me):
        gone = tokens.revoke_token(store, token, by=me)
    if json:
        put_json(token_shape(gone, time.time()))
        return
    say(f"token {gone.id} of {gone.user} counts no more")


@contextmanager
def _changing(about: str) -> Generator[tuple[Store, Decider]]:
    """The journal, and who changes it."""
    from crews.records import people

    with journal() as (store, settings):
        given = None if settings.token is None else settings.token.get_secret_value()
        yield store, people.changer(store, user=settings.user, token=given, about=about)


def _told_person(person: Person, what: str, *, as_json: bool) -> None:
    from crews.cli.output import put_json, say
    from crews.cli.shapes import user_shape

    if as_json:
        shape: BaseModel = user_shape(person)
        put_json(shape)
        return
    roles = ", ".join(sorted(person.roles)) or "no role"
    say(f"user {person.name} {what}: {roles}")
