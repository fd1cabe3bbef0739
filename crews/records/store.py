"""Where is the journal, and how is it opened, read and written?

A transaction begins as soon as the database can be had: while it is away, or locked by somebody else, its
beginning is tried again for `patience` seconds (`records.outages`). What fails after that, in the middle or at the
commit, is rolled back and never tried again here: nobody could know what it would do twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, JsonValue
from sqlalchemy import (
    URL,
    Connection,
    create_engine,
    event,
    func,
    insert,
    inspect,
    literal,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from crews.errors import StoreError
from crews.records import tables
from crews.records.migrations import migrate
from crews.records.outages import PATIENCE, Outage, unusable

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

WRITE_LOCK = 0x63726577
"""Number of the advisory lock that writers of one Postgres database take in turn."""
FROZEN = 10
"""Seconds without a word after which Postgres ends a writer that holds the lock: it is frozen, or cut off.

A SQLite file knows no such thing: a frozen process that holds its lock holds it until it wakes or dies.
"""
LOCKED = 15
"""Seconds after which Postgres gives a wait for a lock up; longer than `FROZEN`, which frees it."""
ONE_TRY = 5.0
"""Seconds for which SQLite itself waits for a lock, before the wait is told of."""
Sealing = Callable[[Connection], None]
_LIVELY: dict[str, object] = {
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
}  # fmt: skip
"""A server that has vanished without a word is noticed within half a minute (libpq's parameters)."""


class Store:
    """One open journal. Use `open_store`; close it, or use it as a context manager."""

    def __init__(
        self, engine: Engine, patience: float = PATIENCE, sealing: Sealing | None = None
    ) -> None:
        self.engine = engine
        self.sealing = sealing
        self._writers, self._readers = (Outage(engine.url, patience) for _ in range(2))

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction that holds the write lock from its start; committed whole or not at all.

        Blocks the calling thread, and an event loop in it, while the database cannot be had.

        Raises:
            StoreError: it could not be had for `patience` seconds, or failed in the middle or at the commit;
                where that one is `transient`, the commit may have been done all the same.
        """
        connection = self._writers.bridge(self._begun)
        with self._given_back(connection):
            yield connection
            if self.sealing is not None:
                self.sealing(connection)
            connection.commit()

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A consistent view that blocks nobody.

        Raises:
            StoreError: as for `writing`.
        """
        connection = self._readers.bridge(self._looking)
        with self._given_back(connection):
            yield connection

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beginnings: they change nothing, and can be done again ---------------------------------

    def _begun(self) -> Connection:
        """A transaction that has the write lock."""
        connection = self.engine.connect()
        try:
            connection.info.pop(
                "crews_audit", None
            )  # what a transaction had appended that was rolled back
            connection.begin()  # SQLite's BEGIN IMMEDIATE takes the lock
            if connection.dialect.name == "postgresql":
                _lock(connection)
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _looking(self) -> Connection:
        """A transaction that sees one state of the journal."""
        connection = self.engine.connect()
        try:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
                connection.execute(
                    select(literal(1))
                )  # the server may have gone since the last use
            else:
                connection.execution_options(crews_reading=True)
                connection.begin()
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def prepare(self) -> None:
        """Make the tables, or bring an older journal up to date: in one transaction, by one process.

        Raises:
            StoreError: the journal was written by a newer version, or cannot be used.
        """
        with self.reading() as connection:
            if _version(connection) == tables.SCHEMA_VERSION:
                return  # without the write lock, so that a look is possible whoever holds it
        # Nothing of it is kept unless all is, and the second time finds what the first has done.
        self._writers.bridge(self._prepare_once)

    def _prepare_once(self) -> None:
        connection = self._begun()
        try:
            _prepare(connection)
            connection.commit()
        finally:
            self._drop(connection)

    @contextmanager
    def _given_back(self, connection: Connection) -> Generator[None]:
        try:
            yield
        except DBAPIError as error:
            raise unusable(error, self.engine.url) from error
        finally:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        """Roll back what is not committed; a connection that cannot even do that is thrown away."""
        try:
            connection.close()
        except DBAPIError:
            with contextlib.suppress(SQLAlchemyError):
                connection.invalidate()
                connection.close()


def open_store(url: str, *, patience: float = PATIENCE, sealing: Sealing | None = None) -> Store:
    """Open the journal at a SQLAlchemy URL and make its tables where they are missing.

    Args:
        url: `sqlite:///PATH` or `postgresql://...`.
        patience: Seconds for which a database that is away or locked is tried again, now and later.
        sealing: What is called at the end of each transaction that writes: it signs the audit log.

    Raises:
        StoreError: the database cannot be reached or written, or was written by a newer version.
    """
    try:
        store = Store(_engine(url, patience), patience, sealing)
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise unusable(error) from error
    try:
        store.prepare()
    except (SQLAlchemyError, OSError, ValueError) as error:
        store.close()
        raise unusable(error, store.engine.url) from error
    except BaseException:
        store.close()
        raise
    return store


def database_url(url: str) -> URL:
    """The URL with the driver that is installed: users write `postgresql://` or `postgres://`."""
    parsed = make_url(url)
    if parsed.drivername in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: str, patience: float) -> Engine:
    """The engine of a journal, which keeps what was compiled for it: where it can, the one that was made before.

    A forked process makes its own, since a connection belongs to the process that opened it; so does a file that is
    new, or another one under the same name.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or ":memory:")
        if not file.is_file():
            return _make_engine(parsed, patience)
        status = file.stat()
        return _kept_engine(parsed, patience, os.getpid(), status.st_dev, status.st_ino)
    return _kept_engine(parsed, patience, os.getpid())


@lru_cache(maxsize=8)
def _kept_engine(parsed: URL, patience: float, *identity: int) -> Engine:
    del identity
    return _make_engine(parsed, patience)


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


def _lock(connection: Connection) -> None:
    """Take the write lock: the audit chain needs one writer at a time.

    One round trip. The settings end with the transaction, so that they hold behind a connection pooler too.
    """
    connection.execute(
        select(
            func.set_config("lock_timeout", f"{LOCKED}s", True),
            func.set_config("idle_in_transaction_session_timeout", f"{FROZEN}s", True),
            func.pg_advisory_xact_lock(WRITE_LOCK),
        )
    )


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


def _version(connection: Connection) -> int | None:
    """The schema's version; None: there are no tables yet."""
    if not inspect(connection).has_table(tables.meta.name):
        return None
    version = select(tables.meta.c.value).where(tables.meta.c.name == "schema")
    return int(connection.execute(version).scalar() or 0)


def check_version(connection: Connection) -> None:
    """Raise StoreError if a newer version has brought the journal up to date meanwhile."""
    version = select(tables.meta.c.value).where(tables.meta.c.name == "schema")
    found = int(connection.execute(version).scalar_one())
    if found > tables.SCHEMA_VERSION:
        raise _newer(found)


def _newer(found: int) -> StoreError:
    return StoreError(
        f"the journal was written by a newer version of crews (schema {found}, "
        f"this one knows {tables.SCHEMA_VERSION})",
        hint="upgrade crews, or set CREWS_HOME to another folder",
    )


def _prepare(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to date."""
    found = _version(connection)
    if found is None:
        tables.metadata.create_all(connection)
        row = {"name": "schema", "value": str(tables.SCHEMA_VERSION)}
        connection.execute(insert(tables.meta).values(row))
        return
    if found > tables.SCHEMA_VERSION:
        raise _newer(found)
    if found < tables.SCHEMA_VERSION:
        migrate(connection, found)
        now = {"value": str(tables.SCHEMA_VERSION)}
        connection.execute(update(tables.meta).where(tables.meta.c.name == "schema").values(now))


def dump(value: BaseModel | JsonValue | dict[str, Any] | list[Any] | tuple[Any, ...]) -> str:
    """JSON text with sorted keys and no spaces: the one form in which the journal keeps values."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    if text.isascii() or _is_unicode(text):
        return text
    # Half a surrogate pair cannot be written as UTF-8, but its escape can, and says the same.
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
