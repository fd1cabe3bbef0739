"""Does the chain show every change that somebody makes to it afterwards?"""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.records import audit
from crews.records.audit import GENESIS, AuditRow
from crews.records.store import Store, dump, open_store
from tests.records.builders import owned

COLUMNS = ("sequence", "run", "at", "kind", "body", "previous", "hash", "node")
LENGTH = 9


def chain_of(store: Store, length: int = LENGTH) -> None:
    for number in range(length):
        with store.writing() as connection:
            audit.append(connection, f"run{number % 3}", "note", {"n": number, "é": None})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal with a chain, as a file."""
    path = tmp_path_factory.mktemp("chain") / "crews.db"
    with open_store(f"sqlite:///{path}") as store:
        chain_of(store)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return path.read_bytes()


class Tampered(NamedTuple):
    """A copy of the journal that somebody may change with SQL."""

    path: Path

    def by(self, *statements: tuple[str, tuple[object, ...]]) -> int | None:
        connection = sqlite3.connect(self.path)
        for statement, values in statements:
            connection.execute(statement, values)
        connection.commit()
        connection.close()
        with open_store(f"sqlite:///{self.path}") as store:
            return audit.first_break(store)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tampered")


def copy(folder: Path, content: bytes) -> Tampered:
    path = folder / "crews.db"
    for old in folder.iterdir():
        old.unlink()
    path.write_bytes(content)
    return Tampered(path)


def test_an_untouched_chain_holds(store: Store) -> None:
    assert audit.first_break(store) is None
    chain_of(store)
    assert audit.first_break(store) is None
    rows = audit.entries(store)
    assert rows[0].previous == GENESIS
    assert [r.previous for r in rows[1:]] == [r.hash for r in rows[:-1]]
    assert [r.sequence for r in audit.entries(store, "run1")] == [2, 5, 8]


def test_an_entry_is_kept_with_what_it_speaks_of_or_not_at_all(store: Store) -> None:
    chain_of(store, 1)
    with pytest.raises(RuntimeError), store.writing() as connection:
        audit.append(connection, "run", "note", {})
        raise RuntimeError("no")
    assert len(audit.entries(store)) == 1


def test_what_was_done_to_a_run_stands_in_order(store: Store) -> None:
    journal = owned(store)
    journal.release("waiting")
    kinds = [e.kind for e in audit.entries(store, journal.run)]
    assert kinds == ["run_created", "run_claimed", "run_released"]


@settings(max_examples=60, deadline=None)
@given(
    sequence=st.integers(1, LENGTH),
    column=st.sampled_from(COLUMNS),
    data=st.data(),
)
def test_every_edit_of_one_value_is_found(
    written: bytes, copies: Path, sequence: int, column: str, data: st.DataObject
) -> None:
    journal = copy(copies, written)
    connection = sqlite3.connect(journal.path)
    select = f"select {column} from audit where sequence = ?"
    [old] = connection.execute(select, (sequence,)).fetchone()
    connection.close()
    values = {"sequence": st.integers(LENGTH + 1, 99), "at": st.floats(0, 2e9)}
    new = data.draw(values.get(column, st.text(max_size=64)).filter(lambda v: v != old))
    update = f"update audit set {column} = ? where sequence = ?"
    assert journal.by((update, (new, sequence))) is not None


@settings(max_examples=30, deadline=None)
@given(sequence=st.integers(1, LENGTH - 1))
def test_every_deletion_before_the_end_is_found(
    written: bytes, copies: Path, sequence: int
) -> None:
    found = copy(copies, written).by(("delete from audit where sequence = ?", (sequence,)))
    assert found == sequence


@settings(max_examples=30, deadline=None)
@given(first=st.integers(1, LENGTH - 2), data=st.data())
def test_a_part_cut_out_of_the_middle_is_found_however_it_is_renumbered(
    written: bytes, copies: Path, first: int, data: st.DataObject
) -> None:
    last = data.draw(st.integers(first, LENGTH - 1))
    gone = last - first + 1
    found = copy(copies, written).by(
        ("delete from audit where sequence between ? and ?", (first, last)),
        ("update audit set sequence = -sequence where sequence > ?", (last,)),
        ("update audit set sequence = -sequence - ? where sequence < 0", (gone,)),
    )
    assert found == first


@settings(max_examples=30, deadline=None)
@given(pair=st.lists(st.integers(1, LENGTH), min_size=2, max_size=2, unique=True))
def test_every_swap_of_two_entries_is_found(written: bytes, copies: Path, pair: list[int]) -> None:
    found = copy(copies, written).by(
        ("update audit set sequence = 0 where sequence = ?", (pair[0],)),
        ("update audit set sequence = ? where sequence = ?", (pair[0], pair[1])),
        ("update audit set sequence = ? where sequence = 0", (pair[1],)),
    )
    assert found == min(pair)


@settings(max_examples=30, deadline=None)
@given(sequence=st.integers(1, LENGTH), body=st.text(max_size=20))
def test_an_entry_that_was_hashed_anew_is_found(
    written: bytes, copies: Path, sequence: int, body: str
) -> None:
    journal = copy(copies, written)
    with open_store(f"sqlite:///{journal.path}") as store:
        row = audit.entries(store)[sequence - 1]
    forged = audit.entry_hash(row.sequence, row.run, row.at, row.kind, body, row.previous)
    found = journal.by(
        ("update audit set body = ?, hash = ? where sequence = ?", (body, forged, sequence))
    )
    assert found == (None if body == row.body else sequence)


def test_an_entry_put_in_between_is_found(written: bytes, copies: Path) -> None:
    found = copy(copies, written).by(
        ("update audit set sequence = -sequence where sequence > 4", ()),
        ("update audit set sequence = 1 - sequence where sequence < 0", ()),
        (
            "insert into audit select 5, run, at, kind, body, previous, hash, node from audit "
            "where sequence = 4",
            (),
        ),
    )
    assert found == 5


def test_an_entrys_line_and_hash_are_the_ones_that_are_documented() -> None:
    """The test vector: another program that hashes this line has the canonical form right."""
    body = dump({"z": "0.1", "é": [1, True, None], "a": '"\\\n'})
    assert body == '{"a":"\\"\\\\\\n","z":"0.1","é":[1,true,null]}'
    row = AuditRow(7, "ab2cd3ef", 1790000000.25, "verdict", body, GENESIS, "")
    line = audit.entry_line(row)
    assert line == (
        '[7,"ab2cd3ef","1790000000.25","verdict",'
        '"{\\"a\\":\\"\\\\\\"\\\\\\\\\\\\n\\",\\"z\\":\\"0.1\\",\\"é\\":[1,true,null]}",'
        f'"{GENESIS}"]'
    )
    digest = audit.entry_hash(7, "ab2cd3ef", 1790000000.25, "verdict", body, GENESIS)
    assert digest == hashlib.sha256(line.encode()).hexdigest()
    assert digest == "061a775b9b331d03237757d517ffb1c8140700450abaf83dde4e405e5e7a2683"


def test_a_number_that_is_not_whole_is_text(store: Store) -> None:
    with store.writing() as connection:
        audit.append(connection, "", "note", {"confidence": 0.1, "list": [0.25, {"x": 2.0}]})
    (row,) = audit.entries(store)
    assert row.body == '{"confidence":"0.1","list":["0.25",{"x":"2.0"}]}'
