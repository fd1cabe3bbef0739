"""A small shop to test with: five products, three customers, three orders."""

from __future__ import annotations

import sqlite3
import unittest
from datetime import date
from unittest.mock import patch

from shop import catalog, customers, db, orders
from shop.auth import passwords
from shop.models import Product

BAKERY = "orders@mill-lane-bakery.example"
CAFE = "hello@north-pier-cafe.example"
HOTEL = "office@harbour-hotel.example"

PRODUCTS = (
    Product("CW-010", "Cast iron kettle", "cookware", 6400, 12),
    Product("CW-020", "Copper kettle", "cookware", 11900, 4),
    Product("CW-030", "Steel stock pot", "cookware", 5250, 20),
    Product("TB-010", "Oak bread board", "tableware", 2800, 30),
    Product("LN-010", "Linen towel, 50% cotton", "linen", 950, 80),
)


def fill(conn: sqlite3.Connection) -> None:
    """Put the sample data into an empty database."""
    for product in PRODUCTS:
        catalog.add(conn, product)
    bakery = customers.register(conn, BAKERY, "Mill Lane Bakery", "555-0101")
    cafe = customers.register(conn, CAFE, "North Pier Cafe", "555-0102")
    customers.register(conn, HOTEL, "Harbour Hotel", "555-0103")
    orders.place(conn, bakery.id, {"CW-010": 2, "LN-010": 10}, date(2025, 3, 3))
    orders.place(conn, cafe.id, {"CW-020": 1}, date(2025, 3, 17))
    orders.place(conn, bakery.id, {"TB-010": 5}, date(2025, 4, 2))


class ShopTestCase(unittest.TestCase):
    """A test with a filled database in memory, as `self.conn`."""

    def setUp(self) -> None:
        self.conn = db.connect(":memory:")
        self.addCleanup(self.conn.close)
        fill(self.conn)
        quick = patch.object(passwords, "ROUNDS", 1)
        quick.start()
        self.addCleanup(quick.stop)
