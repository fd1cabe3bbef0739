"""Was anything sent of a request, by any of the attempts that the SDK makes at it?

The SDK tells of its last attempt alone; one before it may have been answered, and billed, without anybody having heard.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Attempts:
    """Those at one request."""

    unheard: int = 0
    """Were sent, or may have been, and brought no answer."""


_NOW: ContextVar[Attempts | None] = ContextVar("attempts", default=None)


@contextmanager
def counted() -> Generator[Attempts]:
    """Count the attempts that are made at one request, in the caller's task."""
    made = Attempts()
    token = _NOW.set(made)
    try:
        yield made
    finally:
        _NOW.reset(token)


def unheard() -> None:
    """One was sent, or may have been, and brings no answer."""
    if (made := _NOW.get()) is not None:
        made.unheard += 1
