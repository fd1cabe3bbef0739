"""How is a statement that every turn executes run, without SQLAlchemy doing its work anew each time?

SQLAlchemy writes the SQL, for whichever database it is, and knows how values travel; both once for each set of
parameters. What is left for each execution is the driver's own call, which takes a tenth of the time.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.selectable import SelectBase

if TYPE_CHECKING:
    from sqlalchemy import Connection, Dialect
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
    from sqlalchemy.sql.dml import UpdateBase
    from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
Convert = Callable[[Any], Any]
_FLOAT8 = 701
"""Postgres's number of the type of every column that is a number with a fraction; other types do not look at it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an execution came to."""

    rows: Sequence[Any]
    """Named tuples, in the order of the statement's columns; none where it finds none by its nature."""
    rowcount: int
    """Rows that were changed."""

    def first(self) -> Any:
        """The first row; None: there is none."""
        return self.rows[0] if self.rows else None

    def one(self) -> Any:
        """The only row.

        Raises:
            LookupError: there is none, or another one.
        """
        if len(self.rows) != 1:
            raise LookupError(f"one row was looked for, {len(self.rows)} were found")
        return self.rows[0]

    def scalar(self) -> Any:
        """The first value of the first row; None: there is none."""
        return self.rows[0][0] if self.rows else None


class Prepared:
    """A statement that is written once for each database and each set of parameters.

    Args:
        statement: Of SQLAlchemy; its lists, if it has any, are part of it.
    """

    def __init__(self, statement: SelectBase | UpdateBase) -> None:
        self.statement = statement
        self._ready: dict[tuple[str, tuple[str, ...]], _Ready] = {}

    def run(self, connection: Connection, given: Values) -> Found:
        """Execute it within the connection's transaction.

        Args:
            connection: One whose transaction has begun.
            given: Values of its parameters; of an insert and an update also of the columns that are set.

        Raises:
            DBAPIError: as SQLAlchemy's own execution does.
        """
        ready = self.on(connection.dialect, given)
        driver = cast("DBAPIConnection", connection.connection.dbapi_connection)
        try:
            return ready.run(driver, given)
        except _errors(connection.dialect) as error:
            raise _as_sqlalchemy(error, connection, ready) from error

    def run_all(self, connection: Connection, given: Sequence[Values]) -> None:
        """Execute it for each of the rows, which have the same names; DBAPIError as in `run`."""
        ready = self.on(connection.dialect, given[0])
        driver = cast("DBAPIConnection", connection.connection.dbapi_connection)
        try:
            ready.run_all(driver, given)
        except _errors(connection.dialect) as error:
            raise _as_sqlalchemy(error, connection, ready) from error

    def on(self, dialect: Dialect, given: Values) -> _Ready:
        """The statement as this database takes it."""
        key = dialect.name, tuple(given)
        found = self._ready.get(key)
        if found is None:
            found = self._ready[key] = _compiled(self.statement, dialect, key[1])
        return found


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement as a driver takes it."""

    sql: str
    positions: tuple[str, ...] | None
    """Names of the parameters in their order; None: the driver takes them by name."""
    fixed: Values
    """Those that the statement itself gives."""
    converts: tuple[tuple[str, Convert], ...]
    """Of those parameters that do not travel as they are."""
    row: Callable[..., Any] | None
    """Makes one of the values of its columns; None: it finds none."""
    columns: tuple[Convert | None, ...]
    """Of the columns that do not come as they are; empty: all do."""

    def run(self, driver: DBAPIConnection, given: Values) -> Found:
        cursor = driver.cursor()
        try:
            cursor.execute(self.sql, self._bound(given))
            return Found(self._read(cursor), cursor.rowcount)
        finally:
            cursor.close()

    def run_all(self, driver: DBAPIConnection, given: Sequence[Values]) -> None:
        cursor = driver.cursor()
        try:
            cursor.executemany(self.sql, [self._bound(values) for values in given])
        finally:
            cursor.close()

    def _bound(self, given: Values) -> Any:
        values = {**self.fixed, **given}
        for name, convert in self.converts:
            values[name] = convert(values[name])
        return values if self.positions is None else [values[name] for name in self.positions]

    def _read(self, cursor: DBAPICursor) -> Sequence[Any]:
        if self.row is None:
            return ()
        found = cursor.fetchall()
        if not self.columns:
            return [self.row(*values) for values in found]
        return [
            self.row(*(c(v) if c else v for c, v in zip(self.columns, values, strict=True)))
            for values in found
        ]


def _errors(dialect: Dialect) -> type[Exception]:
    """Of the driver."""
    return cast("Any", dialect).loaded_dbapi.Error


def _as_sqlalchemy(error: Exception, connection: Connection, ready: _Ready) -> BaseException:
    """An error of the driver as SQLAlchemy raises it; a connection that is lost is not used again."""
    dialect = connection.dialect
    driver = cast("DBAPIConnection", connection.connection.dbapi_connection)
    lost = dialect.is_disconnect(cast("Any", error), driver, None)
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        ready.sql, None, error, _errors(dialect), connection_invalidated=lost, dialect=dialect
    )


def _compiled(
    statement: SelectBase | UpdateBase, dialect: Dialect, names: tuple[str, ...]
) -> _Ready:
    compiled = statement.compile(dialect=dialect, column_keys=sorted(names))
    if compiled.post_compile_params:
        raise TypeError(f"a list that is not part of the statement: {statement}")
    own = {n: bind.effective_value for n, bind in compiled.binds.items() if not bind.required}
    fixed = {n: v for n, v in own.items() if n not in names} | _defaults(compiled)
    positions = compiled.positiontup
    taken = compiled.binds.items()
    converts = {n: _way(bind.type, dialect, "bind") for n, bind in taken}
    columns = list(statement.exported_columns)  # of a change: what it returns
    found = tuple(_way(c.type, dialect, "result") for c in columns)
    return _Ready(
        sql=str(compiled),
        positions=None if positions is None else tuple(positions),
        fixed=fixed,
        converts=tuple((n, c) for n, c in converts.items() if c is not None),
        row=_row([str(c.key) for c in columns]) if columns else None,
        columns=found if any(found) else (),
    )


def _row(names: list[str]) -> Callable[..., Any]:
    return namedtuple("Row", names, rename=True)  # pyright: ignore[reportUntypedNamedTuple] - named by the statement


def _defaults(compiled: SQLCompiler) -> dict[str, Any]:
    """Values of columns that an insert does not name; each is a constant."""
    if not isinstance(compiled.statement, Insert):
        return {}
    return {column.key: cast("Any", column.default).arg for column in compiled.insert_prefetch}


def _way(kind: TypeEngine[Any], dialect: Dialect, direction: str) -> Convert | None:
    """How a value travels to the driver, or from it; None: as it is."""
    ours = kind.dialect_impl(dialect)
    if direction == "bind":
        return ours.bind_processor(dialect)
    return ours.result_processor(dialect, _FLOAT8)
