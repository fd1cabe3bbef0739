"""What customers are told: SELECT, UPDATE and DELETE are the buttons of the order page."""

from __future__ import annotations

from shop.models import Customer, Order


def confirmation(customer: Customer, order: Order) -> str:
    """The message that goes out when an order has been placed."""
    return (
        f"Dear {customer.name},\n\n"
        f"thank you for order {order.code} of {order.placed_on:%d %B %Y}.\n"
        f"Press SELECT to choose a delivery slot, UPDATE to change where it goes, or\n"
        f"DELETE to take {order.code} FROM your orders until it has been shipped.\n"
    )
