"""Do several workers share the runs of one journal, and does one take over what another has lost?

Workers are real processes; they are killed, frozen, woken and asked to end.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews import api, work
from crews.errors import UsageError
from crews.outcome import Kickoff
from crews.records import audit
from crews.records.inbox import list_reviews
from crews.records.rows import RunRow
from crews.records.runs import get_run
from crews.records.store import FROZEN
from crews.records.tail import Tail
from crews.records.workers import living
from tests.stories.chaos import Storm
from tests.stories.harbour import goal
from tests.stories.lives import wait_for
from tests.stories.pool import Place, Pool, WorkerProcess

TAKEOVER = 15.0
"""Seconds within which another worker has to have taken a run over."""


@pytest.fixture
def storm(database: str, tmp_path: Path, pool: Pool) -> Iterator[Storm]:
    """Two workers on either database; nobody is killed before the test says so."""
    url = database if database.startswith("postgresql") else ""
    with Storm(tmp_path / "storm", url, workers=2, lent=pool) as found:
        yield found


def test_two_workers_share_the_runs(storm: Storm) -> None:
    storm.concurrency = 2
    storm.muster()
    wait_for(lambda: len(living(storm.store)) == storm.workers)
    runs = [storm.submit() for _ in range(4)]
    until_ended(storm)
    storm.check()
    owners = {row.body for row in audit.entries(storm.store) if row.kind == "run_claimed"}
    claimed_by = {body.partition('"owner":"')[2].partition('"')[0] for body in owners}
    assert len(claimed_by) == 2
    assert len(storm.server.requests) == len({r.sha256 for r in storm.server.requests})
    assert {get_run(storm.store, run.id).status for run in runs} == {"completed"}


@pytest.mark.parametrize(
    ("database", "workers"), [("sqlite", 2), ("postgres", 4)], indirect=["database"]
)
def test_what_a_frozen_and_a_killed_worker_lose_is_taken_over_once(
    storm: Storm, workers: int
) -> None:
    storm.workers = workers
    storm.concurrency = 2
    storm.muster()
    wait_for(lambda: len(living(storm.store)) == workers)
    for _ in range(2 * workers - 1):
        storm.submit()
    frozen = freeze(storm)
    storm.alive.remove(frozen)
    if len(storm.alive) > 1:
        storm.kill(storm.at_work())
    lost = {
        r.id: r.epoch for r in storm.runs() if r.status == "running" and not living_owner(storm, r)
    }
    began = time.monotonic()
    wait_for(lambda: all(get_run(storm.store, r).epoch > epoch for r, epoch in lost.items()))
    # Who was frozen in the middle of a transaction holds Postgres's lock for so long.
    assert time.monotonic() - began < TAKEOVER + (FROZEN if workers > 2 else 0)

    frozen.send(signal.SIGCONT)
    # Whoever is asked what has become of an effect makes sure first that nobody is still about to make it.
    wait_for(lambda: any(w.id.split("/")[1] == str(frozen.pid) for w in living(storm.store)))
    time.sleep(1)
    until_ended(storm)
    storm.check(woken=True)
    epochs = [r.epoch for r in storm.runs()]
    claims = [row for row in audit.entries(storm.store) if row.kind == "run_claimed"]
    taken = [row for row in audit.entries(storm.store) if row.kind == "owner_lost"]
    assert {row.run for row in taken} >= lost.keys()
    assert len(claims) + len(taken) == sum(epochs)  # each epoch had one owner, or ended one


def living_owner(storm: Storm, run: RunRow) -> bool:
    """Is the run in the hands of a worker that is neither dead nor frozen?"""
    return any(f"/{one.pid}/" in run.owner for one in storm.alive)


def test_a_worker_that_is_asked_to_end_finishes_its_calls_and_leaves_the_rest(storm: Storm) -> None:
    storm.workers = 1
    storm.muster()
    storm.submit()
    wait_for(lambda: len(storm.server.requests) >= 3)
    leaving = storm.alive.pop()
    leaving.send(signal.SIGTERM)
    leaving.gone(30)
    assert living(storm.store) == ()
    run = storm.runs()[0]
    assert run.status in {"queued", "waiting", "completed"}
    assert run.owner == ""
    storm.muster()
    until_ended(storm)
    storm.check()
    assert not [r for r in list_reviews(storm.store, state=None) if r.kind == "unknown"]
    assert len(storm.server.requests) == len({r.sha256 for r in storm.server.requests})


def test_decided_while_no_worker_is_there_it_goes_on_when_one_comes(storm: Storm) -> None:
    storm.workers = 1
    storm.muster()
    run = storm.submit()
    wait_for(lambda: get_run(storm.store, run.id).status == "waiting")
    storm.kill(storm.alive[0])
    for review in list_reviews(storm.store):
        api.decide(review.id, "approve", settings=storm.settings)
    assert get_run(storm.store, run.id).status == "queued"
    storm.muster()
    until_ended(storm)
    storm.check()


def test_a_submission_is_one_run_however_often_it_is_made(storm: Storm) -> None:
    first = storm.submit()
    again = Kickoff(
        goal(1),
        team=storm.folder / "team",
        workspace=storm.folder / "harbour",
        apply=False,
        submission="ship-1",
    )
    assert work.submit(again, storm.store, storm.settings).id == first.id
    assert len(storm.runs()) == 1
    other = Kickoff("Sink it.", team=storm.folder / "team", submission="ship-1")
    with pytest.raises(UsageError, match="another goal"):
        work.submit(other, storm.store, storm.settings)


def test_a_delayed_run_begins_when_it_is_due(storm: Storm) -> None:
    storm.workers = 1
    storm.muster()
    request = Kickoff(
        goal(1), team=storm.folder / "team", workspace=storm.folder / "harbour", apply=False
    )
    wait_for(lambda: bool(living(storm.store)))
    began = time.time()
    run = work.submit(request, storm.store, storm.settings, delay=3.0)
    wait_for(lambda: get_run(storm.store, run.id).epoch > 0)
    started = get_run(storm.store, run.id).started_at or 0.0
    assert started - began >= 3.0


def test_a_worker_that_cannot_ask_a_model_says_so_in_the_run(storm: Storm) -> None:
    run = storm.submit()
    storm.alive.append(storm.pool.start(Place(home=str(storm.settings.home), base_url="",
                                              database_url=storm.database_url)))  # fmt: skip
    wait_for(lambda: "no key" in get_run(storm.store, run.id).reason)
    told = [event for event in Tail(storm.store, run.id).new() if event.kind == "warning"]
    assert [event.text for event in told] == [get_run(storm.store, run.id).reason]
    assert get_run(storm.store, run.id).status == "queued"
    storm.kill(storm.alive[0])
    storm.workers = 1
    storm.muster()
    until_ended(storm)
    storm.check()
    assert get_run(storm.store, run.id).reason == ""


def freeze(storm: Storm) -> WorkerProcess:
    """Stop a worker that is at work, at a moment at which the journal can still be written."""
    while True:
        victim = storm.at_work()
        storm.let_pass(2, 0.05)
        victim.send(signal.SIGSTOP)
        if stopped(victim) and owns_something(storm, victim.pid) and can_be_written(storm):
            return victim
        victim.send(signal.SIGCONT)


def stopped(victim: WorkerProcess) -> bool:
    wait_for(lambda: victim.state == "T")
    return True


def owns_something(storm: Storm, pid: int) -> bool:
    return any(f"/{pid}/" in run.owner for run in storm.runs())


def can_be_written(storm: Storm) -> bool:
    """Does the frozen one not hold SQLite's only lock? Nobody could take anything over then."""
    import sqlite3

    if storm.database_url:
        return True
    connection = sqlite3.connect(storm.settings.home / "crews.db", timeout=0.3)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


def until_ended(storm: Storm) -> None:
    """Decide what is asked, until every run has ended."""

    def ended() -> bool:
        storm.decide()
        return all(run.status in {"completed", "failed", "stopped"} for run in storm.runs())

    wait_for(ended)
