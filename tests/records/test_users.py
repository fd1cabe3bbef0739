"""Who may say who may decide? Nobody is locked out by accident, and every change is on record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crews.errors import CrewsError, Denied, UsageError
from crews.records import tokens, users
from crews.records.store import Store
from crews.records.users import ADMIN
from tests.records.persons import ROOT, decider, peopled, told


def test_the_first_user_may_change_the_others(store: Store) -> None:
    first = users.add_user(store, "ann", roles=["security"], by=decider("x", signed_in="local"))
    assert first.roles == {"security", ADMIN}
    second = users.add_user(store, "bob", roles=["legal"], login="bob", by=decider("ann", ADMIN))
    assert (second.roles, second.login, second.active) == ({"legal"}, "bob", True)
    assert users.list_users(store) == (first, second)


@pytest.mark.parametrize(
    "by", [decider("bob", ADMIN), decider("root", ADMIN, signed_in="local"), decider("eve", ADMIN)]
)
def test_who_is_no_admin_changes_nobody_and_is_recorded(store: Store, by: users.Decider) -> None:
    """The journal's own word counts, not what a caller says of itself."""
    peopled(store, bob=("legal",))
    before = users.list_users(store)
    attempts: list[Callable[[], object]] = [
        lambda: users.add_user(store, "eve", roles=[ADMIN], by=by),
        lambda: users.change_roles(store, "bob", add=["security"], by=by),
        lambda: users.remove_user(store, "root", by=by),
        lambda: tokens.make_token(store, "root", by=by),
    ]
    for attempt in attempts:
        with pytest.raises(Denied, match="may not change people"):
            attempt()
    assert users.list_users(store) == before
    assert [t["by"] for t in told(store, "people_refused")] == [by.name] * 4


def test_roles_come_and_go(store: Store) -> None:
    peopled(store, bob=("legal",))
    after = users.change_roles(store, "bob", add=["security"], remove=["legal"], by=ROOT)
    assert after.roles == {"security"}
    with pytest.raises(UsageError, match="does not have the role `legal`"):
        users.change_roles(store, "bob", remove=["legal"], by=ROOT)


def test_an_admin_is_always_left(store: Store) -> None:
    peopled(store, bob=())
    for attempt in (
        lambda: users.remove_user(store, "root", by=ROOT),
        lambda: users.change_roles(store, "root", remove=[ADMIN], by=ROOT),
    ):
        with pytest.raises(UsageError, match="nobody with the role `admin` would be left"):
            attempt()
    users.change_roles(store, "bob", add=[ADMIN], by=ROOT)
    assert users.remove_user(store, "root", by=ROOT)
    assert [p.name for p in users.list_users(store)] == ["bob"]


def test_the_last_one_may_go_and_somebody_may_come_after(store: Store) -> None:
    peopled(store)
    assert not users.remove_user(store, "root", by=ROOT)
    assert users.list_users(store) == ()
    back = users.add_user(store, "root", roles=["legal"], by=decider("x", signed_in="local"))
    assert back.roles == {"legal", ADMIN}
    assert len(users.list_users(store, every=True)) == 1


def test_who_is_removed_loses_their_tokens_for_good(store: Store) -> None:
    peopled(store, bob=())
    made, _ = tokens.make_token(store, "bob", by=ROOT)
    users.remove_user(store, "bob", by=ROOT)
    users.add_user(store, "bob", by=ROOT)
    (kept,) = tokens.list_tokens(store, "bob")
    assert (kept.id, kept.state(kept.created_at)) == (made.id, "revoked")


@pytest.mark.parametrize(
    ("name", "roles", "login", "problem"),
    [
        ("the deadline", [], "", "is no name"),
        ("", [], "", "is no name"),
        ("x\x1b[2J", [], "", "is no name"),
        ("bob", [], "", "is a user `bob` already"),
        ("eve", ["a,b"], "", "is no role"),
        ("eve", [" "], "", "is no role"),
        ("eve", ["a\u202eb"], "", "is no role"),
        ("eve", [], "bob-login", "is `bob`'s already"),
        ("eve", [], "a/b/c", "is no login"),
    ],
)
def test_what_cannot_be_a_user(
    store: Store, name: str, roles: list[str], login: str, problem: str
) -> None:
    peopled(store, bob=())
    with pytest.raises(UsageError, match=problem):
        users.add_user(store, name, roles=roles, login=login, by=ROOT)
    assert len(users.list_users(store)) == 2


def test_what_is_not_there_cannot_be_changed(store: Store) -> None:
    peopled(store)
    attempts: list[Callable[[], object]] = [
        lambda: users.remove_user(store, "eve", by=ROOT),
        lambda: users.change_roles(store, "eve", add=["a"], by=ROOT),
        lambda: tokens.make_token(store, "eve", by=ROOT),
        lambda: tokens.revoke_token(store, "none", by=ROOT),
    ]
    for attempt in attempts:
        with pytest.raises(CrewsError, match="there is no"):
            attempt()


def test_every_change_is_in_the_audit_log(store: Store) -> None:
    peopled(store, bob=("legal",))
    users.change_roles(store, "bob", add=["security"], by=ROOT)
    users.remove_user(store, "bob", by=ROOT)
    assert [(t["user"], t["by"]) for t in told(store, "user_added", "")] == [
        ("root", "nobody"), ("bob", "root"),
    ]  # fmt: skip
    assert told(store, "user_roles", "")[0]["roles"] == ["legal", "security"]
    assert told(store, "user_removed", "")[0]["user"] == "bob"
