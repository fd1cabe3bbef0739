"""Does a journal of an older version become one of the present version, whole or not at all?"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text, update

from crews.errors import StoreError
from crews.records import audit
from crews.records.engines import database_url
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.migrations import STEPS
from crews.records.runs import get_run
from crews.records.store import open_store
from crews.records.tables import SCHEMA_VERSION, meta
from tests.records.builders import child, ended
from tests.records.older import RUN, content, old_journal


@pytest.fixture
def old(url: str, tmp_path: Path) -> str:
    """A journal of version 1."""
    old_journal(url, tmp_path)
    return url


def version(url: str) -> str:
    rows, _ = content(url, {"meta": ["name", "value"]})
    return str(dict(rows["meta"])["schema"])  # type: ignore[arg-type]


def shape(url: str) -> dict[str, Any]:
    """Columns, keys and indexes of every table."""
    engine = create_engine(database_url(url))
    found = inspect(engine)
    tables = {
        table: {
            "columns": {
                c["name"]: (str(c["type"]), c["nullable"]) for c in found.get_columns(table)
            },
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "references": sorted(
                (k["constrained_columns"], k["referred_table"], k["referred_columns"])
                for k in found.get_foreign_keys(table)
            ),
            "indexes": {
                i["name"]: (i["column_names"], bool(i["unique"])) for i in found.get_indexes(table)
            },
            "unique": sorted(u["column_names"] for u in found.get_unique_constraints(table)),
        }
        for table in found.get_table_names()
    }
    engine.dispose()
    return tables


def test_every_version_has_its_step() -> None:
    assert sorted(STEPS) == list(range(2, SCHEMA_VERSION + 1))


def test_an_old_journal_keeps_every_row(old: str) -> None:
    before, columns = content(old)
    assert before["reviews"]
    assert version(old) == "1"
    with open_store(old) as store:
        assert audit.first_break(store) is None
        run = get_run(store, RUN)
        assert (run.status, run.spec.name) == ("waiting", "press")
        assert [r.kind for r in list_reviews(store)] == ["question"]
        journal = Journal(store, RUN, run.epoch)
        assert len(journal.turns("/")) == 3
        assert len(journal.calls()) == 4
    after, _ = content(old, columns)
    assert version(old) == str(SCHEMA_VERSION)
    del before["meta"], after["meta"]
    assert after == before


def test_an_old_journal_gets_the_shape_of_a_new_one(old: str, tmp_path: Path) -> None:
    open_store(old).close()
    migrated = shape(old)
    engine = create_engine(database_url(old))
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        fresh = old
    else:
        fresh = f"sqlite:///{tmp_path / 'fresh.db'}"
    engine.dispose()
    open_store(fresh).close()
    assert shape(fresh) == migrated


MIGRATING = """
import os, signal, sys
from sqlalchemy import Engine, event
from crews.records.store import open_store
seen = []
@event.listens_for(Engine, "before_cursor_execute")
def note(connection, cursor, statement, *_):
    if statement.startswith(("ALTER", "CREATE")):
        seen.append(statement)
        if len(seen) == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
open_store(sys.argv[1]).close()
print(len(seen))
"""


@pytest.mark.parametrize("death", [1, 12, 25])
def test_a_death_in_the_middle_leaves_the_old_journal(old: str, death: int) -> None:
    before, columns = content(old)
    was = shape(old)
    process = child(MIGRATING, old, str(death))
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert content(old) == (before, columns)
    assert shape(old) == was
    with open_store(old) as store:
        assert get_run(store, RUN).status == "waiting"


def test_of_several_processes_one_migrates(old: str) -> None:
    done = ended([child(MIGRATING, old, "0") for _ in range(3)])
    assert sorted(n != "0" for n in done) == [False, False, True]
    assert version(old) == str(SCHEMA_VERSION)


def changed(url: str, value: str) -> None:
    engine = create_engine(database_url(url))
    with engine.begin() as connection:
        connection.execute(update(meta).values(value=value))
    engine.dispose()


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    open_store(url).close()
    changed(url, str(SCHEMA_VERSION + 1))
    before = content(url)
    with pytest.raises(StoreError, match="newer version") as error:
        open_store(url)
    assert str(SCHEMA_VERSION + 1) in error.value.what
    assert "upgrade" in error.value.hint
    assert not error.value.transient
    assert content(url) == before


def test_a_schema_that_is_no_number_is_refused(url: str) -> None:
    open_store(url).close()
    changed(url, "soon")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(url)
