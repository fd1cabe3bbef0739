"""How does one have a journal that holds very many finished runs? By copies of the rows of one that ended."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Table, func, select

from crews.records.runs import list_runs
from crews.records.store import Store, open_store
from crews.records.tables import calls, runs, spend, threads, turns

COPIED = (runs, threads, turns, calls, spend)
"""The audit log's rows are not: a log with copied rows would be a broken one."""


def fill(database: Path, wanted: int) -> int:
    """Copy the newest run until the journal holds about so many rows of runs; returns how many it then holds."""
    with open_store(f"sqlite:///{database}") as store:
        run = list_runs(store, limit=1, status="completed")[0].id
        times = wanted // max(1, sum(_count(store, table, run) for table in COPIED))
        with store.writing() as connection:
            for table in COPIED:
                connection.exec_driver_sql(_copying(table), (times, run))
        return sum(_count(store, table) for table in COPIED)


def _copying(table: Table) -> str:
    """One statement for all copies: columns that name the run are numbered, what is unique is left empty."""
    changed = {
        "id" if table is runs else "run": "printf('c%09d', n.number)",
        "submission": "NULL",
        "workflow": "''",
    }
    columns = ", ".join(column.name for column in table.c)
    values = ", ".join(changed.get(column.name, f"t.{column.name}") for column in table.c)
    key = "id" if table is runs else "run"
    return (
        "WITH RECURSIVE n(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM n WHERE number < ?) "
        f"INSERT INTO {table.name} ({columns}) SELECT {values} FROM {table.name} t, n WHERE t.{key} = ?"
    )


def _count(store: Store, table: Table, run: str = "") -> int:
    query = select(func.count()).select_from(table)
    if run:
        query = query.where((table.c.id if table is runs else table.c.run) == run)
    with store.reading() as connection:
        return int(connection.execute(query).scalar_one())
