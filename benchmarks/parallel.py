"""Do delegations take the time of the longest, and what do many runs at once cost in one process?

uv run python benchmarks/parallel.py [--pairs 5] [--runs 50]

Three independent delegations with 200 ms of model latency beside one alone; then many jobs at once in one process, of
a bare loop on the `anthropic` SDK, of one worker here, and of CrewAI and the systems of the dependency group `peers`
that are installed. Writes benchmark-parallel.json.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.floor.running import PEERS, Floor, Sample, installed, interleaved, ratio
from benchmarks.floor.script import Script
from benchmarks.floor.table import Cell, keep, options, show

LATENCY = 0.2
"""Seconds before the model's answer begins."""


def main() -> int:
    """Measure, print, keep."""
    parser = options(__doc__)
    parser.add_argument("--runs", type=int, default=50, help="Jobs at once.")
    given = parser.parse_args()
    with Floor() as floor:
        figures = {
            "delegations": delegations(floor, given.pairs),
            "runs": crowd(floor, given.pairs, given.runs),
            "waiting": waiting(floor, given.runs),
        }
    keep("parallel", figures)
    return 0


def delegations(floor: Floor, pairs: int) -> object:
    """Wall time of three delegations at once, and of one."""

    def take(system: str, name: str) -> float:
        script = Script(workers=int(name), together=True, latency=LATENCY)
        sample = floor.sample(system, script, jobs=1)
        return sample.measured.wall

    rows: dict[str, tuple[float, float, float]] = {}
    for system in ("bare", "crews"):
        found = interleaved(("1", "3"), pairs, partial(take, system))
        rows[system] = (median(found["1"]), median(found["3"]), ratio(found["3"], found["1"]))
    heads = ("", "s with one", "s with three", "ratio")
    show("Delegations at once, 200 ms latency", heads, [(n, *row) for n, row in rows.items()])
    return rows


def crowd(floor: Floor, pairs: int, count: int) -> object:
    """Throughput of a core, and memory of a run."""

    def take(name: str) -> Sample:
        return floor.sample(name, Script(latency=LATENCY), jobs=1, together=count)

    found = interleaved(("bare", "crews worker", *installed(PEERS)), pairs, take)
    bare = [per_core(s) for s in found["bare"]]
    rows: dict[str, tuple[Cell, ...]] = {
        name: (
            median(per_core(s) for s in samples),
            ratio([per_core(s) for s in samples], bare),
            median(s.measured.wall for s in samples),
            median((s.measured.peak_mb - s.measured.warm_mb) / count for s in samples),
            median(s.measured.peak_mb for s in samples),
        )
        for name, samples in found.items()
    }
    heads = ("", "jobs per CPU second", "ratio", "wall s", "MB a run", "peak MB")
    show(f"{count} jobs at once in one process", heads, [(n, *row) for n, row in rows.items()])
    return rows


def per_core(sample: Sample) -> float:
    """Jobs per second of CPU."""
    return sample.measured.jobs / sample.measured.cpu


def waiting(floor: Floor, count: int) -> object:
    """Memory that runs take which wait for a human: of twice as many beside so many."""

    def take(name: str) -> float:
        runs = count * int(name)
        sample = floor.sample(
            "crews worker", Script(asks=True), jobs=1, together=runs, extra="waiting"
        )
        return sample.measured.after_mb

    once, twice = take("1"), take("2")
    show(
        "Runs that wait for a human, in one worker",
        ("", "MB"),
        [(f"{count} wait", once), (f"{2 * count} wait", twice), ("MB each", (twice - once) / count)],
    )  # fmt: skip
    return {"once_mb": once, "twice_mb": twice}


if __name__ == "__main__":
    sys.exit(main())
