"""Are amounts written so that nothing unknown looks like nothing?"""

from __future__ import annotations

import pytest

from crews.report.money import Money, counted, duration, of_turn, total


@pytest.mark.parametrize(
    ("nano", "known", "text"),
    [
        (0, True, "$0.0000"),
        (12_345_678, True, "$0.0123"),
        (1_234_500_000_000, True, "$1,234.5000"),
        (49_999, True, "<$0.0001"),
        (0, False, "unknown"),
        (12_345_678, False, "$0.0123 + unknown"),
    ],
)
def test_money(nano: int, known: bool, text: str) -> None:
    assert str(Money(nano, known)) == text


def test_a_sum_with_something_unknown_is_unknown() -> None:
    found = total([of_turn(5), of_turn(None), of_turn(7)])
    assert (found.nano, found.known, found.dollars) == (12, False, None)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (187, "3 m 07 s"), (7_260, "2 h 01 m"),
     (90_000, "1 d 01 h")],
)  # fmt: skip
def test_time(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_counts() -> None:
    assert (counted(1, "turn"), counted(2_000, "token")) == ("1 turn", "2,000 tokens")
