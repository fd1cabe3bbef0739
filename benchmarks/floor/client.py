"""What does a process that does the job measure about itself? The part that every adapter shares.

An adapter is a program that does the job some times, and prints one line of JSON. The first `--warm` jobs make the
connections and load what is loaded late; only what comes after them is counted, here and at the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = "claude-sonnet-5-5"
MAX_TOKENS = 4096
WARMING = '{"calls": 1}'
"""The script of the jobs that are not counted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an adapter is to do."""

    url: str
    """Of the Messages API."""
    folder: Path
    """An empty folder of its own."""
    files: Path
    """What the workers read."""
    warm: int
    jobs: int
    together: int
    """Jobs that are done at once."""
    script: str
    """What the model answers, as JSON."""
    extra: str


@dataclass(frozen=True, slots=True)
class Measured:
    """What an adapter says of itself."""

    cpu: float
    """Seconds of this process and its children, for all counted jobs."""
    wall: float
    jobs: int
    peak_mb: float
    warm_mb: float
    """Resident before the counted jobs."""
    after_mb: float
    """Resident after them."""
    ready: float
    """When the counted jobs began, in seconds since the epoch."""


Job = Callable[[int], Awaitable[None]]


def asked() -> Asked:
    """The command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--files", type=Path, required=True)
    parser.add_argument("--warm", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=5)
    parser.add_argument("--together", type=int, default=1)
    parser.add_argument("--script", default="{}")
    parser.add_argument("--extra", default="")
    return Asked(**vars(parser.parse_args()))


def _nothing() -> None:
    """Nothing lies between the warming and what is counted."""


def run(given: Asked, job: Job, warmed: Callable[[], None] = _nothing) -> None:
    """Do the jobs in a loop of its own, and tell.

    Args:
        given: What is to be done.
        job: Does one job; is given a number of its own.
        warmed: Called before what is counted.
    """
    asyncio.run(_measured(given, job, warmed))


async def _measured(given: Asked, job: Job, warmed: Callable[[], None]) -> None:
    if given.warm:
        tell_script(given, WARMING)
        for number in range(given.warm):
            await job(number)
        warmed()
        tell_script(given, given.script)
    await counted(given, lambda: _all(given, job))


async def _all(given: Asked, job: Job) -> None:
    for round_ in range(given.jobs):
        first = given.warm + round_ * given.together
        await asyncio.gather(*(job(first + n) for n in range(given.together)))


def tell_script(given: Asked, script: str) -> None:
    """Have the server answer so from now on, and count anew."""
    urllib.request.urlopen(urllib.request.Request(f"{given.url}/script", script.encode())).close()


async def counted(given: Asked, work: Callable[[], Awaitable[None]]) -> None:
    """Do what is counted, and tell."""
    warm_mb, ready = resident_mb(), time.time()
    cpu, wall = cpu_seconds(), time.perf_counter()
    await work()
    cpu, wall = cpu_seconds() - cpu, time.perf_counter() - wall
    found = Measured(
        cpu, wall, given.jobs * given.together, peak_mb(), warm_mb, resident_mb(), ready
    )
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
    sys.stdout.flush()


def cpu_seconds() -> float:
    """User and system time of this process and of the children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def peak_mb() -> float:
    """The most memory that was resident, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def resident_mb() -> float:
    """Memory that is resident now, in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
