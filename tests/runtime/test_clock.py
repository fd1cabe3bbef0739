"""Does only work count, whoever waits for whom?"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest

from crews.runtime.clock import Clock


@dataclass
class Time:
    """A clock whose time passes when the test says so."""

    now: float = 100.0
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = Clock(lambda: self.now)

    def passes(self, seconds: float) -> None:
        self.now += seconds

    def of(self, *paths: str) -> tuple[float, ...]:
        return tuple(self.clock.unwritten(p) for p in paths)

    @contextmanager
    def working(self, *paths: str) -> Generator[None]:
        with ExitStack() as stack:
            for path in paths:
                stack.enter_context(self.clock.working(path))
            yield


@pytest.fixture
def time() -> Time:
    return Time()


def test_a_thread_works_while_it_is_open_and_the_run_all_the_time(time: Time) -> None:
    time.passes(1)
    with time.working("/"):
        time.passes(2)
    time.passes(4)
    assert time.of("", "/") == (7, 2)


def test_a_thread_that_rests_stands_still_and_so_does_its_run(time: Time) -> None:
    with time.working("/"):
        time.passes(1)
        with time.clock.resting("/"):
            time.passes(50)
        time.passes(2)
    assert time.of("", "/") == (3, 3)


def test_who_delegated_works_while_one_of_the_delegations_does(time: Time) -> None:
    with time.working("/", "/2.0", "/2.1"):
        with time.clock.resting("/2.0"):
            time.passes(10)
            with time.clock.resting("/2.1"):
                time.passes(100)
        time.passes(1)
    assert time.of("", "/", "/2.0", "/2.1") == (11, 11, 1, 11)


def test_tasks_side_by_side_do_not_hold_each_other_up(time: Time) -> None:
    with time.working("/one", "/one-more"), time.clock.resting("/one"):
        time.passes(5)
    assert time.of("", "/one", "/one-more") == (5, 0, 5)


def test_what_was_written_counts_no_more_and_what_could_not_be_does(time: Time) -> None:
    with time.working("/"):
        time.passes(3)
        with pytest.raises(OSError, match="full"), time.clock.writing("/"):
            raise OSError("the disk is full")
        with time.clock.writing("/") as worked:
            assert worked == (3, 3)
            time.passes(1)  # while it is written
        assert time.of("", "/") == (1, 1)
