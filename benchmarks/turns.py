"""What does a turn cost on top of the model, and does it grow with the turns so far, or with finished runs?

uv run python benchmarks/turns.py [--pairs 5] [--turns 3,30,300] [--rows 10,10000,1000000]

CPU of a turn of one job (a supervisor, three workers, 16 requests) beside a bare loop on the `anthropic` SDK, CrewAI,
and the systems of the dependency group `peers` that are installed; interleaved; only the client's CPU counts.
Writes benchmark-turns.json.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.floor.running import PEERS, Floor, Sample, installed, interleaved, ratio
from benchmarks.floor.script import Script
from benchmarks.floor.table import keep, options, show

RESUMED = 300
"""Turns of the thread that is resumed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    cpu_ms: float
    """Of a turn."""
    wall_ms: float
    ratio: float
    """Of its CPU to the reference's, by pairs."""
    peak_mb: float


def main() -> int:
    """Measure, print, keep."""
    parser = options(__doc__)
    parser.add_argument("--turns", default="3,30,300", help="Tool calls of a worker, growing.")
    parser.add_argument("--rows", default="10,10000,1000000", help="Rows of finished runs.")
    parser.add_argument("--only", default="cost,turns,rows,resume", help="Which tables.")
    given = parser.parse_args()
    wanted = given.only.split(",")
    figures: dict[str, object] = {}
    with Floor() as floor:
        if "cost" in wanted:
            figures["cost"] = cost(floor, given.pairs)
        if "turns" in wanted:
            figures["turns"] = growth(floor, given.pairs, numbers(given.turns))
        if "rows" in wanted:
            figures["rows"] = finished(floor, given.pairs, numbers(given.rows))
        if "resume" in wanted:
            figures["resume_ms"] = resume(floor, given.pairs)
    keep("turns", figures)
    return 0


def numbers(text: str) -> list[int]:
    """Numbers between commas."""
    return [int(part) for part in text.split(",")]


def rows_of(found: dict[str, list[Sample]], reference: str) -> dict[str, Row]:
    """Medians, and the median ratio to the reference."""
    floor = [s.cpu_ms for s in found[reference]]
    return {
        name: Row(
            cpu_ms=median(s.cpu_ms for s in samples),
            wall_ms=median(s.measured.wall * 1000 / (s.measured.jobs * s.requests) for s in samples),
            ratio=ratio([s.cpu_ms for s in samples], floor),
            peak_mb=median(s.measured.peak_mb for s in samples),
        )
        for name, samples in found.items()
    }  # fmt: skip


def show_rows(title: str, rows: dict[str, Row]) -> None:
    """Print one table."""
    heads = ("", "CPU ms a turn", "ratio", "wall ms a turn", "peak MB")
    show(title, heads, [(n, r.cpu_ms, r.ratio, r.wall_ms, r.peak_mb) for n, r in rows.items()])


def as_figures(rows: dict[str, Row]) -> dict[str, dict[str, float]]:
    """For the file."""
    names = ("cpu_ms", "wall_ms", "ratio", "peak_mb")
    return {name: {field: getattr(row, field) for field in names} for name, row in rows.items()}


def cost(floor: Floor, pairs: int) -> object:
    """A turn of the job, of each system."""

    def take(name: str) -> Sample:
        system, _, extra = name.partition(", journal in ")
        return floor.sample(system, Script(), extra=extra)

    names = ("bare", "crews", "crews, journal in memory", *installed(PEERS))
    rows = rows_of(interleaved(names, pairs, take), "bare")
    show_rows("A turn, 16 requests a job; ratios to the bare loop", rows)
    return as_figures(rows)


def growth(floor: Floor, pairs: int, sizes: list[int]) -> object:
    """A turn, where threads are so long."""

    def take(size: int, name: str) -> Sample:
        return floor.sample(name, Script(calls=size), jobs=max(1, 15 // size))

    figures: dict[str, object] = {}
    for size in sizes:
        found = interleaved(("bare", "crews"), pairs, partial(take, size))
        rows = rows_of(found, "bare")
        show_rows(f"Threads of {size} turns; ratios to the bare loop", rows)
        figures[str(size)] = as_figures(rows)
    return figures


def finished(floor: Floor, pairs: int, sizes: list[int]) -> object:
    """A turn, beside so many rows of runs that have ended."""
    names = [f"{size} rows" for size in sizes]

    def take(name: str) -> Sample:
        return floor.sample("crews", Script(), extra=f"rows={name.partition(' ')[0]}")

    rows = rows_of(interleaved(names, pairs, take), names[0])
    show_rows("A turn beside finished runs; ratios to the first line", rows)
    return as_figures(rows)


def resume(floor: Floor, pairs: int) -> list[float]:
    """Milliseconds from a resume of a long thread to its next request, in a process that has started up."""

    def take(name: str) -> float:
        sample = floor.sample(name, Script(calls=RESUMED, workers=1), jobs=1)
        return (sample.report.arrivals[0] - sample.measured.ready) * 1000

    found = interleaved(["crews resume"], pairs, take)["crews resume"]
    show(f"Resume of a thread of {RESUMED} turns", ("", "ms"), [("median", median(found))])
    return found


if __name__ == "__main__":
    sys.exit(main())
