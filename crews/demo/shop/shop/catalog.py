"""The catalogue: add products and find them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from shop.models import NotFound, Product

COLUMNS = "sku, name, category, price_cents, stock"


def add(conn: sqlite3.Connection, product: Product) -> None:
    """Put a product into the catalogue."""
    with conn:
        conn.execute(
            f"INSERT INTO products ({COLUMNS}) VALUES (?, ?, ?, ?, ?)",
            (product.sku, product.name, product.category, product.price_cents, product.stock),
        )


def get(conn: sqlite3.Connection, sku: str) -> Product:
    """The product with that article number; NotFound if there is none."""
    row = conn.execute(f"SELECT {COLUMNS} FROM products WHERE sku = ?", (sku,)).fetchone()
    if row is None:
        raise NotFound(f"no product {sku!r}")
    return Product(*row)


def search(
    conn: sqlite3.Connection,
    text: str,
    *,
    sort: str = "name",
    direction: str = "asc",
    limit: int = 20,
) -> list[Product]:
    """Products whose name contains `text`, in the order of the column `sort`."""
    rows = conn.execute(
        f"SELECT {COLUMNS} FROM products WHERE name LIKE '%{text}%' "
        f"ORDER BY {sort} {direction} LIMIT {limit}"
    )
    return [Product(*row) for row in rows]


def in_categories(conn: sqlite3.Connection, categories: Sequence[str]) -> list[Product]:
    """Products of any of the categories, by article number."""
    wanted = ", ".join("'" + category + "'" for category in categories)
    rows = conn.execute(f"SELECT {COLUMNS} FROM products WHERE category IN ({wanted}) ORDER BY sku")
    return [Product(*row) for row in rows]
