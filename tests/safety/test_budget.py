"""Is a limit a wall, whatever is reserved, settled and given back in whatever order?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.budget import (
    KINDS,
    Breach,
    Meter,
    Reservation,
    Spent,
    breach,
    extend,
    limit_of,
    share,
    tightest,
)
from crews.teams.spec import Limits

amounts = st.builds(
    Spent,
    tokens=st.integers(0, 60),
    money=st.one_of(st.none(), st.decimals(0, 3, places=3)),
    wall_seconds=st.integers(0, 50).map(float),
    turns=st.integers(0, 2),
    calls=st.integers(0, 3),
)
limits = st.builds(
    Limits,
    tokens=st.one_of(st.none(), st.integers(1, 100)),
    money=st.one_of(st.none(), st.decimals("0.001", 5, places=3)),
    wall_seconds=st.one_of(st.none(), st.integers(1, 100).map(float)),
    turns=st.one_of(st.none(), st.integers(1, 5)),
    calls=st.one_of(st.none(), st.integers(1, 5)),
)
steps = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "release"]), amounts, st.integers(0, 9))
)


def within(wall: Limits, spent: Spent) -> bool:
    for kind in KINDS:
        limit, amount = limit_of(wall, kind), spent.of(kind)
        if limit is not None and (amount is None or amount > limit):
            return False
    return True


def least(a: Spent, b: Spent) -> Spent:
    money = min(a.money, b.money) if a.money is not None and b.money is not None else a.money
    return Spent(
        min(a.tokens, b.tokens),
        money,
        min(a.wall_seconds, b.wall_seconds),
        min(a.turns, b.turns),
        min(a.calls, b.calls),
    )


@given(limits, steps)
def test_under_any_interleaving_the_sum_stays_within_the_wall(
    wall: Limits, todo: list[tuple[str, Spent, int]]
) -> None:
    meter = Meter(wall)
    for number, (step, amount, pick) in enumerate(todo):
        keys = sorted(meter.open)
        if step == "reserve":
            answer = meter.reserve(Reservation(str(number), amount))
            if isinstance(answer, Breach):
                assert not within(wall, meter.committed + amount)
            else:
                meter = answer
        elif keys:
            key = keys[pick % len(keys)]
            cost = least(meter.open[key], amount) if step == "settle" else Spent()
            meter = meter.settle(key, cost) if step == "settle" else meter.release(key)
        assert within(wall, meter.committed)


def test_a_breach_names_the_wall_in_plain_words() -> None:
    wall = breach(Limits(tokens=100), Spent(tokens=80), Spent(tokens=21))

    assert wall is not None
    assert wall == Breach("tokens", 100, 80, 21)
    assert wall.message == (
        "The limit of 100 tokens would be passed: 80 are spent or reserved, 21 more are needed."
    )
    assert breach(Limits(tokens=100), Spent(tokens=80), Spent(tokens=20)) is None


def test_an_unknown_price_breaches_a_money_limit_and_no_other() -> None:
    unknown = Spent(tokens=1, money=None)

    wall = breach(Limits(money=Decimal(5)), Spent(), unknown)
    assert wall is not None
    assert "price of a model is not known" in wall.message
    assert breach(Limits(money=Decimal(5)), unknown, Spent()) is not None
    assert breach(Limits(tokens=5), Spent(), unknown) is None
    assert (Spent(money=Decimal(1)) + unknown).money is None


def test_what_was_settled_counts_in_full_even_above_its_reservation() -> None:
    meter = Meter(Limits(tokens=10)).reserve(Reservation("a", Spent(tokens=5)))
    assert isinstance(meter, Meter)

    meter = meter.settle("a", Spent(tokens=12))

    assert meter.committed.tokens == 12
    assert isinstance(meter.reserve(Reservation("b", Spent())), Breach)


def test_a_key_is_reserved_once_and_settled_once() -> None:
    meter = Meter(Limits()).reserve(Reservation("a", Spent()))
    assert isinstance(meter, Meter)
    with pytest.raises(ValueError, match="already reserved"):
        meter.reserve(Reservation("a", Spent()))
    with pytest.raises(KeyError):
        meter.release("a").settle("a", Spent())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Spent(tokens=-1),
        lambda: Spent(money=Decimal(-1)),
        lambda: Spent(money=Decimal("NaN")),
        lambda: Spent(wall_seconds=float("nan")),
        lambda: Spent(turns=-2),
    ],
)
def test_nothing_is_negative(make: Callable[[], Spent]) -> None:
    with pytest.raises(ValueError, match="from 0 on"):
        make()


@given(limits, st.floats(0.01, 1))
def test_a_share_is_no_more_than_the_whole(whole: Limits, fraction: float) -> None:
    part = share(whole, fraction)

    for kind in KINDS:
        of_part, of_whole = limit_of(part, kind), limit_of(whole, kind)
        assert (of_part is None) == (of_whole is None)
        assert of_part is None or of_whole is None or of_part <= of_whole


def test_a_share_in_figures() -> None:
    whole = Limits(tokens=1000, money=Decimal("5.00"), wall_seconds=60.0, turns=3, calls=None)

    part = share(whole, 0.3)

    assert (part.tokens, part.money, part.turns, part.calls) == (300, Decimal("1.500"), 1, None)
    assert part.wall_seconds == pytest.approx(18.0)


@pytest.mark.parametrize("fraction", [0, -1, 1.01, float("nan")])
def test_a_share_is_a_part(fraction: float) -> None:
    with pytest.raises(ValueError, match="share of a budget"):
        share(Limits(tokens=1), fraction)


def test_extending() -> None:
    wall = Limits(tokens=10, money=Decimal("0.1"), wall_seconds=1.5)

    assert extend(wall, "tokens", 5).tokens == 15
    assert extend(wall, "money", 0.2).money == Decimal("0.3")
    assert extend(wall, "wall_seconds", 1).wall_seconds == 2.5
    assert extend(wall, "money", None).money is None
    assert extend(wall, "turns", 5).turns is None
    assert extend(wall, "tokens", 5).money == wall.money
    for amount in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="above 0"):
            extend(wall, "tokens", amount)


@given(limits, limits, amounts)
def test_the_tightest_of_two_walls_breaches_where_either_does(
    one: Limits, other: Limits, wanted: Spent
) -> None:
    both = breach(tightest(one, other), Spent(), wanted)
    either = breach(one, Spent(), wanted) or breach(other, Spent(), wanted)

    assert (both is None) == (either is None)
