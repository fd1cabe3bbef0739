"""Can this process judge now who has fallen silent? Not right after it could not see, or a clock has jumped.

A process that was frozen, cut off from the database, or asleep with its machine finds every heartbeat old when it
is back, and those of the living with them: it first gives them the time to beat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from crews.records import workers

GAP: Final = workers.LEASE - 2 * workers.BEAT
"""Seconds between two looks after which heartbeats that were fresh at the first may be too old at the second."""
JUMP: Final = 1.0
"""Seconds by which the clock that dates heartbeats may go astray unnoticed."""


def awake() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lookout:
    """One process' sight of the others; asked at each look, after the heartbeats were read."""

    def __init__(
        self, steady: Callable[[], float] = awake, wall: Callable[[], float] = time.time
    ) -> None:
        self._steady, self._wall = steady, wall
        self._last = steady(), wall()
        self._blind_until = self._last[0]

    def clear(self) -> bool:
        """May what was just read be trusted?"""
        now = self._steady(), self._wall()
        passed, dated = now[0] - self._last[0], now[1] - self._last[1]
        self._last = now
        if passed > GAP or abs(dated - passed) > JUMP:
            self._blind_until = now[0] + workers.LEASE
        return now[0] >= self._blind_until
