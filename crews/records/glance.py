"""Which reviews wait in a SQLite journal? Read without SQLAlchemy, which takes several times as long to load.

Which reviews, and in which order, is said here for `reviews` too. Whatever is out of the ordinary is left to `store`,
which knows what to do.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crews.records.questions import ReviewRow
from crews.records.version import SCHEMA_VERSION

PATIENCE = 1.0
"""Seconds for which a journal that is locked is waited for."""
_SQLITE = "sqlite:///"
OLDEST_FIRST = "opened_at, number"
"""SQL: the order in which reviews are listed."""


def having(*columns: str) -> str:
    """SQL: a review has given values in these columns."""
    return " AND ".join(f"{name} = :{name}" for name in columns) or "1 = 1"


def glance(url: str, **given: str) -> tuple[ReviewRow, ...] | None:
    """The reviews that have these values in these columns; None: open the journal in the usual way.

    Args:
        url: The journal's.
        **given: Column -> value.
    """
    file = Path(url.removeprefix(_SQLITE))
    if not url.startswith(_SQLITE) or "?" in url or not file.is_file():
        return None
    read_only = f"file:{quote(str(file.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(read_only, uri=True, timeout=PATIENCE)) as journal:
            journal.row_factory = sqlite3.Row
            version = journal.execute("SELECT value FROM meta WHERE name = 'schema'").fetchone()
            if version is None or version["value"] != str(SCHEMA_VERSION):
                return None
            query = f"SELECT * FROM reviews WHERE {having(*given)} ORDER BY {OLDEST_FIRST}"  # noqa: S608 - no values
            return tuple(_review(row) for row in journal.execute(query, given))
    except sqlite3.Error:
        return None


def _review(row: sqlite3.Row) -> ReviewRow:
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(ReviewRow)}
    values["four_eyes"] = bool(values["four_eyes"])
    return ReviewRow(**values)
