"""How is somebody else's synchronous code run so that it cannot hold the run up for ever?"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def apart(work: Callable[[], T], seconds: float) -> T:
    """Run it on a thread of its own; the process does not wait for that thread when it ends.

    Raises:
        TimeoutError: there is no answer after so many seconds. The code itself cannot be stopped and may go on.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def told(set_it: Callable[[], None]) -> None:
        if not answer.done():
            set_it()

    def run() -> None:
        try:
            found = context.run(work)
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            wrong = _carried(error)
            _tell(loop, lambda: told(lambda: answer.set_exception(wrong)))
        else:
            _tell(loop, lambda: told(lambda: answer.set_result(found)))

    threading.Thread(target=run, name="apart", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await answer


def _carried(error: BaseException) -> BaseException:
    """The error as a future can hold it."""
    strange = isinstance(error, (StopIteration, KeyboardInterrupt, SystemExit))
    return RuntimeError(f"{type(error).__name__}: {error}") if strange else error


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more
