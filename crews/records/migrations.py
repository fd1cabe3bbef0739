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
        "ALTER TABLE runs ADD COLUMN left_by VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN deaths_at INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE runs ADD COLUMN purged_at FLOAT",
        "CREATE INDEX runs_by_owner ON runs (owner)",
        "CREATE UNIQUE INDEX runs_by_submission ON runs (submission)",
        "ALTER TABLE calls ADD COLUMN rules TEXT NOT NULL DEFAULT '[]'",
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
        "CREATE INDEX spend_by_time ON spend (state, reserved_at)",
        "ALTER TABLE turns ADD COLUMN copied BOOLEAN NOT NULL DEFAULT FALSE",
        "CREATE TABLE deliveries (id VARCHAR NOT NULL, run VARCHAR NOT NULL, review VARCHAR NOT NULL, "
        "kind VARCHAR NOT NULL, target VARCHAR NOT NULL, body TEXT NOT NULL, state VARCHAR NOT NULL, "
        "attempts INTEGER NOT NULL, due_at FLOAT NOT NULL, error TEXT NOT NULL, created_at FLOAT NOT "
        "NULL, sent_at FLOAT, PRIMARY KEY (id))",
        "CREATE INDEX deliveries_by_due ON deliveries (state, due_at)",
        "CREATE INDEX deliveries_by_run ON deliveries (run)",
        "CREATE TABLE team_days (team VARCHAR NOT NULL, day VARCHAR NOT NULL, money BIGINT NOT NULL, "
        "money_known BOOLEAN NOT NULL, extended BIGINT NOT NULL, lifted BOOLEAN NOT NULL, PRIMARY KEY "
        "(team, day))",
        "CREATE TABLE users (name VARCHAR NOT NULL, roles TEXT NOT NULL, login VARCHAR NOT NULL, "
        "active BOOLEAN NOT NULL, created_at FLOAT NOT NULL, PRIMARY KEY (name))",
        "CREATE INDEX users_by_login ON users (login)",
        "CREATE TABLE workers (id VARCHAR NOT NULL, kind VARCHAR NOT NULL, host VARCHAR NOT NULL, "
        "home VARCHAR NOT NULL, state VARCHAR NOT NULL, concurrency INTEGER NOT NULL, started_at "
        "FLOAT NOT NULL, beat_at FLOAT NOT NULL, PRIMARY KEY (id))",
        "CREATE INDEX workers_by_beat ON workers (beat_at)",
        'CREATE TABLE tokens (id VARCHAR NOT NULL, "user" VARCHAR NOT NULL, digest VARCHAR NOT NULL, '
        "label VARCHAR NOT NULL, created_at FLOAT NOT NULL, expires_at FLOAT, used_at FLOAT, "
        'revoked_at FLOAT, PRIMARY KEY (id), FOREIGN KEY("user") REFERENCES users (name), UNIQUE '
        "(digest))",
    ),
    3: (
        "ALTER TABLE threads ADD COLUMN label VARCHAR NOT NULL DEFAULT 'untrusted'",
        "ALTER TABLE calls ADD COLUMN label VARCHAR NOT NULL DEFAULT ''",
        "ALTER TABLE audit ADD COLUMN node VARCHAR NOT NULL DEFAULT ''",
        "CREATE TABLE checkpoints (size INTEGER NOT NULL, \"key\" VARCHAR NOT NULL, note TEXT NOT NULL, "
        "PRIMARY KEY (size))",
        'CREATE TABLE audit_keys ("key" VARCHAR NOT NULL, public VARCHAR NOT NULL, sequence INTEGER NOT '
        'NULL, PRIMARY KEY ("key"))',
        "CREATE TABLE payloads (sequence INTEGER NOT NULL, run VARCHAR NOT NULL, sealed TEXT NOT NULL, "
        "PRIMARY KEY (sequence))",
        "CREATE INDEX payloads_by_run ON payloads (run)",
        "CREATE TABLE vault_keys (run VARCHAR NOT NULL, secret VARCHAR NOT NULL, erased_at FLOAT, "
        "PRIMARY KEY (run))",
    ),
    4: (
        "ALTER TABLE spend ADD COLUMN lost_tokens BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE spend ADD COLUMN lost_money BIGINT DEFAULT 0",
        "ALTER TABLE spend ADD COLUMN lost_requests INTEGER NOT NULL DEFAULT 0",
    ),
    5: ("ALTER TABLE spend ADD COLUMN beyond INTEGER NOT NULL DEFAULT 0",),
})  # fmt: skip
"""Version -> statements that lead to it from the one before, in the SQL that both databases speak.

Whole new tables are spelt out too: made from `tables`, they would have the columns of a later version, which that
one's own step then adds again. `tests/records/test_migrations.py` compares the outcome with a new journal.
"""
_TREE = 3
"""The version from which on the audit log has a Merkle tree."""


def migrate(connection: Connection, found: int) -> None:
    """Bring a journal of version `found` to the present one, inside the caller's transaction."""
    for version in range(found + 1, tables.SCHEMA_VERSION + 1):
        for statement in STEPS[version]:
            connection.execute(text(statement))
        if version == _TREE:
            from crews.records import audit  # only here: it needs the store, which needs this file

            audit.fill_nodes(connection)
