"""What does judging cost? Medians of looking at a change and of redacting a text.

uv run python benchmarks/safety.py
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from base64 import encodebytes as b64
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

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


def encoded(text: str, values: Mapping[str, str]) -> str:
    """The text as JSON, as URL, as hexadecimal and as base64, with a secret in each, once in 2 KB."""
    pieces: list[str] = []
    secrets = itertools.cycle(values.values())
    for at in range(0, len(text), 2048):
        raw = f"{text[at : at + 2048]} {next(secrets)}"
        pieces += [json.dumps(raw), quote(raw), raw.encode().hex(" "), b64(raw.encode()).decode()]
    return "\n".join(pieces)


def main() -> int:
    """Measure and print."""
    changes = [a_change(p) for p in sorted((ROOT / "crews").rglob("*.py")) if p.stat().st_size]
    values = {f"KEY_{n}": f"value-number-{n}-of-ten" for n in range(10)}
    redactor = Redactor(values)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    coded = encoded(text, values)
    looked = [seconds(lambda c=c: findings((c,)), 3) for c in changes]
    rows = {
        "a change of one file, ms, median": statistics.median(looked) * 1000,
        "a change of one file, ms, slowest": max(looked) * 1000,
        "redaction, ms a KB": seconds(lambda: redactor.text(text)) * 1000 / (len(text) / 1024),
        "the same full of codes and secrets, ms a KB": seconds(lambda: redactor.text(coded))
        * 1000
        / (len(coded) / 1024),
    }
    for name, value in rows.items():
        print(f"{name:44} {value:8.3f}")
    Path("benchmark-safety.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
