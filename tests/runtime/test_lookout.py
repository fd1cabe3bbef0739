"""Does a process that could not see for a while let the others beat before it calls them dead?"""

from __future__ import annotations

from crews.records.workers import LEASE
from crews.runtime.lookout import GAP, JUMP, Lookout


class Clocks:
    """Two clocks that a test moves."""

    def __init__(self) -> None:
        self.steady, self.wall = 100.0, 1_000_000.0
        self.lookout = Lookout(lambda: self.steady, lambda: self.wall)

    def pass_by(self, seconds: float, jump: float = 0.0) -> bool:
        self.steady += seconds
        self.wall += seconds + jump
        return self.lookout.clear()


def test_who_looks_every_second_sees_clearly_from_the_start() -> None:
    clocks = Clocks()
    assert all(clocks.pass_by(1.0) for _ in range(30))


def test_after_a_gap_in_which_heartbeats_grew_old_nobody_is_judged_for_one_lease() -> None:
    clocks = Clocks()
    assert clocks.pass_by(GAP)
    assert not clocks.pass_by(GAP + 0.1)
    seen = [clocks.pass_by(1.0) for _ in range(int(LEASE))]
    assert seen == [False] * (len(seen) - 1) + [True]


def test_a_clock_that_is_set_makes_nobody_dead() -> None:
    for jump in (3600.0, -3600.0, JUMP + 0.1):
        clocks = Clocks()
        assert clocks.pass_by(1.0)
        assert not clocks.pass_by(1.0, jump)
        assert not clocks.pass_by(LEASE / 2)
        assert clocks.pass_by(LEASE / 2)


def test_small_corrections_of_a_clock_are_none_of_its_business() -> None:
    clocks = Clocks()
    assert all(clocks.pass_by(1.0, jump=0.05) for _ in range(30))
