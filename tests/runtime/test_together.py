"""Does a pause of one let the others finish, and an error of one end them all?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from crews.errors import StopRun, Waiting
from crews.runtime.together import together

Works = list[Coroutine[Any, Any, int]]


class Log:
    """Works that say when they begin, end and are cancelled."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def work(self, name: str, rounds: int, error: BaseException | None = None) -> int:
        self.lines.append(f"{name} begins")
        try:
            for _ in range(rounds):
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            self.lines.append(f"{name} is cancelled")
            raise
        if error is not None:
            raise error
        self.lines.append(f"{name} ends")
        return rounds


def test_results_come_in_the_order_of_the_works() -> None:
    log = Log()
    found = asyncio.run(together([log.work("a", 5), log.work("b", 1), log.work("c", 3)]))
    assert found == [5, 1, 3]
    assert log.lines[:3] == ["a begins", "b begins", "c begins"]
    nothing: Works = []
    assert asyncio.run(together(nothing)) == []


def test_one_that_waits_lets_the_others_finish() -> None:
    log = Log()
    with pytest.raises(Waiting, match="first"):
        asyncio.run(
            together([log.work("a", 1, Waiting("first")), log.work("b", 9), log.work("c", 0)])
        )
    assert {"b ends", "c ends"} <= set(log.lines)


@pytest.mark.parametrize("error", [StopRun("enough"), ValueError("broken"), KeyError("x")])
def test_any_other_end_of_one_is_the_end_of_all_at_once(error: BaseException) -> None:
    log = Log()
    with pytest.raises(type(error)):
        asyncio.run(together([log.work("a", 1, error), log.work("b", 10_000)]))
    assert log.lines[-1] == "b is cancelled"


def test_an_error_is_stronger_than_a_pause() -> None:
    log = Log()
    works = [log.work("a", 1, Waiting("x")), log.work("b", 5, StopRun("enough"))]
    with pytest.raises(StopRun):
        asyncio.run(together(works))


def test_errors_that_come_at_once_are_all_collected() -> None:
    """An error that nobody asked for would be logged as lost when the loop closes."""
    complaints: list[str] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
        log = Log()
        with pytest.raises(ValueError, match="broken"):
            await together([log.work(n, 0, ValueError("broken")) for n in "abc"])

    asyncio.run(run())
    assert complaints == []


def test_who_is_cancelled_leaves_nothing_running() -> None:
    log = Log()

    async def run() -> None:
        task = asyncio.ensure_future(together([log.work("a", 10_000), log.work("b", 10_000)]))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert sorted(log.lines[-2:]) == ["a is cancelled", "b is cancelled"]
