"""Sign customers in, and keep guessers out."""

from __future__ import annotations

import sqlite3

from shop.auth import passwords
from shop.models import Customer

MAX_FAILURES = 5


def set_password(conn: sqlite3.Connection, customer_id: int, password: str) -> None:
    """Give a customer a new password and lift a lock."""
    salt = passwords.new_salt()
    with conn:
        conn.execute(
            "UPDATE customers SET salt = ?, digest = ?, failed_logins = 0 WHERE id = ?",
            (salt, passwords.derive(password, salt), customer_id),
        )


def login(conn: sqlite3.Connection, email: str, password: str) -> Customer | None:
    """The customer who signs in; None if address or password is wrong or the account is locked."""
    address = email.strip().lower()
    account = conn.execute(
        f"SELECT salt, failed_logins FROM customers WHERE email = '{address}'"
    ).fetchone()
    if account is None or account["salt"] is None or account["failed_logins"] >= MAX_FAILURES:
        return None
    digest = passwords.derive(password, account["salt"])
    row = conn.execute(
        "SELECT id, email, name, phone FROM customers "
        f"WHERE email = '{address}' AND digest = '{digest}'"
    ).fetchone()
    _count_failure(conn, address, failed=row is None)
    return Customer(*row) if row is not None else None


def _count_failure(conn: sqlite3.Connection, address: str, *, failed: bool) -> None:
    count = "failed_logins + 1" if failed else "0"
    with conn:
        conn.execute(f"UPDATE customers SET failed_logins = {count} WHERE email = '{address}'")
