"""Catalogue, orders, customer accounts and sales reports of a kitchenware wholesaler."""
