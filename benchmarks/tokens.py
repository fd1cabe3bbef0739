"""What is sent to the model for one job, and what would it have cost to read?

uv run python benchmarks/tokens.py [--calls 30]

A supervisor and three workers with three file tools each, on a scripted model; beside a bare loop on the `anthropic`
SDK with cache marks (also with the very tools and role texts of crews), CrewAI, and the systems of the dependency group
`peers` that are installed. Writes benchmark-tokens.json. The figures do not depend on the machine.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.floor.billing import size
from benchmarks.floor.running import PEERS, Floor, Report, installed
from benchmarks.floor.script import Script
from benchmarks.floor.table import keep, options, show


def main() -> int:
    """Measure, print, keep."""
    parser = options(__doc__)
    parser.add_argument("--calls", type=int, default=30, help="Tool calls of a worker.")
    calls: int = parser.parse_args().calls
    figures: dict[str, dict[int, Report]] = {}
    with Floor() as floor:
        for name in ("bare", "crews", *installed(PEERS)):
            figures[name] = {n: report_of(floor, name, n) for n in (3, calls)}
        texts = floor.fresh() / "texts.json"
        texts.write_text(json.dumps(list(figures["crews"][3].fixed.values())), encoding="utf-8")
        same = {n: report_of(floor, "bare", n, str(texts)) for n in (3, calls)}
        figures["bare, crews' texts"] = same
    for n in (3, calls):
        show_totals(n, {name: reports[n] for name, reports in figures.items()})
    show(
        "Bytes with every request",
        ("agent's tools", "tools", "role"),
        [
            (f"{name}: {tools}"[:80], size(texts["tools"]), size(texts["system"]))
            for name, reports in figures.items()
            for tools, texts in reports[3].fixed.items()
        ],
    )
    keep("tokens", {n: {s: asdict(r) for s, r in found.items()} for n, found in figures.items()})
    return 0


def report_of(floor: Floor, name: str, calls: int, extra: str = "") -> Report:
    """What one job sends; nothing of it where the system cannot do the job."""
    try:
        return floor.sample(name, Script(calls=calls), jobs=1, extra=extra).report
    except RuntimeError as error:
        print(str(error).splitlines()[-1], file=sys.stderr)
        return Report(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, (), {})


def show_totals(calls: int, found: dict[str, Report]) -> None:
    """One line for each system."""
    bare = found["bare"]
    show(
        f"{calls} calls a worker; ratios to the bare loop",
        ("", "requests", "count_tokens", "KB", "ratio", "billed tokens", "ratio"),
        [
            (
                name, r.requests, r.count_tokens, r.bytes / 1000, r.bytes / bare.bytes,
                round(r.equivalent_tokens), r.equivalent_tokens / bare.equivalent_tokens,
            )
            for name, r in found.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
