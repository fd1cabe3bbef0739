"""Text from outside is a value, never a piece of a query."""

from shop import catalog, customers, orders, reports
from shop.auth import login
from tests.sample import BAKERY, CAFE, HOTEL, ShopTestCase


class InjectionTest(ShopTestCase):
    def test_catalog_categories_are_values(self) -> None:
        self.assertEqual(catalog.in_categories(self.conn, ["none') OR ('1'='1"]), [])

    def test_catalog_search_reads_no_other_table(self) -> None:
        text = "none' UNION SELECT email, name, phone, id, 0 FROM customers --"
        self.assertEqual(catalog.search(self.conn, text), [])

    def test_catalog_search_takes_wildcards_as_text(self) -> None:
        found = catalog.search(self.conn, "%")
        self.assertEqual([p.name for p in found], ["Linen towel, 50% cotton"])

    def test_catalog_sort_column_must_be_known(self) -> None:
        with self.assertRaises(ValueError):
            catalog.search(self.conn, "", sort="(SELECT digest FROM customers)")

    def test_customers_forget_one_only(self) -> None:
        with self.assertRaises(LookupError):
            customers.forget(self.conn, "none' OR '1'='1")
        self.assertIsNotNone(customers.find(self.conn, HOTEL))

    def test_login_needs_the_password(self) -> None:
        login.set_password(self.conn, 1, "rye and wheat")
        for email in ("' OR '1'='1' --", f"{BAKERY}' --"):
            self.assertIsNone(login.login(self.conn, email, "anything"))

    def test_orders_note_changes_one_order(self) -> None:
        orders.add_note(self.conn, "SO-1001", "Ring twice' --")
        self.assertEqual(orders.history(self.conn, CAFE)[0].note, "")

    def test_reports_count_one_category(self) -> None:
        self.assertEqual(reports.best_sellers(self.conn, "none' OR '1'='1"), [])
