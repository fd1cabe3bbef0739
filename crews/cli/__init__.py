"""How do people at a terminal, and scripts, use crews? Parse, call the api, render."""
