"""How much may still be spent? Limits, reservations and what they became; arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from crews.teams.spec import Limits

Kind = Literal["tokens", "money", "wall_seconds", "turns", "calls"]
Amount = int | float | Decimal

KINDS: tuple[Kind, ...] = ("tokens", "money", "wall_seconds", "turns", "calls")
_UNITS: dict[Kind, str] = {
    "tokens": "tokens",
    "money": "US dollars",
    "wall_seconds": "seconds of work",
    "turns": "model requests",
    "calls": "tool calls",
}


def described(kind: Kind, amount: Amount) -> str:
    """An amount with its unit, for a human."""
    return f"${amount:,}" if kind == "money" else f"{amount:,} {_UNITS[kind]}"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used, or is about to be. Nothing is negative; the units are those of `Limits`."""

    tokens: int = 0
    money: Decimal | None = Decimal(0)
    """US dollars; `None`: not known, which is never counted as nothing."""
    wall_seconds: float = 0.0
    turns: int = 0
    calls: int = 0

    def __post_init__(self) -> None:
        for kind in KINDS:
            amount = self.of(kind)
            if amount is not None and not (math.isfinite(amount) and amount >= 0):
                raise ValueError(f"Spent {_UNITS[kind]} must be a number from 0 on, not {amount}.")

    def of(self, kind: Kind) -> Amount | None:
        """The amount of one kind; `None`: not known."""
        amount: Amount | None = getattr(self, kind)
        return amount

    def __add__(self, other: Spent) -> Spent:
        unknown = self.money is None or other.money is None
        return Spent(
            tokens=self.tokens + other.tokens,
            money=None if unknown else (self.money or Decimal(0)) + (other.money or Decimal(0)),
            wall_seconds=self.wall_seconds + other.wall_seconds,
            turns=self.turns + other.turns,
            calls=self.calls + other.calls,
        )


@dataclass(frozen=True, slots=True)
class Breach:
    """The wall that would be passed. `None` as an amount: the price is not known."""

    kind: Kind
    limit: Amount
    spent: Amount | None
    wanted: Amount | None

    @property
    def message(self) -> str:
        """One or two sentences for a human."""
        unit = _UNITS[self.kind]
        if self.spent is None or self.wanted is None:
            return (
                f"The limit of {self.limit} {unit} cannot be kept, because the price of a model "
                "is not known. Remove the money limit, limit tokens instead, or use a model "
                "with a known price."
            )
        return (
            f"The limit of {self.limit} {unit} would be passed: "
            f"{self.spent} are spent or reserved, {self.wanted} more are needed."
        )


def breach(limits: Limits, spent: Spent, wanted: Spent) -> Breach | None:
    """The first limit that spending `wanted` on top of `spent` would pass; `None`: all hold.

    `spent` is what was spent and what is reserved. Reaching a limit exactly is no breach. A limit
    on money with an unknown price is one: it fails closed.
    """
    whole = spent + wanted
    for kind in KINDS:
        if (limit := limit_of(limits, kind)) is None:
            continue
        total = whole.of(kind)
        if total is None or total > limit:
            return Breach(kind, limit, spent.of(kind), wanted.of(kind))
    return None


def limit_of(limits: Limits, kind: Kind) -> Amount | None:
    """The limit of one kind; `None`: there is none."""
    limit: Amount | None = getattr(limits, kind)
    return limit


def share(limits: Limits, fraction: float) -> Limits:
    """That part of every limit, rounded down, but never less than one of what is counted.

    Raises:
        ValueError: The fraction is not above 0 and at most 1.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"A share of a budget is above 0 and at most 1, not {fraction}.")
    return _limits({kind: _part(limit_of(limits, kind), fraction) for kind in KINDS})


def _part(limit: Amount | None, fraction: float) -> Amount | None:
    match limit:
        case None:
            return None
        case int():
            return max(1, math.floor(limit * Decimal(str(fraction))))
        case Decimal():
            return limit * Decimal(str(fraction))
        case float():
            return limit * fraction


def extend(limits: Limits, which: Kind, amount: Amount | None) -> Limits:
    """The limits with one of them raised by `amount`, or taken away by `None`.

    A limit that does not exist stays away.

    Raises:
        ValueError: The amount is not a number above 0.
    """
    limit = limit_of(limits, which)
    if amount is None or limit is None:
        return _limits({**_amounts(limits), which: None})
    if not (math.isfinite(amount) and amount > 0):
        raise ValueError(f"A limit is raised by a number above 0, not by {amount}.")
    raised = Decimal(str(limit)) + Decimal(str(amount))
    value: Amount = math.floor(raised) if isinstance(limit, int) else raised
    return _limits({**_amounts(limits), which: float(value) if which == "wall_seconds" else value})


def tightest(a: Limits, b: Limits) -> Limits:
    """The lower of both limits, kind by kind."""
    return _limits({kind: _lower(limit_of(a, kind), limit_of(b, kind)) for kind in KINDS})


def _lower(a: Amount | None, b: Amount | None) -> Amount | None:
    if a is None or b is None:
        return b if a is None else a
    return a if a <= b else b


def _amounts(limits: Limits) -> dict[Kind, Amount | None]:
    return {kind: limit_of(limits, kind) for kind in KINDS}


def _limits(amounts: Mapping[Kind, Amount | None]) -> Limits:
    return Limits.model_validate(dict(amounts))


@dataclass(frozen=True, slots=True)
class Reservation:
    """An upper bound set aside before it is spent; `key` names what it is for, once."""

    key: str
    wanted: Spent


@dataclass(frozen=True, slots=True)
class Meter:
    """Spent and reserved amounts under one wall; every change gives a new meter."""

    limits: Limits
    spent: Spent = Spent()
    open: Mapping[str, Spent] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def committed(self) -> Spent:
        """What is spent and what is reserved, together."""
        return sum(self.open.values(), self.spent)

    def reserve(self, reservation: Reservation) -> Meter | Breach:
        """The meter with the amount set aside, or the wall it would pass.

        Raises:
            ValueError: The key is already reserved.
        """
        if reservation.key in self.open:
            raise ValueError(f"`{reservation.key}` is already reserved.")
        if wall := breach(self.limits, self.committed, reservation.wanted):
            return wall
        return self._with({**self.open, reservation.key: reservation.wanted})

    def settle(self, key: str, actual: Spent) -> Meter:
        """The meter with a reservation turned into what it cost.

        What it cost counts in full, also where it is more than was reserved. Raises KeyError where
        nothing is reserved under the key.
        """
        rest = dict(self.open)
        del rest[key]
        return replace(self._with(rest), spent=self.spent + actual)

    def release(self, key: str) -> Meter:
        """The meter with a reservation given back unspent; KeyError where there is none."""
        return self.settle(key, Spent())

    def _with(self, reservations: dict[str, Spent]) -> Meter:
        return replace(self, open=MappingProxyType(reservations))
