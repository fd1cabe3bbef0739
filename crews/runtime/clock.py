"""How long has an activation worked that is in no row yet: the run, and each of its threads?

Waiting is not work: a thread that waits for room at its model stands still, so does one whose delegations
all do, and so does the run while nobody in it does anything else. A run that waits for a human has no activation.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager

RUN = ""
"""Name of the run itself among the threads' paths."""


class Clock:
    """The working time of one activation. All of it is seconds; used from one event loop."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._at = now()
        self._worked = defaultdict[str, float](float)
        self._open: set[str] = set()
        self._resting: set[str] = set()

    def unwritten(self, path: str = RUN) -> float:
        """Work of a thread, or of the run, that is in no row yet."""
        self._tick()
        return self._worked[path]

    @contextmanager
    def working(self, path: str) -> Generator[None]:
        """A thread is at work."""
        yield from self._within(self._open, path)

    @contextmanager
    def resting(self, path: str) -> Generator[None]:
        """A thread that is at work waits for what no work of its own can bring."""
        yield from self._within(self._resting, path)

    @contextmanager
    def writing(self, path: str) -> Generator[tuple[float, float]]:
        """Unwritten work of the run and of a thread, to be written; it counts as written if that went well."""
        worked = self.unwritten(), self.unwritten(path)
        yield worked
        self._worked[RUN] -= worked[0]
        self._worked[path] -= worked[1]

    def _within(self, paths: set[str], path: str) -> Generator[None]:
        self._tick()
        paths.add(path)
        try:
            yield
        finally:
            self._tick()
            paths.discard(path)

    def _tick(self) -> None:
        """Count the time since the last change for everyone who did not stand still."""
        now = self._now()
        passed, self._at = now - self._at, now
        for path in (RUN, *self._open):
            if not self._still(path):
                self._worked[path] += passed

    def _still(self, path: str) -> bool:
        """Does everyone who could work on this, or below it, wait?"""
        if not self._resting:
            return False
        at_work = {p for p in self._open if _is_within(p, path)}
        leaves = {p for p in at_work if not any(_is_within(o, p) and o != p for o in at_work)}
        return bool(leaves) and leaves <= self._resting


def _is_within(path: str, above: str) -> bool:
    return path == above or path.startswith(f"{above.rstrip('/')}/")
