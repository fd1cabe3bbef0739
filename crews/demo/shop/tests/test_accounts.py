"""Customers and signing in."""

from shop import customers
from shop.auth import login
from shop.models import NotFound
from tests.sample import BAKERY, CAFE, ShopTestCase

PHRASE = "rye and wheat"


class CustomersTest(ShopTestCase):
    def test_find_ignores_case(self) -> None:
        customer = customers.find(self.conn, BAKERY.upper())
        assert customer is not None
        self.assertEqual(customer.name, "Mill Lane Bakery")

    def test_find_of_a_stranger(self) -> None:
        self.assertIsNone(customers.find(self.conn, "nobody@example.org"))

    def test_change_phone(self) -> None:
        customers.change_phone(self.conn, 1, "555-0199")
        customer = customers.find(self.conn, BAKERY)
        assert customer is not None
        self.assertEqual(customer.phone, "555-0199")

    def test_forget(self) -> None:
        customers.forget(self.conn, CAFE)
        self.assertIsNone(customers.find(self.conn, CAFE))
        with self.assertRaises(NotFound):
            customers.forget(self.conn, CAFE)


class LoginTest(ShopTestCase):
    def setUp(self) -> None:
        super().setUp()
        login.set_password(self.conn, 1, PHRASE)

    def test_right_password(self) -> None:
        customer = login.login(self.conn, BAKERY, PHRASE)
        assert customer is not None
        self.assertEqual(customer.id, 1)

    def test_wrong_password(self) -> None:
        self.assertIsNone(login.login(self.conn, BAKERY, "barley"))

    def test_account_without_a_password(self) -> None:
        self.assertIsNone(login.login(self.conn, CAFE, ""))

    def test_five_failures_lock_the_account(self) -> None:
        for _ in range(login.MAX_FAILURES):
            login.login(self.conn, BAKERY, "barley")
        self.assertIsNone(login.login(self.conn, BAKERY, PHRASE))

    def test_success_clears_the_failures(self) -> None:
        for _ in range(login.MAX_FAILURES - 1):
            login.login(self.conn, BAKERY, "barley")
        self.assertIsNotNone(login.login(self.conn, BAKERY, PHRASE))
        self.assertIsNone(login.login(self.conn, BAKERY, "barley"))
        self.assertIsNotNone(login.login(self.conn, BAKERY, PHRASE))
