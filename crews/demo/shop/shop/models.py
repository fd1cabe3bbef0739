"""The things that the shop deals in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Product:
    """One article of the catalogue."""

    sku: str
    name: str
    category: str
    price_cents: int
    stock: int


@dataclass(frozen=True)
class Customer:
    """A trade customer."""

    id: int
    email: str
    name: str
    phone: str


@dataclass(frozen=True)
class Order:
    """An order without its lines."""

    code: str
    customer_id: int
    status: str
    placed_on: date
    note: str


class NotFound(LookupError):
    """What was asked for does not exist."""


class OutOfStock(ValueError):
    """There is less in stock than was ordered."""
