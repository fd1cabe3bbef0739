"""What does a sandbox cost? A command in each backend beside the bare command, in turns; medians.

uv run python benchmarks/sandbox.py [--pairs 25]

Goal: at most 4 times the bare command, where that is what a person would start: a shell that starts
a program. The table has a shell that does nothing, too: nothing is left of a ratio's excuses there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools.sandbox import CommandLimits, Sandbox, proven

COMMANDS = {
    "a shell: true": "true",
    "python -c pass": "python -c pass",
    "git --version; ls": "git --version; ls",
}
LIMITS = CommandLimits(wall_seconds=60)


def backends() -> dict[str, Sandbox]:
    """The backends that hold here."""
    found: dict[str, Sandbox] = {}
    for name in ("bubblewrap", "landlock"):
        try:
            found[name] = proven(name)
        except SandboxUnavailable as refusal:
            print(f"{name}: {refusal.what}", file=sys.stderr)
    return found


async def bare(command: str, workspace: Path) -> None:
    """The command as anybody would start it from here."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        command,
        cwd=workspace,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    await process.communicate()


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def measured(command: str, pairs: int, workspace: Path) -> dict[str, list[float]]:
    """Seconds of every run, bare and in each backend, one after the other, `pairs` times."""
    places, times = backends(), {"bare": list[float]()}
    for number in range(pairs + 2):  # the first two warm up
        taken = {"bare": await seconds(lambda: bare(command, workspace))}
        for name, sandbox in places.items():
            taken[name] = await seconds(lambda s=sandbox: s.run(command, workspace, LIMITS))
        if number >= 2:
            for name, value in taken.items():
                times.setdefault(name, []).append(value)
    return times


def rows(command: str, times: dict[str, list[float]]) -> list[dict[str, str | float]]:
    """A row for each backend: medians, and the median of the pairs' ratios."""
    return [
        {
            "command": command,
            "backend": name,
            "ms": statistics.median(taken) * 1000,
            "ms_least": min(taken) * 1000,
            "times_bare": statistics.median(
                t / b for t, b in zip(taken, times["bare"], strict=True)
            ),
            "added_ms": statistics.median(
                (t - b) * 1000 for t, b in zip(taken, times["bare"], strict=True)
            ),
        }
        for name, taken in times.items()
    ]


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=25)
    pairs = max(15, parser.parse_args().pairs)
    found: list[dict[str, str | float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for command, text in COMMANDS.items():
            found += rows(command, asyncio.run(measured(text, pairs, Path(folder))))
    print(f"{'command':20} {'backend':12} {'ms':>8} {'least':>8} {'x bare':>8} {'added ms':>9}")
    for row in found:
        print(
            f"{row['command']:20} {row['backend']:12} {row['ms']:8.1f} {row['ms_least']:8.1f}"
            f" {row['times_bare']:8.2f} {row['added_ms']:9.1f}"
        )
    Path("benchmark-sandbox.json").write_text(
        json.dumps({"pairs": pairs, "rows": found}, indent=1) + "\n", encoding="utf-8"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
