"""How is work given to the workers: queued now or later, looked after, and looked at while they do it?"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from sqlalchemy import Connection

from crews import api, door
from crews.answering import put_to
from crews.errors import CrewsError, UsageError
from crews.outcome import Asker, Kickoff, Result
from crews.records import chains, outbox
from crews.records.events import Listener, silent
from crews.records.leaving import disown
from crews.records.lost import ready_runs
from crews.records.owner import home_id, this_process
from crews.records.questions import ReviewRow
from crews.records.rows import ENDED, RunRow
from crews.records.runs import check_kept, ended, get_run, new_id, requeue, run_in
from crews.records.store import Store
from crews.records.tail import Tail
from crews.records.workers import LEASE, living
from crews.settings import Settings

if TYPE_CHECKING:
    from crews.runtime.engine import Engine
    from crews.runtime.worker import Said, Worker

LOOK = 0.2
"""Seconds between two looks at a run that a worker works on."""
PATIENCE = LEASE * 2
"""Seconds without any worker after which who looks on takes the run over."""


def make_worker(store: Store, settings: Settings, concurrency: int, said: Said) -> Worker:
    """A worker that also keeps the deadlines of reviews and tells people about them."""
    from crews.runtime.worker import Worker

    made = Worker(store, settings, concurrency, said=said)

    async def keep_deadlines(now: float) -> None:
        await asyncio.to_thread(
            chains.sweep, store, now, tell=_teller(settings, now), wake=made.engine.wake
        )

    async def tell(now: float) -> None:
        from crews import notify

        await asyncio.to_thread(notify.collect, store, settings, now)
        await notify.send_due(store, settings, time.time())

    made.taking = lambda: door.opened(settings.home, _taker(made))
    made.duties = (
        (keep_deadlines, tell) if settings.notify or settings.audit.copies else (keep_deadlines,)
    )
    return made


def _taker(made: Worker) -> Callable[[door.Order], Awaitable[str]]:
    """What makes a run of an order that a command hands in, and begins it at once where that may be."""

    async def take(order: door.Order) -> str:
        same = order["journal"] == door.fingerprint(made.settings.journal_url)
        if not same or order["place"] != door.place():
            return ""
        name = new_id()
        try:
            run, at_once = await asyncio.to_thread(_made, made, order, name)
        except Exception as error:
            # It may be written down: this process, which lives on, must not keep it for ever.
            await asyncio.to_thread(_let_go, made.store, name)
            if isinstance(error, CrewsError):
                return ""  # whoever asked tries it for himself, and is told what is wrong
            raise
        if run.id != name:  # who asked for it again goes on with one that nobody would take up
            return "" if run.status == "failed" or run.reason == "interrupted" else run.id
        if not (at_once and made.begin(run)):
            await asyncio.to_thread(queue, run, made.store, made.engine)
        return run.id

    return take


def _made(made: Worker, order: door.Order, name: str) -> tuple[RunRow, bool]:
    """A new run as its order says, in the name of whoever gave it; and does none wait that may go first?"""
    from crews.teams.loader import find_team, load_team
    from crews.tools.registry import TOOL_NAMES

    given: dict[str, Any] = dict(order["kickoff"])
    team = find_team(given.pop("team"), Path(order["folder"]))
    request = Kickoff(team=load_team(team, known_tools=TOOL_NAMES), **given)
    token = SecretStr(order["token"]) if order["token"] else None
    theirs = made.settings.model_copy(update={"user": order["user"], "token": token})
    run = api.create(request, made.store, theirs, owner=this_process(), as_id=name)
    return run, not ready_runs(made.store, made.home).runs


def _teller(settings: Settings, now: float) -> chains.Tell:
    def tell(connection: Connection, review: ReviewRow, kind: str) -> None:
        outbox.put(connection, settings.notify, review, kind, now)

    return tell


def someone_works(store: Store, settings: Settings) -> bool:
    """Is there a worker that sees this folder of runs and takes new work?"""
    home = home_id(settings.home)
    return any(w.home == home and w.state == "running" for w in living(store))


def submit(
    request: Kickoff,
    store: Store,
    settings: Settings,
    *,
    delay: float = 0.0,
    origin: str = "",
    by: str = "",
) -> RunRow:
    """Write down a new run and queue it; a worker that is there, or the next to come, works on it.

    Args:
        request: What is asked for.
        store: The journal.
        settings: The process's settings.
        delay: Seconds before which it is not begun.
        origin: What made it, if not a person.
        by: In whose name; empty: whoever this process is run by.

    Raises:
        UsageError: what is asked for cannot be done; nothing is kept.
    """
    if delay < 0:
        raise UsageError("the delay is negative")
    engine = engine_of(store, settings)
    try:
        if not engine.ready():
            engine.prepare()
        name = new_id()
        # Its own until it is queued: a worker must not take it before the delay is known.
        run = api.create(
            request, store, settings, owner=this_process(), origin=origin, by=by, as_id=name
        )
        return queue(run, store, engine, delay=delay) if run.id == name else run
    finally:
        engine.close()


def queue(run: RunRow, store: Store, engine: Engine, *, delay: float = 0.0) -> RunRow:
    """Leave a run that nobody works on to the workers."""
    try:
        name = engine.queue_of(run)
        with store.writing() as connection:
            now = run_in(connection, run.id)
            engine.enqueue(connection, now, name, f"{now.epoch}-submitted", delay)
            disown(connection, run.id, this_process())
    except BaseException:
        _let_go(store, run.id)
        raise
    return get_run(store, run.id)


def _let_go(store: Store, run: str) -> None:
    """A process that lives on would keep it for ever: now the next worker finds it."""
    with contextlib.suppress(Exception), store.writing() as connection:
        disown(connection, run, this_process())


def engine_of(store: Store, settings: Settings) -> Engine:
    """The queue of this journal, for the runs of this folder."""
    from crews.runtime.engine import Engine

    return Engine(store, home_id(settings.home))


def leave_to_workers(run: str, store: Store, settings: Settings) -> bool:
    """Queue a run that stands still, if a worker is there to take it; False: nobody is."""
    if not someone_works(store, settings):
        return False
    row = get_run(store, run)
    check_kept(row)
    if row.status in {"completed", "stopped"}:
        raise ended(row)
    if row.status == "running":
        return True
    engine = engine_of(store, settings)
    try:
        with store.writing() as connection:
            requeue(connection, run)
        engine.queue_again(get_run(store, run))
    finally:
        engine.close()
    return True


async def follow(
    run: str,
    store: Store,
    settings: Settings,
    *,
    on_event: Listener = silent,
    ask: Asker | None = None,
    from_now: bool = False,
) -> Result:
    """Look on while a worker works on a run, until it ends or waits, putting its reviews to `ask`.

    Args:
        run: The run.
        store: Its journal.
        settings: The process's settings.
        on_event: Is told what happens.
        ask: Decides reviews, as in `api.advance`.
        from_now: Tell nothing of what happened before.
    """
    tail = Tail(store, run)
    if from_now:
        tail.skip()
    alone = 0
    while True:
        for event in await asyncio.to_thread(tail.new):
            on_event(event)
        row = get_run(store, run)
        if row.status in ENDED:
            return api.outcome(store, settings, run)
        if row.status == "waiting" and (ask is None or not await put_to(ask, run, store, settings)):
            return api.outcome(store, settings, run)
        # Nobody is left who could go on: this process does.
        alone = 0 if someone_works(store, settings) else alone + 1
        if alone * LOOK > PATIENCE:
            return await api.advance(run, store, settings, on_event=on_event, ask=ask)
        await asyncio.sleep(LOOK)
