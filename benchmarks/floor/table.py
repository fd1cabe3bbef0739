"""How are the figures shown and kept, and on what machine were they taken?"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_NAMED = (
    "crews", "anthropic", "crewai", "dbos", "sqlalchemy", "pydantic", "pydantic-ai-slim", "langgraph", "agno",
)  # fmt: skip
Cell = str | float | int


def options(doc: str | None) -> argparse.ArgumentParser:
    """The command line of a program; more may be added."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="Interleaved pairs; medians of them.")
    return parser


def show(title: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print a table: the first column is a name."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [
        max(len(row[column]) for row in [list(heads), *texts]) for column in range(len(heads))
    ]
    print(f"\n{title}")
    for row in [list(heads), *texts]:
        first, *others = zip(row, widths, strict=True)
        print("  " + "  ".join([first[0].ljust(first[1]), *(t.rjust(w) for t, w in others)]))


def keep(name: str, figures: object) -> None:
    """Write the figures with the date, the machine and the versions."""
    text = json.dumps({**machine(), "figures": figures}, indent=1)
    Path(f"benchmark-{name}.json").write_text(text + "\n", encoding="utf-8")


def machine() -> dict[str, object]:
    """When and where this is."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: found for name in _NAMED if (found := _version(name))},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _text(cell: Cell) -> str:
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)
