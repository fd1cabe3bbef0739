"""Figures for the office."""

from __future__ import annotations

import sqlite3
from datetime import date

PERIODS = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def revenue(
    conn: sqlite3.Connection, since: str, until: str, period: str = "month"
) -> dict[str, int]:
    """Cents earned in each period from `since` to `until` (ISO dates, both included)."""
    rows = conn.execute(
        "SELECT strftime('{fmt}', o.placed_on) AS period, sum(l.quantity * l.price_cents) "
        "FROM orders o JOIN order_lines l ON l.order_id = o.id "
        "WHERE o.status <> 'cancelled' AND o.placed_on BETWEEN '{since}' AND '{until}' "
        "GROUP BY period ORDER BY period".format(fmt=PERIODS[period], since=since, until=until)
    )
    return {row[0]: row[1] for row in rows}


def best_sellers(
    conn: sqlite3.Connection, category: str | None = None, limit: int = 3
) -> list[tuple[str, int]]:
    """Names and quantities of what sold most, in one category or in all."""
    where = "o.status <> 'cancelled'"
    if category:
        where += " AND p.category = '" + category + "'"
    rows = conn.execute(
        "SELECT p.name, sum(l.quantity) AS sold FROM order_lines l "
        "JOIN products p ON p.id = l.product_id JOIN orders o ON o.id = l.order_id "
        f"WHERE {where} GROUP BY p.id ORDER BY sold DESC, p.name LIMIT {limit}"
    )
    return [(row["name"], row["sold"]) for row in rows]


def overdue(conn: sqlite3.Connection, today: date, days: int = 3) -> list[str]:
    """Codes of the open orders that have waited longer than `days`."""
    rows = conn.execute(
        "SELECT code FROM orders WHERE status = 'open' "
        "AND julianday(?) - julianday(placed_on) > ? ORDER BY code",
        (today.isoformat(), days),
    )
    return [row["code"] for row in rows]
