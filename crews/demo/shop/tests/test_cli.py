"""The command line, on a database in a temporary folder."""

import io
import os
import tempfile
import unittest
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from shop import cli, db
from tests.sample import fill


class CliTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "shop.sqlite3"
        with closing(db.connect(path)) as conn:
            fill(conn)
        environ = patch.dict(os.environ, {"SHOP_DATABASE": str(path)})
        environ.start()
        self.addCleanup(environ.stop)

    def run_shop(self, *argv: str) -> tuple[int, str]:
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            code = cli.main(argv)
        return code, out.getvalue()

    def test_search(self) -> None:
        code, out = self.run_shop("search", "kettle", "--sort", "price_cents")
        self.assertEqual(code, 0)
        self.assertEqual(
            out, "CW-010  Cast iron kettle  64.00 EUR\nCW-020  Copper kettle  119.00 EUR\n"
        )

    def test_a_note_shows_in_the_history(self) -> None:
        self.run_shop("note", "SO-1002", "Deliver to the yard")
        code, out = self.run_shop("history", "hello@north-pier-cafe.example")
        self.assertEqual((code, out), (0, "SO-1002  2025-03-17  open  Deliver to the yard\n"))

    def test_unknown_order(self) -> None:
        self.assertEqual(self.run_shop("note", "SO-9", "-"), (1, "shop: no order 'SO-9'\n"))

    def test_revenue(self) -> None:
        code, out = self.run_shop("revenue", "2025-03-01", "2025-03-31")
        self.assertEqual((code, out), (0, "2025-03  342.00 EUR\n"))
