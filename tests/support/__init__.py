"""What do the tests stand on? A loopback Messages API, and scripts for the models behind it."""
