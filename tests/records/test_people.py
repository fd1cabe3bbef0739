"""Is whoever acts known by a token or the system's login, and never by what they say?"""

from __future__ import annotations

import os
import pwd
import socket

import pytest

from crews.errors import Denied
from crews.records import people, tokens, users
from crews.records.store import Store
from tests.records.persons import ROOT, peopled, told

ME = pwd.getpwuid(os.getuid()).pw_name


def test_without_users_there_is_one_person_with_every_role(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "mallory")
    monkeypatch.setenv("USER", "mallory")
    alone = people.identify(store)
    assert (alone.name, alone.every_role, alone.signed_in) == (ME, True, "local")
    assert people.identify(store, user="grace").name == "grace"


@pytest.mark.parametrize("login", [ME, f"{socket.gethostname()}/{ME}"])
def test_with_users_the_login_says_who_it_is(store: Store, login: str) -> None:
    peopled(store)
    users.add_user(store, "ann", roles=["legal"], login=login, by=ROOT)
    for given in ("", "root"):  # a name is no proof
        me = people.identify(store, user=given)
        assert (me.name, me.roles, me.every_role) == ("ann", {"legal"}, False)
        assert me.signed_in == "login"


def test_a_login_on_this_machine_goes_before_one_anywhere(store: Store) -> None:
    peopled(store)
    users.add_user(store, "anywhere", login=ME, by=ROOT)
    users.add_user(store, "here", login=f"{socket.gethostname()}/{ME}", by=ROOT)
    assert people.identify(store).name == "here"


def test_a_login_on_another_machine_is_nobody_here(store: Store) -> None:
    peopled(store)
    users.add_user(store, "there", login=f"elsewhere.invalid/{ME}", by=ROOT)
    with pytest.raises(Denied):
        people.identify(store)


def test_who_is_nobody_is_told_what_to_do_and_recorded(store: Store) -> None:
    peopled(store, bob=())
    with pytest.raises(Denied, match=f"no active user has the login `{ME}`") as error:
        people.identify(store, user="bob", about="approve x-1")
    assert "crews users add NAME --login" in error.value.hint
    assert "CREWS_TOKEN" in error.value.hint
    (entry,) = told(store, "identity_refused", "")
    assert (entry["login"], entry["about"], entry["with_token"]) == (ME, "approve x-1", False)


def test_a_wrong_token_is_not_made_good_by_the_login(store: Store) -> None:
    peopled(store)
    users.add_user(store, "ann", login=ME, by=ROOT)
    with pytest.raises(Denied, match="no such token"):
        people.identify(store, token="crw_" + "x" * 43)
    made, secret = tokens.make_token(store, "root", by=ROOT)
    assert people.identify(store, token=secret).name == "root"
    users.change_roles(store, "ann", add=["admin"], by=ROOT)
    users.remove_user(store, "root", by=ROOT)
    with pytest.raises(Denied, match=f"token {made.id} is revoked"):
        people.identify(store, token=secret)


def test_when_every_user_was_removed_nobody_decides_but_a_user_can_be_made(store: Store) -> None:
    peopled(store)
    users.remove_user(store, "root", by=ROOT)
    with pytest.raises(Denied) as error:
        people.identify(store)
    assert "every user was removed" in error.value.hint
    assert people.changer(store, user="grace").name == "grace"


def test_who_changes_people_is_known_like_who_decides(store: Store) -> None:
    peopled(store)
    with pytest.raises(Denied):
        people.changer(store, user="root")
