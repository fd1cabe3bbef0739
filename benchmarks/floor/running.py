"""How are the adapters started beside the model's server, and what came of each?"""

from __future__ import annotations

import compileall
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Self, TypeVar

from benchmarks.floor.client import ROOT, Measured
from benchmarks.floor.roles import write_files
from benchmarks.floor.script import Script

T = TypeVar("T")
ADAPTERS: Mapping[str, tuple[str, str]] = {
    "bare": ("benchmarks.floor.bare", "anthropic"),
    "crews": ("benchmarks.floor.ours", "crews"),
    "crews worker": ("benchmarks.floor.ours_worker", "crews"),
    "crews resume": ("benchmarks.floor.ours_again", "crews"),
    "crewai": ("benchmarks.floor.hierarchical", "crewai"),
    "pydantic-ai": ("benchmarks.floor.pydantic_agents", "pydantic_ai"),
    "langgraph": ("benchmarks.floor.graph", "langgraph"),
    "agno": ("benchmarks.floor.agno_agents", "agno"),
}
"""Name -> the adapter's module, and the package that it needs."""


@dataclass(frozen=True, slots=True)
class Report:
    """What the server counted."""

    requests: int
    count_tokens: int
    others: int
    bytes: int
    equivalent_tokens: float
    plain_tokens: float
    written_tokens: float
    read_tokens: float
    arrivals: tuple[float, ...]
    """Of each request, in seconds since the epoch."""
    fixed: Mapping[str, Mapping[str, Any]]
    """Names of an agent's tools -> its `tools` and `system`."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of an adapter."""

    measured: Measured
    report: Report
    start: float
    """Seconds from the process's start to its first request; 0 where it was warmed first."""
    requests: float
    """Of one job."""

    @property
    def cpu_ms(self) -> float:
        """CPU of a turn, in milliseconds."""
        return self.measured.cpu * 1000 / (self.measured.jobs * self.requests)


class Floor:
    """The model's server, with files for the workers; a context manager."""

    def __init__(self) -> None:
        self.url = ""
        self._stack = ExitStack()
        self.folder = Path()

    def __enter__(self) -> Self:
        for package in ("crews", "benchmarks"):  # the environment may forbid that a start does it
            compileall.compile_dir(ROOT / package, quiet=1)
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="floor-")))
        write_files(self.files)
        command = [sys.executable, "-m", "benchmarks.floor.server"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._stack.callback(process.communicate)
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def files(self) -> Path:
        """What the workers read."""
        return self.folder / "files"

    def fresh(self) -> Path:
        """An empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def script(self, script: Script) -> None:
        """Say what the model answers from now on, and count anew."""
        body = json.dumps(asdict(script)).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/script", body)).close()

    def report(self) -> Report:
        """What was counted since."""
        with urllib.request.urlopen(f"{self.url}/report") as answer:
            return Report(**json.load(answer))

    def sample(
        self, adapter: str, script: Script, *, warm: int = 1, jobs: int = 5, together: int = 1,
        extra: str = "",
    ) -> Sample:  # fmt: skip
        """Have an adapter do its jobs.

        Raises:
            RuntimeError: it failed; the error ends with what it wrote.
        """
        self.script(script)
        options: Mapping[str, object] = {
            "url": self.url, "folder": self.fresh(), "files": self.files, "warm": warm,
            "jobs": jobs, "together": together, "extra": extra,
            "script": json.dumps(asdict(script)),
        }  # fmt: skip
        flags = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", ADAPTERS[adapter][0], *flags]
        began = time.time()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode or not done.stdout.strip():
            raise RuntimeError(f"{adapter} failed:\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}")
        measured = Measured(**json.loads(done.stdout.splitlines()[-1]))
        report = self.report()
        return Sample(
            measured,
            report,
            start=report.arrivals[0] - began if not warm else 0.0,
            requests=report.requests / (jobs * together),
        )


def installed(names: Iterable[str]) -> list[str]:
    """Those adapters whose package is there: the peers are an optional group of dependencies."""
    return [name for name in names if importlib.util.find_spec(ADAPTERS[name][1])]


def interleaved(names: Sequence[str], pairs: int, take: Callable[[str], T]) -> dict[str, list[T]]:
    """Samples of each, taken in turn, so that what disturbs the machine disturbs all."""
    found: dict[str, list[T]] = {name: [] for name in names}
    for pair in range(pairs):
        for name in names:
            if sys.stderr.isatty():
                sys.stderr.write(f"\r\x1b[K{pair + 1}/{pairs} {name}\r")
            found[name].append(take(name))
    return found


PEERS = ("crewai", "pydantic-ai", "langgraph", "agno")


def ratio(found: Sequence[float], reference: Sequence[float]) -> float:
    """The median of the pairs' ratios."""
    return median(a / b for a, b in zip(found, reference, strict=True))
