"""Is what a decision wakes put where a worker looks, also where no worker has ever made the team's queue?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from dbos import DBOSClient

from crews.records.inbox import decide, open_review
from crews.records.owner import home_id
from crews.records.rows import RunRow
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.records.tables import meta, runs
from crews.records.workers import LEASE, living
from crews.runtime.engine import POLL, Engine, working
from crews.runtime.lookout import GAP, Lookout
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


def ready(store: Store, engine: Engine, **policy: object) -> str:
    """A run that is ready, and for which nobody has queued anything."""
    run = waiting(store, engine, **policy)
    with store.writing() as connection:
        connection.execute(runs.update().where(runs.c.id == run).values(status="queued"))
    return run


@contextlib.asynccontextmanager
async def at_work(worker: Worker) -> AsyncGenerator[asyncio.Task[None]]:
    """A worker of this process, as a task; it is drained in the end."""

    async def fire(order: str, due: object) -> str:
        raise AssertionError((order, due))

    work = asyncio.create_task(worker.run(fire))
    try:
        yield work
    finally:
        worker.drain()
        await work


def held_up(store: Store, patch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Work on a run says that it has begun, and goes on when it is told to."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def activate(run: str, *_: object, **__: object) -> RunRow:
        begun.set()
        await go_on.wait()
        return get_run(store, run)

    patch.setattr("crews.runtime.worker.activate", activate)
    return begun, go_on


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
    async with at_work(Worker(store, settings, 1)):
        await asyncio.to_thread(wait_for, lambda: get_run(store, sound).workflow != "")
    assert get_run(store, broken).workflow == ""


@pytest.mark.anyio
async def test_a_worker_that_is_to_end_takes_nothing_from_the_others(
    store: Store, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it took it could only drop, and each time it would count against the team's `starts`."""
    begun, go_on = held_up(store, monkeypatch)
    ready(store, engine)
    worker = Worker(store, settings, 4)
    async with at_work(worker):
        await asyncio.wait_for(begun.wait(), 60)
        worker.drain()
        await asyncio.to_thread(wait_for, lambda: living(store)[0].state == "draining")
        second = get_run(store, ready(store, engine))
        await asyncio.to_thread(engine.queue_again, second)
        await asyncio.sleep(4 * POLL)
        still = engine.live([get_run(store, second.id).workflow])
        go_on.set()
    assert len(still) == 1


@pytest.mark.anyio
async def test_a_worker_of_an_older_version_ends_when_the_journal_is_brought_up_to_date(
    store: Store, engine: Engine, settings: Settings
) -> None:
    run = ready(store, engine)
    told: list[str] = []
    with store.writing() as connection:
        connection.execute(meta.update().where(meta.c.name == "schema").values(value="99"))
    worker = Worker(store, settings, 1, said=lambda _, what: told.append(what))
    async with at_work(worker) as work:
        await asyncio.wait_for(asyncio.shield(work), 60)
    assert any("newer version" in one for one in told)
    assert get_run(store, run).epoch == 1  # nobody has worked on it since


@pytest.mark.anyio
async def test_a_worker_takes_no_more_of_a_team_with_limits_than_it_can_work_on(
    store: Store, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest would wait for it, while other workers have nothing to do."""
    begun, go_on = held_up(store, monkeypatch)
    for _ in range(3):
        ready(store, engine, queue=Queueing(starts=100))
    async with at_work(Worker(store, settings, 1)):
        await asyncio.wait_for(begun.wait(), 60)
        await asyncio.sleep(4 * POLL)
        client = DBOSClient(system_database_url=engine.url)
        taken = await client.list_workflows_async(status="PENDING")
        client.destroy()
        go_on.set()
    assert len(taken) == 1


@pytest.mark.anyio
async def test_a_worker_that_was_frozen_itself_takes_nothing_from_the_others_at_once(
    store: Store, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All beats are old when a machine wakes, or a database is back; the owners beat again a moment later."""
    run = waiting(store, engine)
    with store.writing() as connection:
        mine = runs.update().where(runs.c.id == run)
        connection.execute(mine.values(status="running", owner="elsewhere/1/1"))
    monkeypatch.setattr("crews.runtime.worker.TICK", 0.1)
    looks, now = list[float](), [0.0]

    def clock() -> float:
        looks.append(now[0])
        return now[0]

    worker = Worker(store, settings, 1)
    worker.lookout = Lookout(clock, lambda: now[0])
    now[0] = GAP + 1
    async with at_work(worker):
        for _ in range(int(LEASE)):
            await asyncio.to_thread(wait_for, lambda: looks.count(now[0]) > 1)
            assert get_run(store, run).owner == "elsewhere/1/1"
            now[0] += 1
        await asyncio.to_thread(wait_for, lambda: get_run(store, run).owner != "elsewhere/1/1")


@pytest.mark.anyio
async def test_a_moment_of_a_schedule_that_a_process_died_over_is_made_by_the_next(
    engine: Engine,
) -> None:
    made, work = list[datetime](), list[asyncio.Task[object] | None]()

    async def activate(run: str) -> str:
        raise AssertionError(run)

    async def fire(order: str, due: datetime) -> str:
        made.append(due)
        work.append(asyncio.current_task())
        if len(made) == 1:
            await asyncio.Event().wait()
        return order

    with working(engine, executor="elsewhere/1/1", activate=activate, fire=fire):
        await asyncio.to_thread(engine.put_schedule, "tide", "* * * * * *", "{}")
        await asyncio.to_thread(wait_for, lambda: bool(made))
        await asyncio.to_thread(engine.pause_schedule, "tide", paused=True)
    assert work[0] is not None
    work[0].cancel()
    with working(engine, executor="elsewhere/2/2", activate=activate, fire=fire):
        await asyncio.to_thread(engine.drop_dead, lambda owner: owner != "elsewhere/1/1")
        await asyncio.to_thread(wait_for, lambda: made.count(made[0]) == 2)
