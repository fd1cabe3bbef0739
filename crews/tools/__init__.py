"""How do agents touch the world? Every tool stands behind the one gate."""
