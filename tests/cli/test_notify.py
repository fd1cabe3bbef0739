"""Can a human set up notifications, try them, and see what was sent, with commands alone?"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.cli.journal import Journal
from tests.notify.receiver import SECRET, Receiver, receiving
from tests.support.written import begun


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver that is the only target."""
    with receiving() as listening:
        target = {"url": f"{listening.url}/T0KEN-OF-OURS", "secret": SECRET}
        monkeypatch.setenv("CREWS_NOTIFY", json.dumps({"ops": target}))
        yield listening


def test_without_targets_it_is_said_how_to_set_one(journal: Journal) -> None:
    assert "[notify.ops]" in journal.run("notify", "list").out
    assert journal.run("notify", "list", "--json").json == []
    for command in ("test", "send"):
        ran = journal.run("notify", command)
        assert (ran.code, "no targets of notifications are set" in ran.err) == (2, True)


def test_targets_are_listed_without_their_secrets(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = {
        "signed": {"url": "https://example.org/T0KEN", "secret": SECRET, "events": ["run_ended"]},
        "plain": {"url": "http://example.org/T0KEN"},
        "chat": {"url": "slack://T0KEN/T0KEN/T0KEN", "events": ["review_opened", "run_ended"]},
    }
    monkeypatch.setenv("CREWS_NOTIFY", json.dumps(targets))
    assert journal.run("notify", "list").out == (
        "target  by              is told of\n"
        "chat    slack           review_opened, run_ended\n"
        "plain   webhook         review_opened, review_reminder, review_handed_up, run_ended\n"
        "signed  signed webhook  run_ended\n"
    )
    ran = journal.run("notify", "list", "--json")
    assert [one["name"] for one in ran.json] == ["chat", "plain", "signed"]
    assert "T0KEN" not in ran.out


def test_a_target_is_tried(journal: Journal, receiver: Receiver) -> None:
    ran = journal.run("notify", "test", "ops")
    assert (ran.code, ran.out) == (0, "ops: sent: HTTP 204\n")
    assert "This is a test" in receiver.received[0].verified()["title"]
    assert journal.run("notify", "test", "nobody").code == 2


def test_a_test_that_fails_says_why_and_ends_so(journal: Journal, receiver: Receiver) -> None:
    receiver.answers = [(403, "who are you, T0KEN-OF-OURS?")] * 2
    ran = journal.run("notify", "test")
    assert ran.code == 1
    assert ran.out.startswith("ops: failed: HTTP 403 who are you, [redacted:")
    ran = journal.run("notify", "test", "--json")
    assert (ran.code, ran.json[0]["target"], ran.json[0]["sent"]) == (1, "ops", False)


def test_what_was_sent_is_listed(journal: Journal, receiver: Receiver) -> None:
    assert journal.run("notify", "log").out == "Nobody has been told of anything yet.\n"
    assert journal.run("notify", "log", "--json").json == []
    with journal.store() as store:
        reviews = [begun(store).review(5).id for _ in range(2)]
    receiver.answers = [(500, "down")]
    assert journal.run("notify", "send").err.startswith("2 new, 2 tried")
    rows = journal.run("notify", "log", "--json").json
    assert {row["review"]: row["target"] for row in rows} == dict.fromkeys(reviews, "ops")
    assert sorted(row["state"] for row in rows) == ["due", "sent"]
    listed = journal.run("notify", "log").out
    assert "HTTP 500 down" in listed
    assert "T0KEN" not in listed
    run = reviews[0].partition("-")[0]
    (row,) = journal.run("notify", "log", "--run", run, "--json").json
    assert row["run"] == run
    assert journal.run("notify", "log", "--run", "typo").code == 2
    assert journal.run("notify", "send").err.startswith("0 new, 0 tried")


def test_a_misspelt_event_is_an_error_and_no_silence(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = {"url": "https://example.org", "events": ["review_open"]}
    monkeypatch.setenv("CREWS_NOTIFY", json.dumps({"ops": target}))
    ran = journal.run("notify", "list")
    assert ran.code != 0
    assert "review_open" in ran.err
