"""How long does it take from the start of a process to its first request of a model, or to its answer?

uv run python benchmarks/start.py [--pairs 5]

`crews run` beside a bare loop on the `anthropic` SDK and CrewAI, each a fresh process; `crews run` where a worker
lives; `crews --help`, `check` and `inbox` beside `python -c "import typer, rich, pydantic, yaml"`. Bytecode is
compiled, as an installation does, and files are in the page cache: each is started once before. Writes
benchmark-start.json.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.floor.client import ROOT
from benchmarks.floor.roles import GOAL
from benchmarks.floor.running import PEERS, Floor, installed, interleaved, ratio
from benchmarks.floor.script import Script
from benchmarks.floor.table import keep, options, show
from benchmarks.floor.team import write_team
from crews.records.store import open_store
from crews.records.workers import living

REFERENCE = "python -c import ..."
ALONE = "crews run"
LIVE = "crews run, live worker"
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start."""

    wall: float
    """Seconds to the first request, or to the end of the process."""
    cpu: float
    """Seconds of CPU of the whole process."""


def main() -> int:
    """Measure, print, keep."""
    pairs: int = options(__doc__).parse_args().pairs
    with Floor() as floor:
        figures = {"first_request": first_request(floor, pairs), "commands": commands(floor, pairs)}
    keep("start", figures)
    return 0


def first_request(floor: Floor, pairs: int) -> object:
    """From the start to the first request."""
    alone, beside = Runs(floor), Runs(floor)

    def take(name: str) -> Start:
        if name in {ALONE, LIVE}:
            return (alone if name == ALONE else beside).first()
        sample = floor.sample(name, Script(), warm=0, jobs=1)
        return Start(sample.start, sample.measured.cpu)

    names = ("bare", ALONE, LIVE, *installed(PEERS))
    with beside.worker():
        for name in names:
            take(name)
        found = interleaved(names, pairs, take)
    return table("Start to first request", found, "bare")


def commands(floor: Floor, pairs: int) -> object:
    """From the start to the end, of commands that need no model."""
    runs = Runs(floor)
    runs.first()
    python = [sys.executable, "-c", "import typer, rich, pydantic, yaml"]
    named: Mapping[str, Sequence[str]] = {
        REFERENCE: python,
        "crews --help": runs.command("--help"),
        "crews check": runs.command("check", str(runs.team)),
        "crews inbox": runs.command("inbox"),
    }

    def take(name: str) -> Start:
        return runs.whole(named[name])

    for name in named:
        take(name)
    return table("Commands", interleaved(list(named), pairs, take), REFERENCE)


def table(title: str, found: dict[str, list[Start]], reference: str) -> object:
    """Print medians and ratios."""
    floor = [s.wall for s in found[reference]]
    rows = {
        name: (
            median(s.wall for s in starts),
            ratio([s.wall for s in starts], floor),
            median(s.cpu for s in starts),
        )
        for name, starts in found.items()
    }
    show(
        title,
        ("", "seconds", "ratio", "CPU s of all"),
        [(name, *row) for name, row in rows.items()],
    )
    return rows


class Runs:
    """Processes of `crews`, in a home of their own."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        folder = floor.fresh()
        self.team, self.home = write_team(folder / "team"), folder / "home"
        self._environment = {
            **os.environ,
            "CREWS_HOME": str(self.home),
            "CREWS_USER": "ada",
            "ANTHROPIC_BASE_URL": floor.url,
            "PYTHONPATH": str(ROOT),
        }

    def command(self, *arguments: str) -> list[str]:
        """A command line: the script that an installation makes."""
        return [str(Path(sys.executable).with_name("crews")), *arguments]

    def whole(self, command: Sequence[str]) -> Start:
        """A command, to its end.

        Raises:
            RuntimeError: it failed.
        """
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.time()
        done = subprocess.run(
            command, env=self._environment, cwd=self.team, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{command} failed:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
        wall, after = time.time() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Start(wall, cpu)

    def first(self) -> Start:
        """`crews run`: the time to its first request."""
        self._floor.script(Script())
        began = time.time()
        given = ("--team", str(self.team), "--workspace", str(self._floor.files))
        found = self.whole(self.command("run", GOAL, *given, "--no-input", "--quiet"))
        return Start(self._floor.report().arrivals[0] - began, found.cpu)

    @contextmanager
    def worker(self) -> Generator[None]:
        """A worker that lives."""
        process = subprocess.Popen(
            self.command("worker"), env=self._environment, cwd=self.team, stderr=subprocess.DEVNULL
        )
        try:
            self._until_alive(process)
            yield
        finally:
            process.terminate()
            process.wait()

    def _until_alive(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.5)
            with open_store(f"sqlite:///{self.home / 'crews.db'}") as store:
                if living(store):
                    return
        raise RuntimeError("no worker lives")


if __name__ == "__main__":
    sys.exit(main())
