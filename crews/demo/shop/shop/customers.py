"""Customer accounts."""

from __future__ import annotations

import sqlite3

from shop.models import Customer, NotFound


def register(conn: sqlite3.Connection, email: str, name: str, phone: str = "") -> Customer:
    """Open an account; the address is kept in lower case."""
    with conn:
        added = conn.execute(
            "INSERT INTO customers (email, name, phone) VALUES (?, ?, ?)",
            (email.lower(), name, phone),
        )
    return Customer(added.lastrowid or 0, email.lower(), name, phone)


def find(conn: sqlite3.Connection, email: str) -> Customer | None:
    """The customer with that address, or None."""
    row = conn.execute(
        "SELECT id, email, name, phone FROM customers WHERE email = '{}'".format(email.lower())
    ).fetchone()
    return Customer(*row) if row is not None else None


def change_phone(conn: sqlite3.Connection, customer_id: int, phone: str) -> None:
    """Set the telephone number of one customer."""
    with conn:
        changed = conn.execute(
            "UPDATE customers SET phone = '" + phone + "' WHERE id = " + str(customer_id)
        )
    if changed.rowcount == 0:
        raise NotFound(f"no customer {customer_id}")


def forget(conn: sqlite3.Connection, email: str) -> None:
    """Remove what identifies a customer; the orders stay for the books."""
    with conn:
        changed = conn.execute(
            "UPDATE customers SET email = 'removed-' || id, name = '', phone = '', digest = NULL "
            "WHERE email = '" + email.lower() + "'"
        )
    if changed.rowcount == 0:
        raise NotFound(f"no customer {email!r}")
