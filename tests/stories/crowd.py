"""How does one have ten thousand runs that wait? One of them waits for real; the others are copies of its rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, insert, select

from crews.records.store import Store
from crews.records.tables import calls, reviews, runs, spend, threads, turns

PIECE = 2000
"""Rows that are written at once."""


WHOLE = 100
"""One copy in so many is whole, so that it can go on; of the others there are run, threads and question."""


def multiply(store: Store, run: str, times: int) -> list[str]:
    """Copy a waiting run so many times, with a question of its own each.

    Returns:
        The ids of the copies that are whole.
    """
    names = [f"w{number:07}" for number in range(times)]
    whole = names[::WHOLE]
    with store.writing() as connection:
        for table in (runs, threads, reviews):
            _copy(connection, table, run, names)
        for table in (turns, calls, spend):
            _copy(connection, table, run, whole)
    return whole


def _copy(connection: Connection, table: Table, run: str, names: list[str]) -> None:
    key = table.c.id if table is runs else table.c.run
    found = [dict(row) for row in connection.execute(select(table).where(key == run)).mappings()]
    copies = [_renamed(table, row, run, name) for name in names for row in found]
    for start in range(0, len(copies), PIECE):
        connection.execute(insert(table), copies[start : start + PIECE])


def _renamed(table: Table, row: dict[str, Any], run: str, name: str) -> dict[str, Any]:
    """A row that belongs to another run; ids of reviews begin with their run's."""
    changed = {
        column: value.replace(run, name, 1)
        if isinstance(value, str) and value.startswith(run)
        else value
        for column, value in row.items()
    }
    if table is runs:
        return changed | {"submission": None, "workflow": ""}
    return changed
