"""How does this process reach a journal's database, and when does it let go of it?

An engine keeps what was compiled for it, so those who open the same journal share one. Its connections are closed
when the last of them has closed the journal: whoever is in the middle of a transaction then keeps theirs.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from crews.records.statement import Found, Prepared, Values

ONE_TRY = 5.0
"""Seconds for which SQLite itself waits for a lock, before the wait is told of."""
_LIVELY: dict[str, object] = {
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
}  # fmt: skip
"""A server that has vanished without a word is noticed within half a minute (libpq's parameters)."""


@dataclass(slots=True)
class SharedEngine:
    """An engine, and how many use it."""

    engine: Engine
    eye: Eye
    pen: Pen
    _users: int = 0
    _lock: RLock = field(default_factory=RLock)

    def take(self) -> None:
        """Count one more user."""
        with self._lock:
            self._users += 1

    def give_back(self) -> None:
        """Count one less; the last one's connections are closed. Once for each `take`."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self.eye.close()
            self.pen.close()
            self.engine.dispose()


class Eye:
    """Looks at the database, one statement at a time, each by itself.

    It keeps one connection: to take one from the pool and to give it back takes longer than most looks. Of a SQLite
    file it takes the writer's where nobody writes with it: that one has read what has changed, since it changed it.
    The first look makes it, for who writes first.
    """

    def __init__(self, engine: Engine, pen: Pen) -> None:
        # SQLite's connections here begin no transaction by themselves; those of Postgres do, unless they are told.
        is_file = engine.dialect.name == "sqlite"
        self._engine = engine if is_file else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._pen = pen if is_file else None
        self._keeps = isinstance(engine.pool, QueuePool)
        """A database in memory is only one thread's."""
        self._lock = RLock()
        self._connection: Connection | None = None
        self._is_first = True

    def look(self, statement: Prepared, given: Values) -> Found:
        """What the statement finds.

        Raises:
            SQLAlchemyError: the connection is given up; another look makes a new one.
        """
        pen = self._pen
        if pen is not None:
            first, self._is_first = self._is_first, False
            if (lent := pen.take() if first else pen.lend()) is not None:
                found = _ran(statement, lent, given)
                pen.keep(lent)
                return found
        with self._lock:
            connection, self._connection = self._connection or self._engine.connect(), None
            found = _ran(statement, connection, given)
            if self._keeps:
                self._connection = connection
            else:
                close(connection)
        return found

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._connection is not None:
                close(self._connection)
            self._connection = None
        self._is_first = True


class Pen:
    """Keeps the connection of who has written for who writes next: they come one after the other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keeps = isinstance(engine.pool, QueuePool)
        self._lock = RLock()
        self._connection: Connection | None = None

    def take(self) -> Connection:
        """A connection without a transaction."""
        return self.lend() or self._engine.connect()

    def lend(self) -> Connection | None:
        """The connection, if nobody has it; to be kept again, or closed."""
        with self._lock:
            kept, self._connection = self._connection, None
        return kept

    def keep(self, connection: Connection) -> None:
        """Take it back, once its transaction has been committed."""
        with self._lock:
            if self._keeps and self._connection is None:
                self._connection = connection
                return
        close(connection)

    def close(self) -> None:
        """Give the connection back to the engine."""
        if (kept := self.lend()) is not None:
            close(kept)


def _ran(statement: Prepared, connection: Connection, given: Values) -> Found:
    """What the statement finds; a connection on which it fails is given up."""
    try:
        return statement.run(connection, given)
    except BaseException:
        close(connection)
        raise


def close(connection: Connection) -> None:
    """Roll back what is not committed; a connection that cannot even do that is thrown away."""
    try:
        connection.close()
    except DBAPIError:
        with contextlib.suppress(SQLAlchemyError):
            connection.invalidate()
            connection.close()


def database_url(url: str) -> URL:
    """The URL with the driver that is installed: users write `postgresql://` or `postgres://`."""
    parsed = make_url(url)
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def engine_of(url: str, patience: float) -> SharedEngine:
    """The engine of a journal, which keeps what was compiled for it: where it can, the one that was made before.

    A forked process makes its own, since a connection belongs to the process that opened it; so does a file that is
    new, or another one under the same name.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or ":memory:")
        if not file.is_file():
            return _shared(_make_engine(parsed, patience))
        status = file.stat()
        return _kept_engine(parsed, patience, os.getpid(), status.st_dev, status.st_ino)
    return _kept_engine(parsed, patience, os.getpid())


@lru_cache(maxsize=8)
def _kept_engine(parsed: URL, patience: float, *identity: int) -> SharedEngine:
    del identity
    return _shared(_make_engine(parsed, patience))


def _shared(engine: Engine) -> SharedEngine:
    pen = Pen(engine)
    return SharedEngine(engine, Eye(engine, pen), pen)


def _make_engine(parsed: URL, patience: float) -> Engine:
    if parsed.get_backend_name() != "sqlite":
        given = {name: value for name, value in _LIVELY.items() if name not in parsed.query}
        return create_engine(parsed, connect_args=given)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    timeout = min(ONE_TRY, max(1.0, patience))
    engine = create_engine(parsed, connect_args={"timeout": timeout, "isolation_level": None})
    event.listen(engine, "connect", _sqlite_connect)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_connect(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    # WAL: readers never block the writer. FULL: a commit survives a loss of power, so that no
    # finished step is repeated.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    reading = connection.get_execution_options().get("crews_reading")
    begin = "BEGIN" if reading else "BEGIN IMMEDIATE"
    # Past SQLAlchemy, for which this is a statement like any other: it costs more than what most of them do.
    driver = connection.connection.cursor()
    try:
        driver.execute(begin)
    except sqlite3.Error as error:
        raise DBAPIError.instance(begin, None, error, sqlite3.Error) from error
    finally:
        driver.close()
