"""How does a process work on whatever run is next, and what does it look after meanwhile?

Activations come from the queue. Once a second the worker looks, by what is in the rows and not by what it
remembers, for runs whose owner has died, for runs that are ready and have no activation, for questions
whose time is over and for people who are to be told.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from loguru import logger

from crews.errors import Fenced, RunBusy, Signal, StoreError, UsageError
from crews.records import workers
from crews.records.leaving import disown
from crews.records.lost import (
    lost_runs,
    note_on_queued,
    own_runs,
    ready_runs,
    release_lost,
)
from crews.records.owner import home_id, this_process
from crews.records.rows import RunRow
from crews.records.runs import get_run
from crews.records.store import Store, check_version
from crews.runtime.engine import Engine, Fire, working
from crews.runtime.heart import Heart, beating
from crews.runtime.lookout import Lookout
from crews.runtime.workflow import activate, active_runs
from crews.settings import Settings

TICK = 1.0
"""Seconds between two looks at what is to be looked after."""
SWEEP = 300.0
"""Seconds between two removals of what ended activations leave."""
KEPT = 3600.0
"""Seconds for which an ended activation is kept; the run's own rows say all that it said, and more."""
LONGEST_REST = 60.0
"""Seconds before a run that could not be worked on here is tried here again, at most."""

Duty = Callable[[float], Awaitable[None]]
"""Something to look after at every tick; is given the time, in seconds since the epoch."""
Said = Callable[[str, str], None]
"""Is told that something happened with a run: the run, and what."""


def _nothing(run: str, what: str) -> None:
    del run, what


def _warm(settings: Settings) -> None:
    """Load what the first request needs, so that the first run need not wait for it."""
    if settings.api_key or settings.auth_token or settings.base_url:
        with contextlib.suppress(Exception):  # who needs it says what is wrong
            importlib.import_module("anthropic")


@dataclass(slots=True)
class Worker:
    """One process at work. `run` ends when `drain` was called and the last call has ended."""

    store: Store
    settings: Settings
    concurrency: int = 4
    duties: tuple[Duty, ...] = ()
    said: Said = _nothing
    taking: Callable[[], AbstractAsyncContextManager[None]] = contextlib.nullcontext
    """What takes orders beside the queue, for as long as the worker begins new work."""
    home: str = field(init=False)
    engine: Engine = field(init=False)
    lookout: Lookout = field(default_factory=Lookout)
    _draining: asyncio.Event = field(default_factory=asyncio.Event)
    _slots: asyncio.Semaphore = field(init=False)
    _rests: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    """Runs that could not be worked on here: when they are tried again, and how long they rested last."""
    _looked_at: RunRow | None = None
    """Where among the runs that are ready the last look ended."""
    _work: set[asyncio.Task[object]] = field(default_factory=set["asyncio.Task[object]"])

    def __post_init__(self) -> None:
        self.home = home_id(self.settings.home)
        self.engine = Engine(self.store, self.home)
        self._slots = asyncio.Semaphore(self.concurrency)

    # -- its life -----------------------------------------------------------------------------

    async def run(self, fire: Fire) -> None:
        """Work until `drain` is called."""
        await asyncio.to_thread(self.engine.prepare, self.concurrency)
        with self._beating() as heart:
            with working(
                self.engine,
                executor=heart.me,
                activate=self._activate,
                fire=fire,
            ) as take_no_more:
                duties = [asyncio.create_task(self._keep(duty)) for duty in self.duties]
                warming = asyncio.create_task(asyncio.to_thread(_warm, self.settings))
                async with self.taking():
                    await self._look_after()
                take_no_more()
                for duty in duties:
                    duty.cancel()
                heart.drain()
                await warming
                await self._finish()
            self.engine.close()

    def drain(self) -> None:
        """Finish the calls that are under way, begin nothing more, and leave the rest to others."""
        self._draining.set()

    def give_up(self) -> None:
        """Do not even finish them: cut off what is under way."""
        self._draining.set()
        for work in self._work:
            work.cancel()

    @contextlib.contextmanager
    def _beating(self) -> Generator[Heart]:
        with beating(self.store, self.settings, "worker", self.concurrency) as heart:
            yield heart

    async def _finish(self) -> None:
        while self._work:
            await asyncio.wait(self._work)

    # -- activations --------------------------------------------------------------------------

    def begin(self, run: RunRow) -> bool:
        """Work at once on a run that this process has just made; False: it must go through the queue."""
        limits = run.spec.policy.queue
        # What was begun a moment ago has no slot yet.
        full = self._slots.locked() or len(self._work) >= self.concurrency
        if limits.concurrency or limits.starts or full or self._draining.is_set():
            return False
        self._work.add(asyncio.create_task(self._begin(run.id)))
        return True

    async def _begin(self, run: str) -> None:
        try:
            await self._activate(run)
        finally:  # whatever came of it: who looks for work finds it only where it is nobody's
            with contextlib.suppress(StoreError), self.store.writing() as connection:
                disown(connection, run, this_process())

    async def _activate(self, run: str) -> str:
        """Work on a run, as the queue asks for; one word about how that went."""
        task = asyncio.current_task()
        if task is not None:
            self._work.add(task)
            task.add_done_callback(self._work.discard)
        async with self._slots:
            if self._draining.is_set():
                return "left to others"
            if get_run(self.store, run).status not in {"queued", "running"}:
                return "nothing to do"
            return await self._work_on(run)

    async def _work_on(self, run: str) -> str:
        try:
            row = await activate(run, self.store, self.settings, draining=self._draining.is_set)
        except RunBusy:
            return "busy"  # its owner finds the mark that woke it
        except Fenced:
            self.said(run, "was taken over by another process")
            return "fenced"
        except Exception as error:  # noqa: BLE001 - one run must not end the worker
            return self._failed(run, error)
        except Signal as signal:
            logger.warning("run {} was left: {!r}", run, signal)
            return "left"
        self._rests.pop(run, None)
        self.said(run, row.status)
        if row.status == "queued" and not self._draining.is_set():
            await asyncio.to_thread(self.engine.queue_again, row)
        return row.status

    def _failed(self, run: str, error: Exception) -> str:
        """What broke says so in the run, if it could; what is tried again is not tried at once."""
        rested = self._rests.get(run, (0.0, 0.5))[1]
        rest = min(LONGEST_REST, rested * 2)
        self._rests[run] = (time.monotonic() + rest, rest)
        if not isinstance(error, UsageError):
            logger.error("run {}: {}", run, error)
        what = f"could not go on: {getattr(error, 'what', error)}"
        self.said(run, what)
        with contextlib.suppress(StoreError):
            note_on_queued(self.store, run, f"worker {this_process()} {what}")
        return "failed"

    # -- what it looks after ------------------------------------------------------------------

    async def _keep(self, duty: Duty) -> None:
        """See to one duty at every tick; each by itself, so that a slow one holds up no other."""
        while True:
            try:
                await duty(time.time())
            except Exception as error:  # noqa: BLE001 - loguru is told; the next time may succeed
                logger.warning("a duty of the worker failed: {!r}", error)
            await asyncio.sleep(TICK)

    async def _look_after(self) -> None:
        swept = time.monotonic()
        while not self._draining.is_set():
            began = time.monotonic()
            try:
                if await asyncio.to_thread(self._is_outdated):
                    self.drain()
                    return
                await asyncio.to_thread(self._tick)
                if began - swept > SWEEP:
                    swept = began
                    await asyncio.to_thread(self._sweep)
            except StoreError as error:
                logger.warning("the journal cannot be used now: {}", error.what)
            except Exception:  # noqa: BLE001 - loguru is told; the next look may succeed
                logger.exception("looking after runs failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._draining.wait(), max(0.05, TICK))

    def _is_outdated(self) -> bool:
        """Has a newer version taken the journal over? What this one would write, it may not understand."""
        try:
            with self.store.reading() as connection:
                check_version(connection)
        except StoreError as error:
            if error.transient:
                raise
            self.said("", f"{error.what}: this worker ends")
            return True
        return False

    def _tick(self) -> None:
        lost = lost_runs(self.store, self.home)
        if self.lookout.clear():
            for row in lost:
                if release_lost(self.store, row) is not None:
                    self.said(row.id, f"taken from {row.owner}")
            self.engine.drop_dead(self._is_alive)
        self._release_own()
        now = time.monotonic()
        # A page at a time, round and round: a thousand runs that a limit holds back hide no other.
        page = ready_runs(self.store, self.home, after=self._looked_at)
        self._looked_at = page.more
        ready = [row for row in page.runs if self._rests.get(row.id, (0.0, 0.0))[0] <= now]
        live = self.engine.live(row.workflow for row in ready)
        for row in (row for row in ready if row.workflow not in live):
            try:
                self.engine.queue_again(row)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001 - one run must not hold the others up
                self._failed(row.id, error)

    def _is_alive(self, owner: str) -> bool:
        return workers.is_alive(self.store, owner)

    def _release_own(self) -> None:
        """Runs that this process owns and does not work on: their work broke off with the database."""
        for row in own_runs(self.store):
            if row.id not in active_runs(self.store):
                release_lost(self.store, row, own=True)

    def _sweep(self) -> None:
        self.engine.sweep(KEPT)
        workers.forget_silent(self.store)
