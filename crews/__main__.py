"""What does `python -m crews` do? The same as `crews`."""

from __future__ import annotations

from crews.cli.app import main

if __name__ == "__main__":
    main()
