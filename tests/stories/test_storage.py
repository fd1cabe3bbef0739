"""Does a run go on when its database goes away for a while, is locked, or has no room? With real servers and disks."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import crews
from crews.records import audit
from crews.records.runs import list_runs
from crews.records.store import open_store
from tests.records.builders import ROOT, child
from tests.stories.press import press
from tests.stories.teams import GOAL, PRINTED, REVIEWER, WORKER, a_press
from tests.support.messages_api import MessagesServer
from tests.support.postgres import Server
from tests.support.reply import Reply
from tests.support.request import Request
from tests.support.sandboxes import NO_BWRAP
from tests.support.scripts import Script, agent_of

OUTAGE = 6.0
"""Seconds; longer than a heartbeat may be late."""


@dataclass(slots=True)
class Mishap:
    """Models that answer like any others, but when one agent asks for the first time something happens before."""

    models: Script
    agent: str
    what: Callable[[], None]
    happened: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Reply:
        """Answer."""
        with self._lock:
            if agent_of(request) == self.agent and not self.happened.is_set():
                self.what()
                self.happened.set()
        return self.models(request)


def approve(review: crews.Review) -> crews.Answer:
    """Say yes to the one question that there should be."""
    assert review.kind == "change_set", review
    return crews.Answer("approve")


def goes_on(folder: Path, url: str, mishap: Mishap, seconds: float = OUTAGE) -> None:
    """Run the press to its end, and look at what it leaves behind."""
    team = a_press(folder)
    with MessagesServer(mishap) as server:
        settings = crews.Settings(
            home=folder / "home", base_url=server.url, user="ada", database_url=url
        )
        began = time.monotonic()
        result = crews.kickoff(
            GOAL, team=team.team, workspace=team.folder, ask=approve, settings=settings
        )
        assert mishap.happened.is_set()
        assert time.monotonic() - began > seconds
        assert (result.status, result.exit_code) == ("completed", 0), result.reason
        assert team.files == PRINTED
        asked = [request.sha256 for request in server.requests]
    assert len(asked) == len(set(asked))
    with open_store(settings.journal_url) as store:
        assert audit.first_break(store) is None


@pytest.mark.parametrize("agent", [REVIEWER, WORKER])
def test_a_run_goes_on_when_its_server_was_away(
    agent: str, own_postgres: Server, tmp_path: Path
) -> None:
    back = threading.Timer(OUTAGE, own_postgres.start)

    def away() -> None:
        own_postgres.stop()
        back.start()

    goes_on(tmp_path, own_postgres.url(), Mishap(press(), agent, away))
    back.join()


LOCKING = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("ROLLBACK")
connection.close()
"""


@pytest.mark.parametrize("agent", [REVIEWER, WORKER])
def test_a_run_goes_on_when_its_file_was_locked(agent: str, tmp_path: Path) -> None:
    file = tmp_path / "home" / "crews.db"

    def lock() -> None:
        process = child(LOCKING, str(file), str(OUTAGE))
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        threading.Thread(target=process.communicate).start()

    goes_on(tmp_path, f"sqlite:///{file}", Mishap(press(), agent, lock))


CUT_OFF_ONCE = """
CREATE SEQUENCE begun;
CREATE FUNCTION cut_off() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('begun') = 1 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER cut_off BEFORE INSERT ON threads FOR EACH ROW EXECUTE FUNCTION cut_off();
"""
"""The server ends the session in the middle of a transaction: the next one that begins a thread."""


def test_a_run_goes_on_when_a_write_was_cut_off(postgres_url: str, tmp_path: Path) -> None:
    def cut_off() -> None:
        with open_store(postgres_url) as store, store.writing() as connection:
            connection.exec_driver_sql(CUT_OFF_ONCE)

    goes_on(tmp_path, postgres_url, Mishap(press(), WORKER, cut_off), seconds=0)
    with open_store(postgres_url) as store, store.reading() as connection:
        assert connection.exec_driver_sql("SELECT last_value FROM begun").scalar_one() > 1


DRIVER = """
import sqlite3, sys
from pathlib import Path
import crews
from crews.errors import CrewsError
from tests.stories.teams import GOAL
from tests.stories.test_storage import approve
small, folder, base_url = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
room = small / "room"
room.write_bytes(bytes(int(sys.argv[4])))
settings = crews.Settings(
    home=folder / "home", base_url=base_url, user="ada", database_url=f"sqlite:///{small}/crews.db"
)
def keep(name):
    with sqlite3.connect(small / "crews.db") as one, sqlite3.connect(folder / name) as other:
        one.backup(other)
    one.close(), other.close()
try:
    crews.kickoff(GOAL, team=folder / "press", workspace=folder / "booklet", ask=approve, settings=settings)
except CrewsError as error:
    print(error.exit_code, type(error).__name__, error.what, error.hint, sep="|")
keep("full.db")
room.unlink()
run = sqlite3.connect(folder / "full.db").execute("SELECT id FROM runs").fetchone()[0]
result = crews.resume(run, ask=approve, settings=settings)
print(result.exit_code, result.status)
keep("end.db")
"""
SIZE, ROOM = 24_000_000, 23_200_000


@pytest.mark.skipif(NO_BWRAP, reason="bubblewrap is not installed")
def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    team = a_press(tmp_path)
    small = tmp_path / "small"
    small.mkdir()
    sandbox = ["bwrap", "--dev-bind", "/", "/", "--size", str(SIZE), "--tmpfs", str(small)]
    with MessagesServer(press()) as server:
        ran = subprocess.run(
            [*sandbox, sys.executable, "-c", DRIVER, small, tmp_path, server.url, str(ROOM)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        asked = [request.sha256 for request in server.requests]
    first, second = ran.stdout.splitlines()
    code, kind, what, hint = first.split("|")
    assert (code, kind) == ("1", "StoreError")
    assert "disk is full" in what
    assert "free space" in hint
    assert second == "0 completed"
    assert team.files == PRINTED
    assert len(set(asked)) > 3
    for name in ("full.db", "end.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with open_store(f"sqlite:///{tmp_path / name}") as store:
            assert audit.first_break(store) is None
    # What was answered while the answer could not be written down any more is asked again, and nothing else.
    with open_store(f"sqlite:///{tmp_path / 'end.db'}") as store:
        (run,) = list_runs(store)
        assert run.status == "completed"
    assert len(asked) - len(set(asked)) <= 2
