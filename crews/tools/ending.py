"""How does what is to be done at the end get done, even if the caller is cancelled meanwhile?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


async def unhurried(ending: Coroutine[None, None, None]) -> None:
    """Wait for it even if the caller is cancelled meanwhile, who is told only afterwards."""
    task = asyncio.ensure_future(ending)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = not task.cancelled()
    task.result()
    if cancelled:
        raise asyncio.CancelledError
