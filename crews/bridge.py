"""How does plain code wait for async work, also from inside a running event loop?"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end from plain code; from inside a running loop, on a thread with a loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    box: list[T | BaseException] = []

    def run() -> None:
        try:
            box.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - it is raised again by the caller
            box.append(error)

    thread = threading.Thread(target=run, name="crews")
    thread.start()
    thread.join()
    found = box[0]
    if isinstance(found, BaseException):
        raise found
    return found
