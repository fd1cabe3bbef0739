"""Is the journal safe on disk, clear where it cannot be used, and open to several processes?"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import func, insert, make_url, select, text

from crews.errors import StoreError
from crews.records import audit
from crews.records.store import Store, dump, open_store
from crews.records.tables import meta
from tests.records.builders import child, ended, owned


def in_file(path: Path) -> str:
    return f"sqlite:///{path}"


def test_a_commit_survives_a_loss_of_power(file: Path) -> None:
    with open_store(in_file(file)) as store, store.reading() as connection:
        mode = connection.execute(text("PRAGMA journal_mode")).scalar()
        synchronous = connection.execute(text("PRAGMA synchronous")).scalar()
        keys = connection.execute(text("PRAGMA foreign_keys")).scalar()
    assert (mode, synchronous, keys) == ("wal", 2, 1)  # 2: FULL


def test_folders_are_made_for_the_user_alone(file: Path) -> None:
    with open_store(in_file(file)):
        assert file.parent.stat().st_mode & 0o077 == 0


def test_opening_again_keeps_what_is_there(url: str) -> None:
    with open_store(url) as first:
        run = owned(first).run
    with open_store(url) as second:
        assert audit.entries(second, run)


def test_a_transaction_is_kept_whole_or_not_at_all(store: Store) -> None:
    with pytest.raises(RuntimeError), store.writing() as connection:
        connection.execute(insert(meta).values(name="half", value="1"))
        raise RuntimeError("in the middle")
    assert rows(store) == 1


def test_a_store_that_is_closed_in_a_transaction_keeps_no_connection(url: str) -> None:
    open_store(url).close()  # from now on the file is there, and its engine is kept
    store = open_store(url)
    with store.writing() as connection:
        store.close()
        audit.append(connection, "r", "k", {})
    assert connection.closed


def test_a_reader_does_not_wait_for_a_writer(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(insert(meta).values(name="new", value="1"))
        assert rows(store) == 1


def test_a_reader_sees_one_state(store: Store) -> None:
    with store.reading() as reader:
        assert reader.execute(select(func.count()).select_from(meta)).scalar() == 1
        with store.writing() as writer:
            writer.execute(insert(meta).values(name="new", value="1"))
        assert reader.execute(select(func.count()).select_from(meta)).scalar() == 1
    assert rows(store) == 2


def test_a_connection_can_write_after_it_has_read(store: Store) -> None:
    for number in range(3):
        assert rows(store) == 1 + number
        with store.writing() as connection:
            connection.execute(insert(meta).values(name=f"n{number}", value="1"))


def rows(store: Store) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(meta)).scalar_one()


@pytest.mark.parametrize(
    "content", [b"a letter to my grandmother\n" * 99, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "crews.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged or is no journal") as error:
        open_store(f"sqlite:///{path}")
    assert error.value.where == str(path)
    assert "CREWS_HOME" in error.value.hint
    assert not error.value.transient
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_an_error_of_the_store(file: Path) -> None:
    with open_store(in_file(file)) as store:
        owned(store)
    whole = file.read_bytes()
    file.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(StoreError):  # noqa: SIM117 - either step may be the one that notices
        with open_store(in_file(file)) as store:
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
    assert not error.value.transient


@pytest.mark.parametrize("wrong", ["nonsense", "nodialect://host/crews"])
def test_a_url_that_names_no_database_is_refused(wrong: str) -> None:
    with pytest.raises(StoreError) as error:
        open_store(wrong)
    assert "CREWS_DATABASE_URL" in error.value.hint


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_postgres_is_named_as_its_users_do(postgres_url: str, scheme: str) -> None:
    named = scheme + postgres_url.removeprefix("postgresql")
    with open_store(named) as store:
        assert rows(store) == 1


def test_a_database_that_does_not_exist_is_refused_at_once(postgres_url: str) -> None:
    url = make_url(postgres_url)
    missing = url.set(database="nowhere").render_as_string(hide_password=False)
    with pytest.raises(StoreError, match='"nowhere" does not exist') as error:
        open_store(missing)
    assert "tried" not in error.value.what
    assert error.value.where.endswith("/nowhere")


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
