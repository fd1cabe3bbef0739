"""Orders: place them and find them again."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date

from shop import stock
from shop.models import NotFound, Order

COLUMNS = "o.code, o.customer_id, o.status, o.placed_on, o.note"
FIRST_CODE = 1001


def place(
    conn: sqlite3.Connection, customer_id: int, items: Mapping[str, int], placed_on: date
) -> str:
    """Order `items` (article number to quantity) and return the code of the new order."""
    with conn:
        count = conn.execute("SELECT count(*) FROM orders").fetchone()[0]
        code = f"SO-{FIRST_CODE + count}"
        order = conn.execute(
            "INSERT INTO orders (code, customer_id, placed_on) VALUES (?, ?, ?)",
            (code, customer_id, placed_on.isoformat()),
        )
        for sku, quantity in items.items():
            stock.take(conn, sku, quantity)
            conn.execute(
                "INSERT INTO order_lines (order_id, product_id, quantity, price_cents) "
                "SELECT ?, id, ?, price_cents FROM products WHERE sku = ?",
                (order.lastrowid, quantity, sku),
            )
    return code


def history(conn: sqlite3.Connection, email: str, status: str | None = None) -> list[Order]:
    """Orders of the customer with that address, newest first; only those in `status` if given."""
    query = (
        f"SELECT {COLUMNS} FROM orders o JOIN customers c ON c.id = o.customer_id "
        f"WHERE c.email = '{email}'"
    )
    if status is not None:
        query += f" AND o.status = '{status}'"
    rows = conn.execute(query + " ORDER BY o.placed_on DESC, o.id DESC")
    return [_order(row) for row in rows]


def by_codes(conn: sqlite3.Connection, codes: Sequence[str]) -> list[Order]:
    """The orders with those codes, oldest first; codes that do not exist are left out."""
    wanted = "', '".join(codes)
    rows = conn.execute(
        f"SELECT {COLUMNS} FROM orders o WHERE o.code IN ('{wanted}') ORDER BY o.id"
    )
    return [_order(row) for row in rows]


def add_note(conn: sqlite3.Connection, code: str, note: str) -> None:
    """Replace the note for the driver on one order."""
    with conn:
        changed = conn.execute("UPDATE orders SET note = '%s' WHERE code = '%s'" % (note, code))
    if changed.rowcount == 0:
        raise NotFound(f"no order {code!r}")


def ship(conn: sqlite3.Connection, code: str) -> None:
    """Mark an open order as shipped."""
    with conn:
        changed = conn.execute(
            "UPDATE orders SET status = 'shipped' WHERE code = ? AND status = 'open'", (code,)
        )
    if changed.rowcount == 0:
        raise NotFound(f"no open order {code!r}")


def _order(row: sqlite3.Row) -> Order:
    code, customer_id, status, placed_on, note = row
    return Order(code, customer_id, status, date.fromisoformat(placed_on), note)
