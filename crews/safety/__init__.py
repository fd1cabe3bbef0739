"""What may happen? Pure functions of data: no I/O, no clock, no model."""
