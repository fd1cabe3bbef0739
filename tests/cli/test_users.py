"""Can people be made, given roles and tokens, and taken away again, with commands alone?"""

from __future__ import annotations

import os
import pwd
import re

import pytest
from inline_snapshot import snapshot

from crews.records.reviews import get_review
from tests.cli.journal import Journal
from tests.support.written import begun

ME = pwd.getpwuid(os.getuid()).pw_name
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d")


def opened(journal: Journal, **question: object) -> str:
    with journal.store() as store:
        return begun(store).review(5, **question).id


def test_without_users_one_may_decide_everything(journal: Journal) -> None:
    assert journal.run("users", "list").out == (
        "No users: whoever can use this journal may decide everything.\n"
    )
    assert journal.run("users", "list", "--json").json == []
    assert journal.run("users", "tokens").out == "No tokens.\n"
    assert journal.run("whoami").out == (
        "grace: every role\nthe journal knows no users, so you are the only one there is\n"
    )
    me = journal.run("whoami", "--json").json
    assert me == {"name": "grace", "signed_in": "local", "roles": [], "every_role": True}


def test_people_come_change_and_go(journal: Journal) -> None:
    first = journal.run("users", "add", "ann", "--login", ME, "--role", "security")
    assert (first.code, first.out) == (0, "")
    assert first.err == snapshot("""\
user ann added: admin, security
ann is the first user and may change the others, as `admin`; from now on only users decide
""")
    assert journal.run("users", "add", "bob").err == snapshot("""\
user bob added: no role
bob signs in by token: crews users token bob
""")
    changed = journal.run("users", "role", "bob", "--add", "legal", "--add", "security", "--json")
    assert changed.json["roles"] == ["legal", "security"]
    shown = TIME.sub("TIME", journal.run("users", "list").out).replace(ME, "LOGIN")
    assert shown == snapshot("""\
user  state  login  since             roles
ann          LOGIN   TIME  admin, security
bob                 TIME  legal, security
""")
    assert journal.run("whoami").out == "ann: admin, security\nby your login on this machine\n"
    assert journal.run("users", "remove", "bob").err == "user bob may decide nothing any more\n"
    assert [u["name"] for u in journal.run("users", "list", "--json").json] == ["ann"]
    every = journal.run("users", "list", "--all", "--json").json
    assert [(u["name"], u["active"]) for u in every] == [("ann", True), ("bob", False)]


def test_taking_the_last_one_away_says_what_follows(journal: Journal) -> None:
    review = opened(journal)
    journal.run("users", "add", "ann", "--login", ME)
    gone = journal.run("users", "remove", "ann")
    assert gone.code == 0
    assert "no review can be answered before `crews users add`" in gone.err
    refused = journal.run("inbox", "approve", review)
    assert refused.code == 6
    assert "every user was removed: `crews users add NAME --login LOGIN`" in refused.err
    assert journal.run("users", "add", "eve", "--login", ME).code == 0
    assert journal.run("inbox", "approve", review).code == 0


def test_a_token_decides_in_its_users_name(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = opened(journal, role="security")
    journal.run("users", "add", "ann", "--login", ME)
    journal.run("users", "add", "bob", "--role", "security")
    refused = journal.run("inbox", "approve", review)
    assert refused.code == 6
    assert "`ann` may not decide" in refused.err
    made = journal.run("users", "token", "bob", "--expires", "90d", "--label", "the laptop")
    secret = made.out.strip()
    assert secret.startswith("crw_")
    assert "of bob, until" in made.err
    assert "it is not shown again" in made.err
    monkeypatch.setenv("CREWS_TOKEN", secret)
    assert journal.run("whoami").out == "bob: security\nby the token in CREWS_TOKEN\n"
    assert journal.run("inbox", "approve", review).code == 0
    with journal.store() as store:
        row = get_review(store, review)
    assert (row.decided_by, row.signed_in) == ("bob", "token")
    assert "approve by bob (by token)" in journal.run("inbox", "show", review).out
    assert journal.run("users", "token", "bob").code == 6


def test_tokens_are_listed_and_revoked(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.run("users", "add", "ann", "--login", ME)
    made = journal.run("users", "token", "ann", "--json").json
    assert made["expires_at"] is None
    listed = journal.run("users", "tokens", "ann")
    assert made["token"] not in listed.out
    assert made["token"] not in journal.run("users", "tokens", "--json").out
    assert re.search(rf"{made['id']} +ann +active", listed.out)
    assert journal.run("users", "revoke", made["id"]).err == (
        f"token {made['id']} of ann counts no more\n"
    )
    assert journal.run("users", "tokens", "--json").json[0]["state"] == "revoked"
    monkeypatch.setenv("CREWS_TOKEN", made["token"])
    assert "is revoked" in journal.run("whoami").err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("role", "ann"), "nothing is to be changed"),
        (("role", "eve", "--add", "x"), "there is no user `eve`"),
        (("add", "ann"), "there is a user `ann` already"),
        (("add", "a b"), "is no name for a user"),
        (("token", "ann", "--expires", "soon"), "is no length of time"),
        (("token", "ann", "--expires", "0d"), "must be above 0"),
        (("token", "eve"), "there is no user `eve`"),
        (("tokens", "eve"), "there is no user `eve`"),
        (("revoke", "nothing"), "there is no token `nothing`"),
        (("remove", "eve"), "there is no user `eve`"),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    journal: Journal, arguments: tuple[str, ...], problem: str
) -> None:
    journal.run("users", "add", "ann", "--login", ME)
    ran = journal.run("users", *arguments)
    assert ran.code == 2
    assert problem in ran.err
    assert [u["roles"] for u in journal.run("users", "list", "--json").json] == [["admin"]]


def test_who_is_nobody_here_starts_no_run_and_changes_nobody(journal: Journal) -> None:
    journal.run("users", "add", "ann")
    for arguments in (("users", "add", "eve"), ("whoami",), ("inbox", "--mine")):
        ran = journal.run(*arguments)
        assert ran.code == 6
        assert "this journal has users, and you are none of them" in ran.err
    assert journal.run("inbox").code == 0  # looking is free
