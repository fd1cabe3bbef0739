"""Is the journal safe on disk, clear where it cannot be used, and open to several processes?"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from crews.errors import StoreError
from crews.records import audit
from crews.records.store import Store, dump, open_store
from crews.records.tables import SCHEMA_VERSION, meta
from tests.records.builders import child, ended, owned


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def test_a_commit_survives_a_loss_of_power(store: Store) -> None:
    with store.reading() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar()
        synchronous = connection.execute(text("PRAGMA synchronous")).scalar()
        keys = connection.execute(text("PRAGMA foreign_keys")).scalar()
    assert (mode, synchronous, keys) == ("wal", 2, 1)  # 2: FULL


def test_folders_are_made_for_the_user_alone(url: str) -> None:
    with open_store(url):
        assert file_of(url).parent.stat().st_mode & 0o077 == 0


def test_opening_again_keeps_what_is_there(url: str) -> None:
    with open_store(url) as first:
        run = owned(first).run
    with open_store(url) as second:
        assert audit.entries(second, run)


def test_a_transaction_is_kept_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writing() as connection:
        connection.execute(insert(meta).values(name="half", value="1"))
        raise RuntimeError("in the middle")
    with store.reading() as connection:
        assert connection.execute(text("select count(*) from meta")).scalar() == 1


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(insert(meta).values(name="new", value="1"))
        with store.reading() as other:
            assert other.execute(text("select count(*) from meta")).scalar() == 1


def changed(url: str, statement: str) -> None:
    connection = sqlite3.connect(file_of(url))
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    open_store(url).close()
    changed(url, f"update meta set value = '{SCHEMA_VERSION + 1}'")
    changed(url, "drop table spend")
    with pytest.raises(StoreError, match="newer version") as error:
        open_store(url)
    assert str(SCHEMA_VERSION + 1) in error.value.what
    assert "upgrade" in error.value.hint
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        changed(url, "select * from spend")


def test_a_schema_that_is_no_number_is_refused(url: str) -> None:
    open_store(url).close()
    changed(url, "update meta set value = 'soon'")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(url)


@pytest.mark.parametrize(
    "content", [b"a letter to my grandmother\n" * 99, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "crews.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="cannot be used") as error:
        open_store(f"sqlite:///{path}")
    assert "CREWS_HOME" in error.value.hint
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_an_error_of_the_store(url: str) -> None:
    with open_store(url) as store:
        owned(store)
    path = file_of(url)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError):  # noqa: SIM117 - either step may be the one that notices
        with open_store(url) as store:
            audit.entries(store)


@pytest.mark.parametrize("place", ["", "note.txt/crews.db"])
def test_a_place_that_cannot_hold_a_journal_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "note.txt").write_text("no folder", encoding="utf-8")
    with pytest.raises(StoreError) as error:
        open_store(f"sqlite:///{tmp_path / place}")
    assert error.value.hint


def test_a_journal_that_may_not_be_written_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "crews.db"
        open_store(f"sqlite:///{path}").close()
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)  # the superuser may write everything
        try:
            with pytest.raises(StoreError) as error:
                open_store(f"sqlite:///{path}")
        finally:
            os.seteuid(user)
            Path(folder).chmod(0o755)
    assert "rights" in error.value.hint


@pytest.mark.parametrize("url", ["nonsense", "nodialect://host/crews"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(StoreError) as error:
        open_store(url)
    assert "CREWS_DATABASE_URL" in error.value.hint


WRITER = """
import sys
from crews.records import audit
from crews.records.store import open_store
with open_store(sys.argv[1]) as store:
    for number in range(int(sys.argv[3])):
        with store.writing() as connection:
            audit.append(connection, sys.argv[2], "note", {"number": number})
"""


def test_processes_write_at_once_without_a_lock_error_and_keep_one_chain(url: str) -> None:
    writers = [child(WRITER, url, name, "60") for name in ("one", "two", "three")]
    ended(writers)  # three processes make the tables, and write, at once
    with open_store(url) as store:
        rows = audit.entries(store)
        assert audit.first_break(store) is None
    assert [r.sequence for r in rows] == list(range(1, 181))
    for name in ("one", "two", "three"):
        numbers = [json.loads(r.body)["number"] for r in rows if r.run == name]
        assert numbers == list(range(60))


def test_values_have_one_form() -> None:
    assert dump({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}'
    assert dump({"a": 1, "b": 2}) == dump({"b": 2, "a": 1})


def test_half_a_surrogate_pair_can_be_kept(store: Store) -> None:
    broken = {"text": "ab\ud83dcd"}
    with store.writing() as connection:
        connection.execute(insert(meta).values(name="x", value=dump(broken)))
    with store.reading() as connection:
        kept = connection.execute(text("select value from meta where name = 'x'")).scalar()
    assert json.loads(str(kept)) == broken
