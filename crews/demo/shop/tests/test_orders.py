"""Orders and the messages about them."""

from datetime import date

from shop import catalog, customers, messages, orders
from shop.models import NotFound, OutOfStock
from tests.sample import BAKERY, CAFE, ShopTestCase


class OrdersTest(ShopTestCase):
    def test_place_takes_from_stock(self) -> None:
        code = orders.place(self.conn, 3, {"CW-030": 8}, date(2025, 5, 1))
        self.assertEqual(code, "SO-1004")
        self.assertEqual(catalog.get(self.conn, "CW-030").stock, 12)

    def test_place_leaves_nothing_behind_when_stock_is_short(self) -> None:
        with self.assertRaises(OutOfStock):
            orders.place(self.conn, 3, {"CW-030": 1, "CW-020": 99}, date(2025, 5, 1))
        self.assertEqual(orders.by_codes(self.conn, ["SO-1004"]), [])
        self.assertEqual(catalog.get(self.conn, "CW-030").stock, 20)

    def test_history_is_newest_first(self) -> None:
        found = orders.history(self.conn, BAKERY)
        self.assertEqual([o.code for o in found], ["SO-1003", "SO-1001"])

    def test_history_by_status(self) -> None:
        orders.ship(self.conn, "SO-1001")
        found = orders.history(self.conn, BAKERY, "shipped")
        self.assertEqual([o.code for o in found], ["SO-1001"])

    def test_by_codes_leaves_out_the_unknown(self) -> None:
        found = orders.by_codes(self.conn, ["SO-1002", "SO-9999", "SO-1001"])
        self.assertEqual([o.code for o in found], ["SO-1001", "SO-1002"])

    def test_note(self) -> None:
        orders.add_note(self.conn, "SO-1002", "Deliver to the yard")
        self.assertEqual(orders.history(self.conn, CAFE)[0].note, "Deliver to the yard")

    def test_note_on_an_unknown_order(self) -> None:
        with self.assertRaises(NotFound):
            orders.add_note(self.conn, "SO-9999", "Deliver to the yard")

    def test_confirmation_names_the_order(self) -> None:
        customer = customers.find(self.conn, CAFE)
        assert customer is not None
        text = messages.confirmation(customer, orders.history(self.conn, CAFE)[0])
        self.assertIn("order SO-1002 of 17 March 2025", text)
