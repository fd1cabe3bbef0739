"""Does every run end, with nothing lost, paid or done twice, while workers are killed at random moments?

The short form; `benchmarks/chaos.py` is the long one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.stories.chaos import Storm
from tests.stories.pool import Pool

KILLS = 6


def test_whatever_dies_every_run_ends_and_nothing_is_done_twice(
    database: str, tmp_path: Path, pool: Pool
) -> None:
    url = database if database.startswith("postgresql") else ""
    with Storm(tmp_path / "storm", url, lent=pool) as storm:
        toll = storm.rage(KILLS, patience=150.0)
        sys.stdout.write(f"{toll}\n")
        storm.check()
    assert toll.kills >= KILLS
    assert toll.requests == toll.turns + toll.cut_off
