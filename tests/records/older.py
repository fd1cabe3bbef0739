"""What does a journal look like that an older version has left behind?

`data/schema-1.sql` is a SQLite dump of a run of the press (`tests.stories.press`, `question=True`) that waits for the
answer to its question; `@FOLDER@` stands for the folder in which its team and its project lie.
`data/schema-1-postgres.sql` makes the same tables on Postgres.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, MetaData, create_engine, text

from crews.records.engines import database_url

DATA = Path(__file__).parent / "data"
RUN, REVIEW = "tsbg98c8", "tsbg98c8-1"

Rows = dict[str, list[tuple[object, ...]]]


def old_journal(url: str, folder: Path) -> None:
    """Leave a journal of version 1 at a URL."""
    parsed = database_url(url)
    script = (DATA / "schema-1.sql").read_text(encoding="utf-8").replace("@FOLDER@", str(folder))
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        return
    engine = create_engine(parsed)
    with closing(sqlite3.connect(":memory:")) as rows, engine.begin() as connection:
        rows.executescript(script)
        connection.exec_driver_sql((DATA / "schema-1-postgres.sql").read_text(encoding="utf-8"))
        _copy(rows, connection)
    engine.dispose()


def _copy(rows: sqlite3.Connection, connection: Connection) -> None:
    metadata = MetaData()
    metadata.reflect(connection)
    rows.row_factory = sqlite3.Row
    for table in metadata.sorted_tables:
        kinds = {column.name: column.type.python_type for column in table.columns}
        found = rows.execute(f"SELECT * FROM {table.name}").fetchall()
        values = [{k: bool(r[k]) if kinds[k] is bool else r[k] for k in kinds} for r in found]
        if values:
            connection.execute(table.insert(), values)


def content(
    url: str, columns: dict[str, list[str]] | None = None
) -> tuple[Rows, dict[str, list[str]]]:
    """Every row of every table, and the tables' columns; of these tables and columns only, if they are given."""
    engine = create_engine(database_url(url))
    metadata = MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection)
        if columns is None:
            columns = {t.name: [c.name for c in t.columns] for t in metadata.sorted_tables}
        found: Rows = {}
        for table, names in columns.items():
            quoted = ", ".join(f'"{name}"' for name in names)
            rows = connection.execute(text(f'SELECT {quoted} FROM "{table}"')).all()
            found[table] = sorted((tuple(row) for row in rows), key=repr)
    engine.dispose()
    return found, columns
