"""What did each version of the schema add, and how does an older journal get there? Forward only.

A step is written once and never changed: it must do the same to a journal of that age for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, text

from crews.records import tables

STEPS: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType({
    2: (
        "ALTER TABLE runs ADD COLUMN home VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 100",
        "ALTER TABLE runs ADD COLUMN submission VARCHAR",
        "ALTER TABLE runs ADD COLUMN origin VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN woken BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE runs ADD COLUMN workflow VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN deaths_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN purged_at FLOAT",
        "CREATE INDEX runs_by_owner ON runs (owner)",
        "CREATE UNIQUE INDEX runs_by_submission ON runs (submission)",
        "ALTER TABLE reviews ADD COLUMN four_eyes BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE reviews ADD COLUMN chain TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE reviews ADD COLUMN stage INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE reviews ADD COLUMN due_at FLOAT",
        "ALTER TABLE reviews ADD COLUMN remind_at FLOAT",
        "ALTER TABLE reviews ADD COLUMN claimed_by VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE reviews ADD COLUMN claimed_until FLOAT",
        "ALTER TABLE reviews ADD COLUMN scope VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE reviews ADD COLUMN signed_in VARCHAR NOT NULL DEFAULT ''",
        "CREATE INDEX reviews_by_due ON reviews (state, due_at)",
        "CREATE INDEX reviews_by_reminder ON reviews (state, remind_at)",
        "ALTER TABLE spend ADD COLUMN model VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE spend ADD COLUMN reserved_at FLOAT NOT NULL DEFAULT 0",
        "CREATE INDEX spend_by_model ON spend (model, state, reserved_at)",
    ),
})  # fmt: skip
"""Version -> statements that lead to it from the one before; whole new tables are made by `tables`."""


def migrate(connection: Connection, found: int) -> None:
    """Bring a journal of version `found` to the present one, inside the caller's transaction."""
    for version in range(found + 1, tables.SCHEMA_VERSION + 1):
        for statement in STEPS[version]:
            connection.execute(text(statement))
    tables.metadata.create_all(connection)
