"""How many there are of each product."""

from __future__ import annotations

import sqlite3

from shop.models import NotFound, OutOfStock

LOW = 5


def take(conn: sqlite3.Connection, sku: str, quantity: int) -> None:
    """Take `quantity` off the shelf, inside the caller's transaction."""
    changed = conn.execute(
        "UPDATE products SET stock = stock - ? WHERE sku = ? AND stock >= ?",
        (quantity, sku, quantity),
    )
    if changed.rowcount == 0:
        raise OutOfStock(f"not enough of {sku!r}")


def restock(conn: sqlite3.Connection, sku: str, quantity: int) -> None:
    """Put `quantity` back on the shelf."""
    with conn:
        changed = conn.execute(
            "UPDATE products SET stock = stock + ? WHERE sku = ?", (quantity, sku)
        )
    if changed.rowcount == 0:
        raise NotFound(f"no product {sku!r}")


def running_low(conn: sqlite3.Connection, below: int = LOW) -> list[str]:
    """Article numbers of which fewer than `below` are left."""
    rows = conn.execute("SELECT sku FROM products WHERE stock < ? ORDER BY sku", (below,))
    return [row["sku"] for row in rows]
