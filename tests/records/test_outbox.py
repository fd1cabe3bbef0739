"""Is each thing told once, by one process, tried again when it fails, and cheap while nothing happens?"""

from __future__ import annotations

import threading
import time
from dataclasses import asdict

import pytest
from sqlalchemy import Connection, insert, select

from crews.records import audit, outbox
from crews.records.inbox import decide, open_review
from crews.records.journal import Journal
from crews.records.lost import MOST_DEATHS, release_lost
from crews.records.outbox import DeliveryRow, claim, collect, list_deliveries, postpone, put, settle
from crews.records.owner import host_of, this_process
from crews.records.questions import ReviewRow
from crews.records.reviews import get_review
from crews.records.runs import ask_stop, fail_run
from crews.records.runs import claim as claim_run
from crews.records.store import Store, open_store
from crews.records.tables import audit as audit_table
from crews.records.tables import meta, reviews, runs
from crews.settings import NotifyEvent, NotifyTarget
from tests.records.builders import child, ended, owned, question, run_of

NOW = 1_000_000.0


def target(*events: NotifyEvent) -> NotifyTarget:
    given = {"url": "https://example.org/hook", "events": events or ("review_opened", "run_ended")}
    return NotifyTarget.model_validate(given)


OPS = {"ops": target()}


def told(store: Store) -> list[tuple[str, str, str]]:
    return sorted((r.kind, r.review or r.run, r.target) for r in list_deliveries(store, limit=1000))


def only(store: Store) -> DeliveryRow:
    (row,) = list_deliveries(store)
    return row


def waiting(store: Store) -> ReviewRow:
    """A review that waits, and a target that is to be told of it."""
    row = open_review(owned(store), question())
    assert collect(store, OPS, NOW) == 1
    return row


def test_each_open_review_is_told_to_each_target_that_wants_it_once(store: Store) -> None:
    journal = owned(store)
    first, second = (open_review(journal, question(address=f"/:0.{n}")) for n in range(2))
    targets = {"a": target(), "b": target("review_opened"), "c": target("run_ended")}
    assert collect(store, targets, NOW) == 4
    assert collect(store, targets, NOW + 1) == 0
    third = open_review(journal, question(address="/:0.2"))
    assert collect(store, targets, NOW + 2) == 2
    wanted = [("review_opened", r.id, t) for r in (first, second, third) for t in "ab"]
    assert told(store) == sorted(wanted)


def test_a_review_that_was_decided_before_anybody_looked_is_not_told(store: Store) -> None:
    row = open_review(owned(store), question())
    decide(store, row.id, "approve", by="ada")
    assert collect(store, OPS, NOW) == 0
    assert told(store) == []


def test_a_new_target_is_told_of_open_reviews_but_not_of_runs_that_ended_before(
    store: Store,
) -> None:
    old = run_of(store)
    fail_run(store, old.id, "no", 1)
    review = open_review(owned(store), question())
    collect(store, OPS, NOW)
    assert told(store) == [("review_opened", review.id, "ops")]
    new = run_of(store)
    fail_run(store, new.id, "no", 1)
    collect(store, OPS, NOW)
    assert told(store) == [("review_opened", review.id, "ops"), ("run_ended", new.id, "ops")]


def test_a_run_that_goes_on_and_ends_again_is_told_again(store: Store) -> None:
    collect(store, OPS, NOW)
    run = run_of(store)
    for _ in range(2):
        journal = Journal(store, run.id, claim_run(store, run.id))
        collect(store, OPS, NOW)
        journal.release("failed", reason="no", exit_code=1)
        collect(store, OPS, NOW)
        collect(store, OPS, NOW)
    assert told(store) == [("run_ended", run.id, "ops")] * 2


def test_a_run_that_ends_with_its_last_owner_is_told(store: Store) -> None:
    """Stopped while its owner was at work, who died before that; or given up, because each owner dies."""
    stopped, given_up = (owned(store) for _ in range(2))
    assert collect(store, OPS, NOW) == 0
    ask_stop(store, stopped.run)
    assert collect(store, OPS, NOW) == 0  # it still works
    given_up.set_run(deaths=MOST_DEATHS - 1)
    for journal in (stopped, given_up):
        journal.set_run(owner=f"{host_of(this_process())}/1/0")
        assert release_lost(store, journal.row()) is not None
    assert collect(store, OPS, NOW) == 2
    assert told(store) == sorted(("run_ended", j.run, "ops") for j in (stopped, given_up))


def test_more_news_than_are_read_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SCAN", 3)
    journal = owned(store)
    for n in range(10):
        open_review(journal, question(address=f"/:0.{n}"))
    assert collect(store, OPS, NOW) == 10
    assert collect(store, OPS, NOW) == 0


def test_reminders_and_hand_ups_are_told_in_the_transaction_that_makes_them(store: Store) -> None:
    row = open_review(owned(store), question())
    targets = {"a": target("review_reminder", "review_handed_up"), "b": target("review_opened")}
    with pytest.raises(ZeroDivisionError), store.writing() as connection:
        assert put(connection, targets, row, "review_reminder", NOW) == 1
        raise ZeroDivisionError
    assert told(store) == []
    with store.writing() as connection:
        assert put(connection, targets, row, "review_reminder", NOW) == 1
        assert put(connection, targets, row, "review_reminder", NOW) == 0
        assert put(connection, targets, row, "review_handed_up", NOW) == 1
    assert told(store) == [("review_handed_up", row.id, "a"), ("review_reminder", row.id, "a")]


def test_what_one_has_claimed_another_does_not_get_before_the_lease_ends(store: Store) -> None:
    waiting(store)
    (mine,) = claim(store, ["ops"], NOW)
    assert mine.attempts == 1
    assert claim(store, ["ops"], NOW + outbox.LEASE - 1) == ()
    (again,) = claim(store, ["ops"], NOW + outbox.LEASE)
    assert (again.id, again.attempts) == (mine.id, 2)


def test_a_lease_begins_when_the_lock_was_had(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(store)
    monkeypatch.setattr(outbox, "LEASE", 1.0)
    ready, free = threading.Event(), threading.Event()

    def busy() -> None:
        with store.writing():
            ready.set()
            free.wait(1.3)

    other = threading.Thread(target=busy)
    other.start()
    ready.wait()
    (mine,) = claim(store, ["ops"], NOW)
    other.join()
    assert mine.due_at > NOW + 1.3
    assert claim(store, ["ops"], NOW + 1.3) == ()


def test_only_targets_that_are_known_here_are_claimed(store: Store) -> None:
    waiting(store)
    assert claim(store, ["other"], NOW) == ()
    assert claim(store, ["other"], NOW + outbox.GIVE_UP) == ()
    assert (only(store).state, "target" in only(store).error) == ("failed", True)


def test_a_failure_is_tried_again_later_and_later_and_given_up_after_a_day(store: Store) -> None:
    review = waiting(store)
    now, pauses = NOW, list[float]()
    while (row := only(store)).state == "due":
        pauses.append(row.due_at - now)
        now = row.due_at
        (claimed,) = claim(store, ["ops"], now)
        postpone(store, claimed, now, error="HTTP 500", body="{}")
    assert row.state == "failed"
    assert outbox.GIVE_UP - outbox.LONGEST_PAUSE <= now - NOW <= outbox.GIVE_UP
    assert pauses[1] <= outbox.FIRST_PAUSE < pauses[5] <= max(pauses) <= outbox.LONGEST_PAUSE
    assert 20 < len(pauses) < 70
    last, told = audit.told(store, review.run)[-1]
    assert (last.kind, told["error"]) == ("notify_failed", "HTTP 500")
    assert audit.first_break(store) is None


def test_what_was_sent_is_never_claimed_again_and_is_in_the_audit_log_once(store: Store) -> None:
    review = waiting(store)
    (row,) = claim(store, ["ops"], NOW)
    for _ in range(2):
        settle(store, row, "sent", NOW + 3, body='{"event":"x"}')
    postpone(store, row, NOW + 4, error="late")
    settle(store, row, "failed", NOW + 4, error="late")
    assert claim(store, ["ops"], NOW + 1e9) == ()
    found = only(store)
    assert (found.state, found.sent_at, found.body) == ("sent", NOW + 3, '{"event":"x"}')
    kinds = [e.kind for e in audit.entries(store, review.run)]
    assert (kinds.count("notified"), kinds.count("notify_failed")) == (1, 0)


def test_whose_lease_ran_out_does_not_put_off_what_another_tries_now(store: Store) -> None:
    waiting(store)
    (slow,) = claim(store, ["ops"], NOW)
    (other,) = claim(store, ["ops"], NOW + outbox.LEASE)
    postpone(store, slow, NOW + outbox.LEASE + 1, error="slow")
    assert (only(store).due_at, only(store).error) == (other.due_at, "")


def test_one_target_with_much_to_send_does_not_keep_another_waiting(store: Store) -> None:
    journal = owned(store)
    for n in range(2 * outbox.BATCH):
        open_review(journal, question(address=f"/:0.{n}"))
    collect(store, {"many": target()}, NOW)
    open_review(journal, question(address="/:1.0"))
    collect(store, {"few": target(), "many": target()}, NOW + 1)
    claimed = [row.target for row in claim(store, ["many", "few"], NOW + 1)]
    assert (claimed.count("many"), claimed.count("few")) == (outbox.BATCH, outbox.BATCH)


CLAIMER = """
import sys, time
from crews.records.outbox import claim, collect, settle
from crews.records.store import open_store
from crews.settings import NotifyTarget
targets = {"ops": NotifyTarget.model_validate({"url": "https://example.org"})}
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    collect(store, targets, time.time())
    while rows := claim(store, ["ops"], time.time()):
        for row in rows:
            settle(store, row, "sent", time.time())
            print(row.id)
"""


def test_of_two_processes_each_notification_goes_to_one(url: str) -> None:
    with open_store(url) as store:
        journal = owned(store)
        for n in range(40):
            open_review(journal, question(address=f"/:0.{n}"))
    claimers = [child(CLAIMER, url) for _ in range(2)]
    for claimer in claimers:
        assert claimer.stdout is not None
        assert claimer.stdout.readline() == "ready\n"
    for claimer in claimers:
        assert claimer.stdin is not None
        claimer.stdin.write("go\n")
        claimer.stdin.flush()
    printed = [line for out in ended(claimers) for line in out.split()]
    with open_store(url) as store:
        rows = list_deliveries(store, limit=1000)
        assert sorted(printed) == sorted(row.id for row in rows)
        assert len(printed) == 40
        assert {(row.state, row.attempts) for row in rows} == {("sent", 1)}
        kinds = [e.kind for e in audit.entries(store)]
        assert kinds.count("notified") == 40


def seconds_idle(store: Store) -> float:
    """How long one look takes at best while nothing is new and nothing is due; other tests run beside it."""
    times: list[float] = []
    for _ in range(30):
        began = time.perf_counter()
        assert (collect(store, OPS, NOW), claim(store, ["ops"], NOW)) == (0, ())
        times.append(time.perf_counter() - began)
    return min(times)


def many_waiting(store: Store, count: int) -> None:
    """Runs that wait, each with a review; copies of one that the journal's own functions wrote."""
    review = open_review(owned(store), question())
    with store.writing() as connection:
        run = connection.execute(select(runs).where(runs.c.id == review.run)).mappings().one()
        asked = asdict(get_review(store, review.id))
        last = audit.entries(store)[-1].sequence
        names = [f"w{n}" for n in range(count)]
        waits = {**run, "status": "waiting"}
        connection.execute(insert(runs), [{**waits, "id": n} for n in names])
        connection.execute(insert(reviews), [{**asked, "id": f"{n}-1", "run": n} for n in names])
        _opened(connection, names, last)


def _opened(connection: Connection, names: list[str], last: int) -> None:
    entries = [
        {"sequence": last + n, "run": name, "at": NOW, "kind": "review_opened",
         "body": f'{{"review":"{name}-1"}}', "previous": "", "hash": ""}
        for n, name in enumerate(names, 1)
    ]  # fmt: skip
    connection.execute(insert(audit_table), entries)


def test_ten_thousand_waiting_reviews_cost_an_idle_look_nothing(store: Store) -> None:
    collect(store, OPS, NOW)
    empty = seconds_idle(store)
    many_waiting(store, 10_000)
    assert collect(store, OPS, NOW) == 10_001
    with store.writing() as connection:
        connection.execute(outbox.deliveries.update().values(due_at=NOW + 60))
    full = seconds_idle(store)
    assert full < 3 * empty + 0.002, f"{full * 1000:.2f} ms, {empty * 1000:.2f} ms without"


def test_the_mark_follows_a_journal_in_which_much_else_happens(store: Store) -> None:
    """Else each look would read further and further back."""
    collect(store, OPS, NOW)
    journal = owned(store)
    with store.writing() as connection:
        for _ in range(outbox.BEHIND + 1):
            audit.append(connection, journal.run, "model_request", {})
    assert collect(store, OPS, NOW) == 0
    with store.reading() as connection:
        rows = connection.execute(select(meta.c.value).where(meta.c.name.like("notify:%")))
        marks = [int(value) for value in rows.scalars()]
    assert min(marks) > outbox.BEHIND
    row = open_review(journal, question())
    assert collect(store, OPS, NOW) == 1
    assert get_review(store, row.id).state == "open"
