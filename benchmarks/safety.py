"""What does judging cost? Medians of looking at a change and of redacting a text.

uv run python benchmarks/safety.py
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from crews.safety.action import FileChange
from crews.safety.redact import Redactor
from crews.safety.sensitivity import findings

ROOT = Path(__file__).parent.parent


def seconds(work: Callable[[], object], rounds: int = 15) -> float:
    """Median seconds of one call."""
    times: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def a_change(path: Path) -> FileChange:
    """One line of a real file changed."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    lines[len(lines) // 2] = "changed = True\n"
    return FileChange(path.name, text, "".join(lines))


def main() -> int:
    """Measure and print."""
    changes = [a_change(p) for p in sorted((ROOT / "crews").rglob("*.py")) if p.stat().st_size]
    redactor = Redactor({f"KEY_{n}": f"value-number-{n}-of-ten" for n in range(10)})
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    looked = [seconds(lambda c=c: findings((c,)), 3) for c in changes]
    rows = {
        "a change of one file, ms, median": statistics.median(looked) * 1000,
        "a change of one file, ms, slowest": max(looked) * 1000,
        "redaction, ms a KB": seconds(lambda: redactor.text(text)) * 1000 / (len(text) / 1024),
    }
    for name, value in rows.items():
        print(f"{name:40} {value:8.3f}")
    Path("benchmark-safety.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
