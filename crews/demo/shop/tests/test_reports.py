"""Figures, and how they are written."""

import unittest
from datetime import date

from shop import money, reports
from tests.sample import ShopTestCase


class ReportsTest(ShopTestCase):
    def test_revenue_by_month(self) -> None:
        found = reports.revenue(self.conn, "2025-01-01", "2025-12-31")
        self.assertEqual(found, {"2025-03": 34200, "2025-04": 14000})

    def test_revenue_includes_both_ends(self) -> None:
        found = reports.revenue(self.conn, "2025-03-03", "2025-03-17", "day")
        self.assertEqual(found, {"2025-03-03": 22300, "2025-03-17": 11900})

    def test_best_sellers(self) -> None:
        found = reports.best_sellers(self.conn, limit=2)
        self.assertEqual(found, [("Linen towel, 50% cotton", 10), ("Oak bread board", 5)])

    def test_best_sellers_of_a_category(self) -> None:
        found = reports.best_sellers(self.conn, "cookware")
        self.assertEqual(found, [("Cast iron kettle", 2), ("Copper kettle", 1)])

    def test_overdue(self) -> None:
        found = reports.overdue(self.conn, date(2025, 3, 20))
        self.assertEqual(found, ["SO-1001"])


class MoneyTest(unittest.TestCase):
    def test_show(self) -> None:
        self.assertEqual(money.show(123450), "1,234.50 EUR")
        self.assertEqual(money.show(-5), "-0.05 EUR")
