"""How does a test run crews in processes of their own, to be killed, without seconds of imports for each?

`Nursery` keeps one process that has imported everything once and has opened nothing. For every job it
forks a child, which works on a real run, in a real process, and dies a real death:

    with Nursery(home) as nursery:
        child = nursery.start(Job(...))
        if child.wait(0.5) is None:
            child.kill()
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.support.brake import clean
from tests.support.messages_api import MessagesServer
from tests.support.reply import Reply, Text, Thinking, ToolUse

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "crewai", "crews.api", "crews.report", "crews.runtime.workflow", "crews.teams.loader",
    "crews.tools.copying", "crews.tools.registry", "genai_prices",
)  # fmt: skip
"""What every run imports."""
PATIENCE = 100.0
"""Seconds after which a child that neither ends nor is killed fails the test."""


@dataclass(frozen=True, slots=True)
class Job:
    """One kickoff, or one resume of a run that exists."""

    home: str
    base_url: str
    team: str
    folder: str
    goal: str
    run: str = ""
    """Run to resume; empty: kick off."""
    approve: bool = True
    """Approve the change set, as a human at the terminal would; everything else is left open."""


class Child:
    """A process that works on one job."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self.pid = _number(pipe)
        self.code: int | None = None

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """The exit code (minus the signal's number, if one ended it); None: it is still at work."""
        if self.code is None and select.select([self._pipe], [], [], max(0.0, seconds))[0]:
            self.code = _number(self._pipe)
        return self.code

    def ended(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.wait()
        if code is None:
            self.kill()
            raise AssertionError(f"process {self.pid} did not end within {PATIENCE:g} seconds")
        return code

    def kill(self) -> None:
        """SIGKILL, if it has not ended; returns when it is gone."""
        if self.wait(0) is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()


def _number(pipe: int) -> int:
    """The next line of a pipe, byte by byte: nothing may be read ahead of `select`."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(pipe, 1)
        if not piece:
            raise AssertionError("the nursery has died")
        line += piece
    return int(line)


class Nursery:
    """The process that forks; a context manager. One child at a time."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name],
            cwd=self._home,
            env={**clean(os.environ, self._home), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        _number(self._pipe)  # everything is imported
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    def start(self, job: Job) -> Child:
        """Fork a child for the job; the child before must have ended."""
        if self._process is None or self._process.stdin is None:
            raise AssertionError("the nursery is closed")
        self._process.stdin.write(json.dumps(asdict(job)).encode() + b"\n")
        return Child(self._pipe)

    @property
    def _pipe(self) -> int:
        if self._process is None or self._process.stdout is None:
            raise AssertionError("the nursery is closed")
        return self._process.stdout.fileno()


def main() -> None:
    """Say the own process id when ready; for every line of standard input a child's, then its exit code."""
    _warm_up()
    _say(os.getpid())
    for line in sys.stdin.buffer:
        job = Job(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _be_a_child(job)
        _say(pid)
        _say(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _say(number: int) -> None:
    sys.stdout.buffer.write(f"{number}\n".encode())
    sys.stdout.buffer.flush()


def _warm_up() -> None:
    """Pay once what every process pays: imports, and the SDK's first answer.

    Raises:
        AssertionError: something of it still goes on, so that a fork would copy half of it.
    """
    for module in NEEDED:
        importlib.import_module(module)
    asyncio.run(_ask_once())
    if threading.active_count() > 1:
        raise AssertionError(f"these still run: {threading.enumerate()}")


def _unheard(text: str, *, billed: bool) -> None:
    """Nothing is tried again here."""


async def _ask_once() -> None:
    from crews.runtime.claude import ModelSource
    from crews.runtime.models import ModelRequest
    from crews.settings import Settings

    request = ModelRequest("/", 0, "a", "m", "s", (), ({"role": "user", "content": "hi"},), 9)
    with MessagesServer(lambda _: Reply((Thinking("So?"), Text("So."), ToolUse("t")))) as server:
        await ModelSource(Settings(base_url=server.url)).ask(request, _unheard)


def _be_a_child(job: Job) -> None:
    code = 70
    try:
        log = os.open(Path(job.home).parent / "child.log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((0, nothing), (1, log), (2, log)):
            os.dup2(new, old)
        code = work(job)
    finally:
        os._exit(code)


def work(job: Job) -> int:
    """Do the job in this process; returns the exit code."""
    import crews

    def ask(review: crews.Review) -> crews.Answer | None:
        mine = job.approve and review.kind == "change_set"
        return crews.Answer("approve") if mine else None

    settings = crews.Settings(home=Path(job.home), base_url=job.base_url, user="ada")
    if job.run:
        return crews.resume(job.run, ask=ask, settings=settings).exit_code
    result = crews.kickoff(
        job.goal, team=job.team, workspace=job.folder, ask=ask, settings=settings
    )
    return result.exit_code


if __name__ == "__main__":
    main()
