"""What does an activation know of the process that works on it: may it act, is it to end?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crews.records.journal import Journal


def _always() -> bool:
    return True


def _never() -> bool:
    return False


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Shift:
    """One process' terms of work."""

    holds: Callable[[], bool] = _always
    """Has it proved recently that it is alive? If not, others may have taken its runs: nothing may be begun."""
    draining: Callable[[], bool] = _never
    """Is it to end: finish what is under way, begin nothing, and leave the rest to others?"""
    solo: bool = True
    """Does a person wait for this run here? An interrupted run is then left to that person."""
    prove: Callable[[], None] = _nothing
    """Prove it now; waits while the database is away."""


def terms(
    holds: Callable[[], bool], prove: Callable[[], None], draining: Callable[[], bool] | None
) -> Shift:
    """Those of a worker, which says when it drains, or of a process in which a person waits."""
    if draining is None:
        return Shift(holds, prove=prove)
    return Shift(holds, draining, solo=False, prove=prove)


def still_ours(journal: Journal, shift: Shift) -> bool:
    """Is the run still this process' own? One that was cut off from the database asks it.

    Raises:
        Fenced: another process has taken the run over.
    """
    if not shift.holds():
        shift.prove()  # from here on nobody takes the run for a while
        with journal.writing():
            pass  # and nobody has taken it
    return shift.holds()
