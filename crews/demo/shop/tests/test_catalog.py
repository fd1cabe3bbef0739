"""Products and stock."""

from shop import catalog, stock
from shop.models import NotFound
from tests.sample import ShopTestCase


class CatalogTest(ShopTestCase):
    def test_get_finds_a_product_by_its_number(self) -> None:
        self.assertEqual(catalog.get(self.conn, "TB-010").name, "Oak bread board")

    def test_get_of_an_unknown_number(self) -> None:
        with self.assertRaises(NotFound):
            catalog.get(self.conn, "XX-000")

    def test_search_ignores_case_and_sorts_by_name(self) -> None:
        found = catalog.search(self.conn, "KETTLE")
        self.assertEqual([p.name for p in found], ["Cast iron kettle", "Copper kettle"])

    def test_search_sorts_by_price_downwards(self) -> None:
        found = catalog.search(self.conn, "", sort="price_cents", direction="desc", limit=2)
        self.assertEqual([p.sku for p in found], ["CW-020", "CW-010"])

    def test_several_categories(self) -> None:
        found = catalog.in_categories(self.conn, ["linen", "tableware"])
        self.assertEqual([p.sku for p in found], ["LN-010", "TB-010"])

    def test_no_category_finds_nothing(self) -> None:
        self.assertEqual(catalog.in_categories(self.conn, []), [])


class StockTest(ShopTestCase):
    def test_restock_adds(self) -> None:
        stock.restock(self.conn, "TB-010", 5)
        self.assertEqual(catalog.get(self.conn, "TB-010").stock, 30)

    def test_running_low(self) -> None:
        self.assertEqual(stock.running_low(self.conn), ["CW-020"])
