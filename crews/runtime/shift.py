"""What does an activation know of the process that works on it: may it act, is it to end?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


def _always() -> bool:
    return True


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Shift:
    """One process' terms of work."""

    holds: Callable[[], bool] = _always
    """Has it proved recently that it is alive? If not, others may have taken its runs: nothing may be begun."""
    draining: Callable[[], bool] = _never
    """Is it to end: finish what is under way, begin nothing, and leave the rest to others?"""
    solo: bool = True
    """Does a person wait for this run here? An interrupted run is then left to that person."""
