"""The command line."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing

from shop import catalog, config, db, money, orders, reports
from shop.models import NotFound


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it worked, 1 if it did not."""
    args = _parser().parse_args(argv)
    with closing(db.connect(config.load().database)) as conn:
        try:
            args.run(conn, args)
        except (NotFound, ValueError) as error:
            print(f"shop: {error}", file=sys.stderr)
            return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shop", description="Select a command.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    search = commands.add_parser("search", help="find products by name")
    search.add_argument("text")
    search.add_argument("--sort", default="name")
    search.add_argument("--direction", default="asc")
    search.set_defaults(run=_search)
    history = commands.add_parser("history", help="list the orders of a customer")
    history.add_argument("email")
    history.add_argument("--status")
    history.set_defaults(run=_history)
    note = commands.add_parser("note", help="leave a note for the driver")
    note.add_argument("code")
    note.add_argument("note")
    note.set_defaults(run=_note)
    revenue = commands.add_parser("revenue", help="what was earned from one day to another")
    revenue.add_argument("since")
    revenue.add_argument("until")
    revenue.add_argument("--period", choices=sorted(reports.PERIODS), default="month")
    revenue.set_defaults(run=_revenue)
    best = commands.add_parser("best-sellers", help="what sold most")
    best.add_argument("category", nargs="?")
    best.set_defaults(run=_best_sellers)
    return parser


def _search(conn: sqlite3.Connection, args: argparse.Namespace) -> None:
    for product in catalog.search(conn, args.text, sort=args.sort, direction=args.direction):
        print(f"{product.sku}  {product.name}  {money.show(product.price_cents)}")


def _history(conn: sqlite3.Connection, args: argparse.Namespace) -> None:
    for order in orders.history(conn, args.email, args.status):
        print(f"{order.code}  {order.placed_on}  {order.status}  {order.note}".rstrip())


def _note(conn: sqlite3.Connection, args: argparse.Namespace) -> None:
    orders.add_note(conn, args.code, args.note)


def _revenue(conn: sqlite3.Connection, args: argparse.Namespace) -> None:
    for period, cents in reports.revenue(conn, args.since, args.until, args.period).items():
        print(f"{period}  {money.show(cents)}")


def _best_sellers(conn: sqlite3.Connection, args: argparse.Namespace) -> None:
    for name, sold in reports.best_sellers(conn, args.category):
        print(f"{sold:4}  {name}")
