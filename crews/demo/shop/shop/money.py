"""Amounts of money, kept in cents."""

from __future__ import annotations


def show(cents: int, currency: str = "EUR") -> str:
    """Write an amount for people: `show(123450)` is `1,234.50 EUR`."""
    sign = "-" if cents < 0 else ""
    whole, rest = divmod(abs(cents), 100)
    return f"{sign}{whole:,}.{rest:02d} {currency}"
