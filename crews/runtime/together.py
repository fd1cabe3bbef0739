"""How do several pieces of work run at once, so that a pause of one lets the others finish?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from crews.errors import Waiting

T = TypeVar("T")


async def together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at once and return what they return, in order.

    Raises:
        Waiting: one of them waits for a human; raised after the others have finished.
        BaseException: anything else that one of them raises, at once; the others are cancelled.
    """
    if (
        len(works) == 1
    ):  # in a task of its own all the same: what it sets in its context stays there
        return [await asyncio.ensure_future(works[0])]
    tasks = [asyncio.ensure_future(w) for w in works]
    pending = set(tasks)
    waiting: Waiting | None = None
    try:
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                error = task.exception()
                if isinstance(error, Waiting):
                    waiting = error
                elif error is not None:
                    raise error
    finally:
        for task in pending:
            task.cancel()
        # All of them: an error that nobody has asked for would be reported as lost.
        await asyncio.gather(*tasks, return_exceptions=True)
    if waiting is not None:
        raise waiting
    return [t.result() for t in tasks]
