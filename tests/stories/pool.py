"""How does a test run workers in processes of their own, to be killed, frozen and woken, as many as it likes?

`Pool` keeps one process that has imported everything and opened nothing; each worker is a fork of it, so that
a new one is there in a fraction of a second:

    with Pool(folder) as pool:
        worker = pool.start(Place(home=..., base_url=..., database_url=...))
        worker.kill()
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from tests.stories.children import NEEDED
from tests.support.brake import clean

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker works."""

    home: str
    base_url: str
    database_url: str = ""
    concurrency: int = 4
    log: str = "/dev/null"
    ledger: str = ""
    """Where the harbour's tools leave their lines."""


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A worker that was started; its process may be gone."""

    pid: int

    @property
    def state(self) -> str:
        """The process' state as the kernel calls it (`T`: stopped); empty: it is gone."""
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
            return stat.rpartition(")")[2].split()[0].replace("Z", "").replace("X", "")
        return ""

    def send(self, number: signal.Signals) -> None:
        """Send a signal; a process that is gone gets none."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.send(signal.SIGKILL)
        self.gone()

    def gone(self, seconds: float = PATIENCE) -> None:
        """Wait until the process is gone."""
        end = time.monotonic() + seconds
        while self.state:
            if time.monotonic() > end:
                raise AssertionError(f"worker {self.pid} is still there: {self.state}")
            time.sleep(0.005)


class Pool:
    """The process that forks; a context manager, which leaves no worker behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.started: list[WorkerProcess] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name],
            cwd=self._folder,
            env={**clean(os.environ, self._folder), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._number()  # everything is imported
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()
        if self._process is not None:
            self._process.communicate()

    def clear(self) -> None:
        """Kill every worker that is left."""
        for worker in self.started:
            worker.kill()
        self.started.clear()

    def start(self, place: Place) -> WorkerProcess:
        """Fork a worker."""
        if self._process is None or self._process.stdin is None:
            raise AssertionError("the pool is closed")
        self._process.stdin.write(json.dumps(asdict(place)).encode() + b"\n")
        worker = WorkerProcess(self._number())
        self.started.append(worker)
        return worker

    def _number(self) -> int:
        if self._process is None or self._process.stdout is None:
            raise AssertionError("the pool is closed")
        line = self._process.stdout.readline()
        if not line:
            raise AssertionError("the pool has died")
        return int(line)


def main() -> None:
    """For every line of standard input a worker, whose process id is printed."""
    for module in (*NEEDED, "dbos", "psycopg", "crews.work", "crews.schedules", "crews.notify"):
        importlib.import_module(module)
    if threading.active_count() > 1:
        raise AssertionError(f"these still run: {threading.enumerate()}")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    _say(os.getpid())
    for line in sys.stdin.buffer:
        place = Place(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _be_a_worker(place)
        _say(pid)


def _say(number: int) -> None:
    sys.stdout.buffer.write(f"{number}\n".encode())
    sys.stdout.buffer.flush()


def _be_a_worker(place: Place) -> None:
    code = 70
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(place.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for old, new in ((0, nothing), (1, log), (2, log)):
            os.dup2(new, old)
        os.environ["HARBOUR_LEDGER"] = place.ledger
        code = work(place)
    except BaseException:
        import traceback

        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def work(place: Place) -> int:
    """Be the worker, as `crews worker` is; returns the exit code."""
    from crews.cli.worker import serve
    from crews.records.store import open_store
    from crews.settings import Settings

    settings = Settings(
        home=Path(place.home), base_url=place.base_url, database_url=place.database_url, user="ada"
    )
    with open_store(settings.journal_url) as store:
        asyncio.run(serve(store, settings, place.concurrency))
    return 0


if __name__ == "__main__":
    main()
