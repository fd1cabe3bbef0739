"""Who may work on a run, and what becomes of one whose owner is gone?"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from crews.errors import Fenced, StoreError, UsageError
from crews.records import audit, inbox, ledger
from crews.records.journal import Journal
from crews.records.ledger import Asked
from crews.records.owner import host_of, this_process
from crews.records.retention import purge
from crews.records.rows import RunOptions, RunStatus
from crews.records.runs import (
    ask_stop,
    claim,
    fail_run,
    get_run,
    list_runs,
    list_threads,
    new_run,
    requeue,
)
from crews.records.store import Store, open_store
from crews.records.tables import meta, runs, spend
from crews.safety.budget import Spent
from crews.settings import Settings
from tests.records.builders import child, owned, question, run_of, team, thread

OWNER = """
import sys
from crews.records.journal import Journal
from crews.records.ledger import Asked
from crews.records.runs import claim
from crews.records.store import open_store
with open_store(sys.argv[1]) as store:
    journal = Journal(store, sys.argv[2], claim(store, sys.argv[2]))
    print(journal.epoch, flush=True)
    for line in sys.stdin:
        journal.set_run(summary=line.strip())
        print("written", flush=True)
"""


def test_a_new_run_is_queued_with_its_team_as_it_was_loaded(store: Store) -> None:
    run = run_of(store)
    assert (run.status, run.epoch, run.owner) == ("queued", 0, "")
    assert run.spec.agents[0].name == "ann"
    assert run.asked.apply
    [created] = audit.entries(store, run.id)
    assert created.kind == "run_created"
    assert "agents.yaml" in created.body


def test_runs_are_listed_newest_first(store: Store) -> None:
    first, second = run_of(store), run_of(store)
    claim(store, second.id)
    assert [r.id for r in list_runs(store)] == [second.id, first.id]
    assert [r.id for r in list_runs(store, limit=1)] == [second.id]
    assert [r.id for r in list_runs(store, status="queued")] == [first.id]


def test_threads_are_listed_in_the_order_in_which_they_began(store: Store) -> None:
    journal = owned(store)
    for path, at in (("/2.0", 3.0), ("/", 1.0), ("/1.0", 2.0)):
        thread(journal, path, started_at=at)
    assert [t.path for t in list_threads(store, journal.run)] == ["/", "/1.0", "/2.0"]


@pytest.mark.parametrize("act", [get_run, claim, ask_stop])
def test_a_run_that_does_not_exist_is_a_usage_error(store: Store, act: object) -> None:
    assert callable(act)
    with pytest.raises(UsageError, match="there is no run `nope`") as error:
        act(store, "nope")
    assert error.value.hint


def test_a_run_in_the_hands_of_a_living_process_is_refused_and_taken_over_when_it_is_dead(
    store: Store, url: str
) -> None:
    run = run_of(store)
    owner = child(OWNER, url, run.id)
    assert owner.stdin is not None and owner.stdout is not None
    assert owner.stdout.readline() == "1\n"
    try:
        with pytest.raises(UsageError, match="is being worked on by process") as error:
            claim(store, run.id)
        assert "crews stop" in error.value.hint
        assert get_run(store, run.id).epoch == 1
    finally:
        owner.kill()
        owner.communicate()
    assert claim(store, run.id) == 2
    assert get_run(store, run.id).status == "running"


def test_who_could_not_make_a_run_ends_none_that_another_has_begun(store: Store) -> None:
    """A maker that was frozen finds the other's copy in its way: that is no reason to end the other's work."""
    lost, kept = run_of(store), run_of(store)
    claim(store, kept.id)
    for run in (lost, kept):
        fail_run(store, run.id, "the folder cannot be copied", 1)
    assert [get_run(store, run.id).status for run in (lost, kept)] == ["failed", "running"]


def test_a_process_that_wakes_up_after_its_run_was_taken_over_can_write_nothing(
    store: Store, url: str
) -> None:
    run = run_of(store)
    sleeper = child(OWNER, url, run.id)
    assert sleeper.stdin is not None and sleeper.stdout is not None
    sleeper.stdout.readline()
    sleeper.stdin.write("before\n")
    sleeper.stdin.flush()
    assert sleeper.stdout.readline() == "written\n"
    # What a takeover by a host that holds this one for dead leaves behind.
    journal = Journal(store, run.id, 1)
    journal.release("waiting")
    claim(store, run.id)
    _, problem = sleeper.communicate("after\n", timeout=60)
    assert "Fenced" in problem
    assert get_run(store, run.id).summary == "before"


@pytest.mark.parametrize("status", ["queued", "waiting", "failed"])
def test_a_run_that_is_not_over_can_be_claimed_again(store: Store, status: RunStatus) -> None:
    journal = owned(store)
    journal.release(status, reason="because", exit_code=1)
    assert claim(store, journal.run) == 2
    row = get_run(store, journal.run)
    assert (row.status, row.reason, row.exit_code, row.stop_asked) == ("running", "", None, False)


@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_a_run_that_is_over_cannot_be_claimed(store: Store, status: RunStatus) -> None:
    journal = owned(store)
    journal.release(status)
    with pytest.raises(UsageError, match=f"has ended: {status}"):
        claim(store, journal.run)


def test_what_a_dead_owner_had_reserved_counts_as_spent(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    assert ledger.reserve(journal, Asked("/", 0, Spent(tokens=5, turns=1))) is None
    claim(store, journal.run)
    with store.reading() as connection:
        assert connection.execute(select(spend.c.state)).scalar() == "lost"


def test_a_run_that_nobody_works_on_stops_at_once(store: Store) -> None:
    run = run_of(store)
    stopped = ask_stop(store, run.id)
    assert (stopped.status, stopped.exit_code) == ("stopped", 1)
    assert stopped.ended_at is not None
    with pytest.raises(UsageError, match="ended already"):
        ask_stop(store, run.id)


def test_a_dead_owners_run_stops_at_once_and_the_owner_is_fenced(store: Store, url: str) -> None:
    run = run_of(store)
    owner = child(OWNER, url, run.id)
    assert owner.stdout is not None
    owner.stdout.readline()
    owner.kill()
    owner.communicate()
    assert ask_stop(store, run.id).status == "stopped"
    with pytest.raises(Fenced):
        Journal(store, run.id, 1).set_run(summary="too late")


def test_a_living_owner_is_asked_to_stop(store: Store) -> None:
    journal = owned(store)
    assert not journal.stop_asked()
    assert ask_stop(store, journal.run).status == "running"
    assert journal.stop_asked()


def test_who_takes_a_run_from_the_dead_finds_that_it_was_to_end(store: Store) -> None:
    journal = owned(store)
    ask_stop(store, journal.run)
    dead = f"{host_of(this_process())}/1/0"
    journal.set_run(owner=dead)  # it died before it could heed the wish
    heir = Journal(store, journal.run, claim(store, journal.run))
    assert heir.stop_asked()
    heir.release("failed", reason="it broke", exit_code=1)
    # Whoever goes on with a run that has failed wants it to go on.
    assert not Journal(store, journal.run, claim(store, journal.run)).stop_asked()


def test_a_purged_run_is_not_queued_again(store: Store, tmp_path: Path) -> None:
    journal = owned(store)
    journal.release("failed", reason="it broke", exit_code=1)
    purge(store, Settings(home=tmp_path), journal.run, "bo")
    with store.writing() as connection:
        requeue(connection, journal.run)
    assert get_run(store, journal.run).status == "failed"


def test_a_run_that_is_stopped_asks_nothing_any_more(store: Store) -> None:
    journal = owned(store)
    review = inbox.open_review(journal, question(address="/#x"))
    journal.release("waiting")
    ask_stop(store, journal.run)
    assert inbox.list_reviews(store) == ()
    assert inbox.get_review(store, review.id).state == "void"
    assert audit.entries(store, journal.run)[-2].kind == "review_void"


def test_working_time_is_added_up_and_waiting_is_not_in_it(store: Store) -> None:
    journal = owned(store)
    journal.release("waiting", worked=2.5)
    time.sleep(0.01)
    again = Journal(store, journal.run, claim(store, journal.run))
    again.release("completed", exit_code=0, worked=1.25)
    row = get_run(store, journal.run)
    assert row.working_seconds == 3.75
    assert row.ended_at is not None
    assert row.started_at is not None
    assert row.ended_at >= row.started_at


def test_a_run_keeps_what_its_team_said_at_its_end(store: Store) -> None:
    journal = owned(store)
    journal.release("waiting", summary="so far")
    again = Journal(store, journal.run, claim(store, journal.run))
    again.release("waiting")
    assert get_run(store, journal.run).summary == "so far"
    last = Journal(store, journal.run, claim(store, journal.run))
    last.release("completed", exit_code=0, summary="")
    assert get_run(store, journal.run).summary == ""


RACER = """
import sys
from crews.errors import UsageError
from crews.records.runs import claim
from crews.records.store import open_store
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(claim(store, sys.argv[2]), flush=True)
    except UsageError as error:
        print(error.what, flush=True)
    sys.stdin.read()
"""


def test_of_processes_that_claim_at_once_one_wins(url: str) -> None:
    with open_store(url) as store:
        run = run_of(store)
    racers = [child(RACER, url, run.id) for _ in range(3)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.stdout.readline().strip() for racer in racers if racer.stdout]
    for racer in racers:
        racer.communicate()
    assert said.count("1") == 1
    assert sum("is being worked on" in line for line in said) == 2


def test_a_submission_stays_made_when_its_run_is_purged(store: Store) -> None:
    def submit() -> str:
        return new_run(
            store, goal="Do it", inputs={}, team=team(), options=RunOptions(), submission="k"
        ).id

    run = submit()
    with store.writing() as connection:
        connection.execute(update(runs).values(goal="", team="{}", purged_at=1.0))
    assert submit() == run


@pytest.mark.parametrize("status", ["queued", "waiting"])
def test_who_lets_go_of_a_run_that_is_to_end_ends_it(store: Store, status: RunStatus) -> None:
    """The wish comes after the owner last looked: it was interrupted, cut off, or about to wait."""
    journal = owned(store)
    inbox.open_review(journal, question())
    ask_stop(store, journal.run)
    assert journal.release(status, exit_code=3) == "stopped"
    row = get_run(store, journal.run)
    assert (row.status, row.reason, row.exit_code) == ("stopped", "stopped by a human", 1)
    assert row.ended_at is not None
    assert inbox.list_reviews(store) == ()
    with pytest.raises(UsageError, match="has ended"):
        claim(store, journal.run)


def test_a_version_that_does_not_know_the_journal_any_more_takes_no_run(store: Store) -> None:
    """It was brought up to date while this process had it open."""
    run = run_of(store)
    with store.writing() as connection:
        connection.execute(update(meta).where(meta.c.name == "schema").values(value="99"))
    with pytest.raises(StoreError, match="newer version"):
        claim(store, run.id)
    assert get_run(store, run.id).epoch == 0
