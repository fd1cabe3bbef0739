"""Does this process still own its runs? It proves so to the others by a heartbeat, and to itself by the clock.

A process that was frozen and wakes must find out before it acts that others may have taken its runs: what
begins an effect asks `holds` first. (What it writes is refused anyway, by the run's epoch.)
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator

from loguru import logger

from crews.records import workers
from crews.records.owner import home_id, this_process
from crews.records.store import Store, open_store
from crews.records.workers import WorkerKind
from crews.runtime.lookout import awake
from crews.settings import Settings

_beating: dict[str, Heart] = {}
"""The hearts of this process, by journal: one however many runs it works on."""
_guard = threading.Lock()


class Heart:
    """A thread that writes the heartbeats of this process to one journal."""

    def __init__(self, url: str, home: str, kind: WorkerKind, concurrency: int) -> None:
        self.me = this_process()
        self.uses = 0
        self._url = url
        self._home = home
        self._kind: WorkerKind = kind
        self._concurrency = concurrency
        self._last = -workers.LEASE
        self._draining = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crews-heart", daemon=True)

    def start(self, store: Store) -> None:
        """Write the first beat at once, the others on the thread."""
        self._beat(store)
        self._thread.start()

    def stop(self, store: Store) -> None:
        """Beat no more, and take the name off the list."""
        self._stop.set()
        self._thread.join(timeout=workers.BEAT * 2)
        with contextlib.suppress(Exception):
            workers.leave(store, self.me)

    def drain(self) -> None:
        """Tell the others that this process takes nothing new."""
        self._draining = True

    def holds(self) -> bool:
        """Has this process shown recently enough that it is alive, so that nobody took its runs?"""
        return awake() - self._last < workers.HOLD

    def prove(self, store: Store) -> None:
        """Write a beat now: after an outage of the database nobody may have had the chance."""
        self._beat(store)

    def _run(self) -> None:
        store: Store | None = None
        try:
            # Its own connection: a heart must not wait for the pool that the work uses.
            while not self._stop.wait(workers.BEAT):
                try:
                    store = store or open_store(self._url)
                    self._beat(store)
                except Exception as error:  # noqa: BLE001 - loguru is told; the next beat may succeed
                    logger.warning("no heartbeat could be written: {}", error)
        finally:
            if store is not None:
                store.close()

    def _beat(self, store: Store) -> None:
        # The moment before the write: what comes after it may already be too late.
        now = awake()
        workers.beat(
            store,
            self.me,
            kind=self._kind,
            home=self._home,
            concurrency=self._concurrency,
            state="draining" if self._draining else "running",
        )
        self._last = max(self._last, now)  # a beat that had to wait comes after later ones


@contextlib.contextmanager
def beating(
    store: Store, settings: Settings, kind: WorkerKind = "solo", concurrency: int = 1
) -> Generator[Heart]:
    """Keep a heart beating for this journal; one for the whole process, whoever asks first says its kind."""
    key = store.engine.url.render_as_string(hide_password=False)
    with _guard:
        heart = _beating.get(key)
        if heart is None:
            heart = Heart(key, home_id(settings.home), kind, concurrency)
            heart.start(store)
            _beating[key] = heart
        heart.uses += 1
    try:
        yield heart
    finally:
        with _guard:
            heart.uses -= 1
            last = heart.uses == 0
            if last:
                del _beating[key]
        if last:
            heart.stop(store)
