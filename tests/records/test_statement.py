"""Does a prepared statement do what SQLAlchemy does with it, on both databases, and fail as it does?"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from crews.errors import StoreError
from crews.records.statement import Prepared
from crews.records.store import Store
from crews.records.tables import meta
from tests.support.postgres import execute

_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
_WHOLE = st.integers(-(2**31), 2**31 - 1)
_LARGE = st.integers(-(2**63), 2**63 - 1)
_PART = st.floats(allow_nan=False, allow_infinity=False) | _WHOLE
THINGS = Table(
    "things",
    MetaData(),
    Column("name", Text, nullable=False),
    Column("path", String, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("money", BigInteger),
    Column("seconds", Float),
    Column("copied", Boolean, nullable=False, default=False),
    Column("notice", Text, nullable=False, default="-"),
)
ROWS = st.fixed_dictionaries(
    {"name": _TEXT, "path": _TEXT, "turn": _WHOLE, "money": st.none() | _LARGE, "seconds": st.none() | _PART,
     "copied": st.booleans(), "notice": _TEXT},
)  # fmt: skip
ADD, ALL = Prepared(insert(THINGS)), Prepared(select(THINGS))


@pytest.fixture
def store(store: Store) -> Store:
    """One with a table of every kind of column that the journal's own have."""
    with store.writing() as connection:
        connection.execute(text("DROP TABLE IF EXISTS things"))
        THINGS.create(connection)
    return store


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(ROWS)
def test_what_is_written_is_read_as_sqlalchemy_reads_it(store: Store, row: dict[str, Any]) -> None:
    with store.writing() as connection:
        connection.execute(delete(THINGS))
        ADD.run(connection, row)
        mine = ALL.run(connection, {}).one()
        theirs = connection.execute(select(THINGS)).one()
    assert tuple(mine) == tuple(theirs)
    assert mine._asdict() == row
    assert [type(value) for value in mine] == [type(value) for value in theirs]
    assert mine.seconds == row["seconds"]


def test_a_column_that_an_insert_does_not_name_gets_its_default(store: Store) -> None:
    with store.writing() as connection:
        ADD.run(connection, {"name": "n", "path": "/", "turn": 0})
    found = store.look(ALL, {}).one()
    assert (found.notice, found.copied, found.money) == ("-", False, None)


def test_an_update_sets_what_is_given_and_says_how_many_it_found(store: Store) -> None:
    with store.writing() as connection:
        Prepared(insert(meta)).run_all(
            connection, [{"name": name, "value": "1"} for name in ("a", "b")]
        )
        change = Prepared(update(meta).where(meta.c.name == bindparam("b_name")))
        assert change.run(connection, {"b_name": "a", "value": "2"}).rowcount == 1
        assert change.run(connection, {"b_name": "c", "value": "2"}).rowcount == 0
    values = dict(store.look(Prepared(select(meta.c.name, meta.c.value)), {}).rows)
    assert (values["a"], values["b"]) == ("2", "1")


def test_what_is_not_committed_is_not_kept(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writing() as connection:
        Prepared(insert(meta)).run(connection, {"name": "half", "value": "1"})
        raise RuntimeError("in the middle")
    mine = Prepared(select(meta).where(meta.c.name == "half"))
    assert store.look(mine, {}).first() is None


def test_an_error_of_the_driver_is_one_of_sqlalchemy(store: Store) -> None:
    add = Prepared(insert(meta))
    twice = {"name": "twice", "value": "1"}
    with pytest.raises(StoreError) as told, store.writing() as connection:
        add.run(connection, twice)
        with pytest.raises(IntegrityError):
            add.run(connection, twice)
        add.run(connection, twice)
    assert not told.value.transient


def test_a_value_that_is_missing_is_not_taken_for_none(store: Store) -> None:
    mine = Prepared(select(meta).where(meta.c.name == bindparam("b_name")))
    with pytest.raises((LookupError, StoreError)):
        store.look(mine, {})


def test_a_list_that_is_not_part_of_the_statement_is_refused(store: Store) -> None:
    some = Prepared(select(meta).where(meta.c.name.in_(bindparam("names", expanding=True))))
    with pytest.raises(TypeError, match="list"):
        store.look(some, {"names": ["a"]})


def test_one_row_is_one_row(store: Store) -> None:
    nobody = Prepared(select(meta).where(meta.c.name == "nobody"))
    assert store.look(nobody, {}).scalar() is None
    with pytest.raises(LookupError, match="0 were found"):
        store.look(nobody, {}).one()


def test_a_look_outlives_a_connection_that_the_server_ended(store: Store) -> None:
    mine = Prepared(select(meta.c.value).where(meta.c.name == "schema"))
    before = store.look(mine, {}).scalar()
    if store.engine.dialect.name == "postgresql":
        url = store.engine.url.render_as_string(hide_password=False)
        ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        execute(url, f"{ends} AND pid <> pg_backend_pid()")
    assert store.look(mine, {}).scalar() == before
