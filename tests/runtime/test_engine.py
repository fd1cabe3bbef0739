"""Is what a decision wakes put where a worker looks, also where no worker has ever made the team's queue?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.records.inbox import decide, open_review
from crews.records.owner import home_id
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.records.tables import runs
from crews.runtime.engine import Engine
from crews.runtime.worker import Worker
from crews.settings import Settings
from crews.teams.spec import Queueing
from tests.records.builders import owned, question
from tests.stories.lives import wait_for
from tests.support.postgres import fresh_database


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "sqlite":
        yield Settings(home=tmp_path)
        return
    with fresh_database(str(request.getfixturevalue("postgres_server"))) as url:
        yield Settings(home=tmp_path, database_url=url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings.journal_url) as opened:
        yield opened


@pytest.fixture
def engine(store: Store, settings: Settings) -> Iterator[Engine]:
    made = Engine(store, home_id(settings.home))
    made.prepare(1)
    yield made
    made.close()


def waiting(store: Store, engine: Engine, **policy: object) -> str:
    """A run that waits, and that was worked on without any worker."""
    journal = owned(store, **policy)
    journal.set_run(home=engine.home)
    open_review(journal, question(address="/#x"))
    journal.release("waiting")
    return journal.run


@pytest.mark.parametrize("limits", [Queueing(), Queueing(concurrency=1)])
def test_what_a_decision_wakes_is_where_a_worker_looks(
    store: Store, engine: Engine, limits: Queueing
) -> None:
    run = waiting(store, engine, queue=limits)
    decide(store, f"{run}-1", "approve", by="ann", wake=engine.wake)
    row = get_run(store, run)
    assert (row.status, row.woken) == ("queued", True)
    # A queue that nobody has made yet is looked at by nobody: a worker finds such a run by its row.
    made = not (limits.concurrency or limits.starts)
    assert engine.live([row.workflow]) == ({row.workflow} if made else set())
    if not made:
        assert engine.queue_again(row)
        second = waiting(store, engine, queue=limits)
        decide(store, f"{second}-1", "approve", by="ann", wake=engine.wake)
        assert get_run(store, second).workflow.startswith(f"{second}@woken-")


@pytest.mark.anyio
async def test_a_run_that_cannot_be_queued_holds_no_other_up(
    store: Store, engine: Engine, settings: Settings
) -> None:
    """Its team may have been written by another version of the package."""
    broken, sound = (waiting(store, engine) for _ in range(2))
    with store.writing() as connection:
        mine = runs.update().where(runs.c.id.in_((broken, sound)))
        connection.execute(mine.values(status="queued"))
        connection.execute(runs.update().where(runs.c.id == broken).values(team="{}"))
    worker = Worker(store, settings, 1)

    async def fire(order: str, due: object) -> str:
        raise AssertionError((order, due))

    work = asyncio.create_task(worker.run(fire))
    await asyncio.to_thread(wait_for, lambda: get_run(store, sound).workflow != "")
    worker.drain()
    await work
    assert get_run(store, broken).workflow == ""
