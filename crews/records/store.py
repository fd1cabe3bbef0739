"""Where is the journal, and how is it opened, read and written?

A transaction begins as soon as the database can be had: while it is away, or locked by somebody else, its
beginning is tried again for `patience` seconds (`records.outages`). What fails after that, in the middle or at the
commit, is rolled back and never tried again here: nobody could know what it would do twice.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, JsonValue
from sqlalchemy import (
    Connection,
    func,
    insert,
    inspect,
    literal,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from crews.errors import StoreError
from crews.records import tables
from crews.records.engines import SharedEngine, close, engine_of
from crews.records.migrations import migrate
from crews.records.outages import PATIENCE, Outage, passes, unusable
from crews.records.statement import Found, Prepared, Values

if TYPE_CHECKING:
    from crews.safety.redact import Redactor

WRITE_LOCK = 0x63726577
"""Number of the advisory lock that writers of one Postgres database take in turn."""
FROZEN = 10
"""Seconds without a word after which Postgres ends a writer that holds the lock: it is frozen, or cut off.

A SQLite file knows no such thing: a frozen process that holds its lock holds it until it wakes or dies.
"""
LOCKED = 15
"""Seconds after which Postgres gives a wait for a lock up; longer than `FROZEN`, which frees it."""
OUTWARD = "crews_outward"
"""Name under which a connection knows what takes personal data out of the audit log's words."""
WRITTEN, KEYS = "crews_audit", "crews_vault_keys"
"""Names under which a connection remembers what its transaction has appended to the audit log, and runs' keys."""
OF_A_TRANSACTION = (WRITTEN, KEYS)
Sealing = Callable[[Connection], None]
_VERSION = Prepared(select(tables.meta.c.value).where(tables.meta.c.name == "schema"))


class Store:
    """One open journal. Use `open_store`; close it, or use it as a context manager."""

    def __init__(
        self,
        shared: SharedEngine,
        patience: float = PATIENCE,
        sealing: Sealing | None = None,
        outward: Redactor | None = None,
    ) -> None:
        shared.take()
        self._give_back = weakref.finalize(
            self, shared.give_back
        )  # once, however often it is called
        self._give_back.atexit = False
        self.engine = engine = shared.engine
        self._eye, self._pen = shared.eye, shared.pen
        self.sealing = sealing
        self.outward = outward
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
        with self._unusable_as_ours(connection):
            yield connection
            if self.sealing is not None:
                self.sealing(connection)
            connection.commit()
        if self._give_back.alive:
            self._pen.keep(connection)
        else:  # closed meanwhile: nobody would give it back
            connection.detach()
            close(connection)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """A consistent view that blocks nobody.

        Raises:
            StoreError: as for `writing`.
        """
        connection = self._readers.bridge(self._looking)
        with self._unusable_as_ours(connection):
            yield connection
        close(connection)

    def look(self, statement: Prepared, given: Values) -> Found:
        """What one statement finds: alone it sees one state of the journal, and needs no transaction.

        Raises:
            StoreError: the database could not be had for `patience` seconds.
        """
        return self._readers.bridge(partial(self._eye.look, statement, given))

    def read_through(self, text: str) -> None:
        """Find the personal data in words that a transaction is about to tell the audit log.

        It can take seconds, in which nobody else could write. What was found is remembered.
        """
        if self.outward is not None:
            self.outward.outward(text)

    def close(self) -> None:
        """Give back every connection."""
        self._give_back()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- beginnings: they change nothing, and can be done again ---------------------------------

    def _begun(self) -> Connection:
        """A transaction that has the write lock."""
        connection = self._pen.take()
        try:
            for name in OF_A_TRANSACTION:  # of one that was rolled back
                connection.info.pop(name, None)
            connection.info[OUTWARD] = self.outward  # another store may share the connection
            connection.begin()  # SQLite's BEGIN IMMEDIATE takes the lock
            if connection.dialect.name == "postgresql":
                _lock(connection)
        except BaseException:
            close(connection)
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
            close(connection)
            raise
        return connection

    def prepare(self) -> None:
        """Make the tables, or bring an older journal up to date: in one transaction, by one process.

        Raises:
            StoreError: the journal was written by a newer version, or cannot be used.
        """
        if self._readers.bridge(self._seen) == str(tables.SCHEMA_VERSION):
            return  # without the write lock, so that a look is possible whoever holds it
        with self.reading() as connection:
            if _version(connection) == tables.SCHEMA_VERSION:
                return
        # Nothing of it is kept unless all is, and the second time finds what the first has done.
        self._writers.bridge(self._prepare_once)

    def _seen(self) -> str | None:
        """The version, at one look; None: there are no tables yet, or something is wrong that does not pass."""
        try:
            return self._eye.look(_VERSION, {}).scalar()
        except DBAPIError as error:
            if passes(error):
                raise
            return None

    def _prepare_once(self) -> None:
        connection = self._begun()
        try:
            _prepare(connection)
            connection.commit()
        finally:
            close(connection)

    @contextmanager
    def _unusable_as_ours(self, connection: Connection) -> Generator[None]:
        """Whatever goes wrong ends the connection."""
        try:
            yield
        except BaseException as error:
            close(connection)
            if isinstance(error, DBAPIError):
                raise unusable(error, self.engine.url) from error
            raise


def open_store(
    url: str,
    *,
    patience: float = PATIENCE,
    sealing: Sealing | None = None,
    outward: Redactor | None = None,
) -> Store:
    """Open the journal at a SQLAlchemy URL and make its tables where they are missing.

    Args:
        url: `sqlite:///PATH` or `postgresql://...`.
        patience: Seconds for which a database that is away or locked is tried again, now and later.
        sealing: What is called at the end of each transaction that writes: it signs the audit log.
        outward: What takes personal data out of the words that enter the audit log; None: it stays.

    Raises:
        StoreError: the database cannot be reached or written, or was written by a newer version.
    """
    try:
        store = Store(engine_of(url, patience), patience, sealing, outward)
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


def _version(connection: Connection) -> int | None:
    """The schema's version; None: there are no tables yet."""
    if not inspect(connection).has_table(tables.meta.name):
        return None
    return int(_VERSION.run(connection, {}).scalar() or 0)


def check_version(connection: Connection) -> None:
    """Raise StoreError if a newer version has brought the journal up to date meanwhile."""
    found = int(_VERSION.run(connection, {}).one().value)
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


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def dump(value: BaseModel | JsonValue | dict[str, Any] | list[Any] | tuple[Any, ...]) -> str:
    """JSON text with sorted keys and no spaces: the one form in which the journal keeps values."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    text = _WRITER.encode(value)
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
