"""Where is the journal, and how is it opened, read and written?"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, JsonValue
from sqlalchemy import (
    Connection,
    create_engine,
    event,
    func,
    insert,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from crews.errors import StoreError
from crews.records import tables
from crews.records.migrations import migrate

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

WRITE_LOCK = 0x63726577
"""Number of the advisory lock that writers of one Postgres database take in turn."""


class Store:
    """One open journal. Use `open_store`; close it, or use it as a context manager."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """A transaction that holds the write lock from its start; committed whole or not at all."""
        try:
            with self.engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    # SQLite's BEGIN IMMEDIATE holds the lock already; the audit chain needs one writer.
                    connection.execute(select(func.pg_advisory_xact_lock(WRITE_LOCK)))
                yield connection
        except DBAPIError as error:
            raise _unusable(error) from error

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A consistent view that blocks nobody."""
        try:
            with self.engine.connect().execution_options(crews_reading=True) as connection:
                yield connection
        except DBAPIError as error:
            raise _unusable(error) from error

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(url: str) -> Store:
    """Open the journal at a SQLAlchemy URL and make its tables where they are missing.

    Raises:
        StoreError: the database cannot be reached or written, or was written by a newer version.
    """
    try:
        store = Store(_engine(url))
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise _unusable(error) from error
    try:
        with store.writing() as connection:
            _prepare(connection)
    except (SQLAlchemyError, OSError, ValueError) as error:
        store.close()
        raise _unusable(error) from error
    except StoreError:
        store.close()
        raise
    return store


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(parsed, connect_args={"timeout": 30, "isolation_level": None})
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
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _prepare(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to date."""
    if not inspect(connection).has_table(tables.meta.name):
        tables.metadata.create_all(connection)
        row = {"name": "schema", "value": str(tables.SCHEMA_VERSION)}
        connection.execute(insert(tables.meta).values(row))
        return
    version = tables.meta.c.name == "schema"
    found = int(connection.execute(select(tables.meta.c.value).where(version)).scalar() or 0)
    if found > tables.SCHEMA_VERSION:
        raise StoreError(
            f"the journal was written by a newer version of crews (schema {found}, "
            f"this one knows {tables.SCHEMA_VERSION})",
            hint="upgrade crews, or set CREWS_HOME to another folder",
        )
    if found < tables.SCHEMA_VERSION:
        migrate(connection, found)
        now = {"value": str(tables.SCHEMA_VERSION)}
        connection.execute(update(tables.meta).where(version).values(now))


def _unusable(error: Exception) -> StoreError:
    cause = getattr(error, "orig", None) or error
    return StoreError(
        f"the journal cannot be used: {cause}",
        hint="check CREWS_HOME or CREWS_DATABASE_URL, the disk's free space and the file's rights",
    )


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
