"""What did the owner of a run read in its own last transaction, and how long does that hold?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

FRESH = 0.02
"""Seconds for which nobody looks again whether the end was asked for: a write comes before nearly every step."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The run as it was under the write lock. What only its owner changes holds until the owner's next write."""

    stop_asked: bool
    tokens: int
    money: int
    """Nano-dollars."""
    at: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, row: Any) -> Seen:
        """Of a row with columns of these names."""
        return cls(bool(row.stop_asked), int(row.tokens), int(row.money))

    @property
    def is_fresh(self) -> bool:
        """Is it young enough for what others change too?"""
        return time.monotonic() - self.at < FRESH
