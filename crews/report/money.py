"""How are money and time written for people? What is not known is never written as zero."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from crews.records.rows import dollars


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in nano-dollars; `known` is False if part of it has no price."""

    nano: int = 0
    known: bool = True

    @property
    def dollars(self) -> Decimal | None:
        """US dollars; None: not known in full."""
        return dollars(self.nano) if self.known else None

    def __add__(self, other: Money) -> Money:
        return Money(self.nano + other.nano, self.known and other.known)

    def __str__(self) -> str:
        if not self.known:
            return f"{_amount(self.nano)} + unknown" if self.nano else "unknown"
        return _amount(self.nano)


def of_turn(nano: int | None) -> Money:
    """What one turn cost; None: no price is known for its model."""
    return Money(0, known=False) if nano is None else Money(nano)


def total(parts: Iterable[Money]) -> Money:
    """The sum; unknown if a part is."""
    found = Money()
    for part in parts:
        found += part
    return found


def _amount(nano: int) -> str:
    value = dollars(nano)
    if 0 < value < Decimal("0.00005"):
        return "<$0.0001"
    return f"${value:,.4f}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units, `3 m 07 s`; below ten seconds with tenths."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} m"
    return f"{minutes} m {rest:02} s" if minutes else f"{rest} s"


def counted(number: int, noun: str) -> str:
    """`1 turn`, `2 turns`, `12,345 tokens`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
