"""What becomes of many runs whose workers are killed at random moments, for as long as one likes?

uv run python benchmarks/chaos.py --kills 200 [--postgres | --database-url postgresql://...] [--seed N]

Every run must end; no finished request is bought again; an effect without a key happens once, or a human was
asked. Prints what it came to, and writes benchmark-chaos.json; a broken promise ends it with an error.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.stories.chaos import Storm, Toll
from tests.support.postgres import a_server, fresh_database


def main() -> int:
    """Rage, check, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--database-url", default="", help="Default: a SQLite file of its own.")
    parser.add_argument("--postgres", action="store_true", help="The tests' own PostgreSQL.")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        a_database(given.database_url, given.postgres) as url,
        Storm(Path(folder) / "storm", url, given.workers, seed=given.seed) as storm,
    ):
        toll = storm.rage(given.kills, patience=1800.0)
        storm.check()
    show(toll, "PostgreSQL" if url else "SQLite")
    return 0


@contextmanager
def a_database(given: str, postgres: bool) -> Generator[str]:
    """URL of the database; empty: a SQLite file."""
    if given or not postgres:
        yield given
        return
    with a_server() as server, fresh_database(server) as url:
        yield url


def show(toll: Toll, database: str) -> None:
    """Print the figures, and keep them."""
    rows = {
        "workers killed": toll.kills,
        "runs, all completed": toll.runs,
        "requests recorded": toll.turns,
        "requests made": toll.requests,
        "made again, cut off by a death": toll.cut_off,
        "effects": toll.effects,
        "effects a human was asked about": toll.unknown,
        "reviews decided with no worker there": toll.decided_alone,
        "takeover, s, median": round(statistics.median(toll.takeovers or (0.0,)), 2),
        "takeover, s, slowest": round(toll.slowest_takeover, 2),
        "seconds": round(toll.seconds, 1),
    }
    print(database)
    for name, value in rows.items():
        print(f"  {name:40} {value}")
    Path("benchmark-chaos.json").write_text(
        json.dumps({"database": database, **asdict(toll)}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    sys.exit(main())
