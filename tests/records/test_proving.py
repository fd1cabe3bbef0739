"""Is every single edit, deletion, swap and truncation of the signed log found, and what needs an outside copy?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from crews.records import audit, merkle
from crews.records.audit import AuditRow
from crews.records.proving import Audited, Signed, verify
from crews.records.sealing import seal
from crews.records.signing import PublicKey, signing_key
from crews.records.store import open_store
from crews.settings import AuditSettings, Settings

COLUMNS = {
    "audit": ("sequence", ("sequence", "run", "at", "kind", "body", "previous", "hash", "node")),
    "checkpoints": ("size", ("size", "key", "note")),
    "audit_keys": ("key", ("key", "public", "sequence")),
    "payloads": ("sequence", ("sequence", "run", "sealed")),
    "vault_keys": ("run", ("run", "secret")),
}
CELLS = [(table, column) for table, (_, columns) in COLUMNS.items() for column in columns]


@dataclass(frozen=True, slots=True)
class Log:
    """A signed log in a file, and copies of it that somebody may change with SQL."""

    path: Path
    content: bytes
    notes: tuple[tuple[int, str], ...]
    length: int

    def sql(self, *statements: tuple[str, Sequence[object]]) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            for statement, values in statements:
                connection.execute(statement, values)
            connection.commit()

    def fresh(self) -> Log:
        for name in ("", "-wal", "-shm"):
            Path(f"{self.path}{name}").unlink(missing_ok=True)
        self.path.write_bytes(self.content)
        return self

    def verified(self, *outside: Signed, trusted: Sequence[PublicKey] | None = None) -> Audited:
        with open_store(f"sqlite:///{self.path}") as store:
            return verify(store, outside, trusted)

    def rows(self, table: str, column: str) -> list[tuple[object, object]]:
        key, _ = COLUMNS[table]
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(
                f'SELECT "{key}", "{column}" FROM {table} ORDER BY 1'
            ).fetchall()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Fourteen entries of two runs, contents in the vault, a checkpoint after every four and at the end."""
    folder = tmp_path_factory.mktemp("log")
    path = folder / "crews.db"
    settings = Settings(home=folder, audit=AuditSettings(every=4))
    with open_store(f"sqlite:///{path}", sealing=seal(settings)) as store:
        for number in range(8):
            with store.writing() as connection:
                kind = "note" if number < 7 else "review_decided"
                contents = {"answer": f"text {number}"} if number % 2 else None
                audit.append(connection, f"run{number % 2}", kind, {"n": number}, contents=contents)
        length = len(audit.entries(store))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        notes = connection.execute("SELECT size, note FROM checkpoints ORDER BY size").fetchall()
    return Log(path, path.read_bytes(), tuple(notes), length)


def test_an_untouched_log_holds_with_its_copies_outside(log: Log) -> None:
    outside = [Signed(note, "outside", outside=True) for _, note in log.notes]
    found = log.fresh().verified(*outside)
    assert (found.breaks, found.warnings) == ((), ())
    assert (found.entries, found.signed) == (log.length, log.length - 1)
    assert (found.checkpoints, found.outside) == (len(log.notes), len(log.notes))


@tried(max_examples=150, deadline=None)
@given(cell=st.sampled_from(CELLS), data=st.data())
def test_every_edit_of_any_value_is_found(
    log: Log, cell: tuple[str, str], data: st.DataObject
) -> None:
    table, column = cell
    log.fresh()
    key, old = data.draw(st.sampled_from(log.rows(table, column)))
    numbers: dict[type, st.SearchStrategy[object]] = {
        int: st.integers(100, 999), float: st.floats(1, 2e9),
    }  # fmt: skip
    new = data.draw(
        numbers.get(type(old), st.text(min_size=1, max_size=64)).filter(lambda v: v != old)
    )
    name, _ = COLUMNS[table]
    log.sql((f'UPDATE {table} SET "{column}" = ? WHERE "{name}" = ?', (new, key)))
    assert not log.verified().holds


@tried(max_examples=60, deadline=None)
@given(table=st.sampled_from(sorted(COLUMNS)), data=st.data())
def test_every_deletion_is_found(log: Log, table: str, data: st.DataObject) -> None:
    name, _ = COLUMNS[table]
    key, _ = data.draw(st.sampled_from(log.fresh().rows(table, name)))
    log.sql((f'DELETE FROM {table} WHERE "{name}" = ?', (key,)))
    found = log.verified()
    assert not found.holds
    if table == "audit" and key != log.length:
        assert found.breaks[0].sequence == key


@tried(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_swap_is_found(log: Log, data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(["audit", "checkpoints", "payloads"]))
    name, _ = COLUMNS[table]
    keys = [key for key, _ in log.fresh().rows(table, name)]
    one, two = data.draw(st.lists(st.sampled_from(keys), min_size=2, max_size=2, unique=True))
    statement = f"UPDATE {table} SET {name} = ? WHERE {name} = ?"
    log.sql((statement, (0, one)), (statement, (one, two)), (statement, (two, 0)))
    assert not log.verified().holds


def test_a_log_that_was_cut_is_found_wherever(log: Log) -> None:
    for length in range(log.length):
        log.fresh().sql(("DELETE FROM audit WHERE sequence > ?", (length,)))
        assert not log.verified().holds, length


def cut_with_its_checkpoints(log: Log, size: int) -> None:
    """Leave the log as it was right after an earlier checkpoint: nothing in it can tell."""
    log.fresh().sql(
        ("DELETE FROM audit WHERE sequence > ?", (size + 1,)),
        ("DELETE FROM payloads WHERE sequence > ?", (size + 1,)),
        ("DELETE FROM checkpoints WHERE size > ?", (size,)),
    )


def test_cut_off_at_an_earlier_checkpoint_it_is_found_with_a_copy_outside(log: Log) -> None:
    (size, early), (_, last) = log.notes[0], log.notes[-1]
    cut_with_its_checkpoints(log, size)
    assert log.verified().holds
    assert log.verified(Signed(early, "early")).holds
    found = log.verified(Signed(last, "copies.jsonl:3"))
    assert [b.sequence for b in found.breaks] == [size + 1]
    assert "the log was cut" in found.breaks[0].what
    assert found.breaks[0].what.startswith("copies.jsonl:3")


def rewritten(log: Log, body: str) -> None:
    """Change an entry and make all that follows from it anew: hashes, tree, and no checkpoint at all."""
    log.fresh()
    with open_store(f"sqlite:///{log.path}") as store:
        rows = audit.entries(store)
    previous, edge = audit.GENESIS, merkle.Edge()
    for row in rows:
        text = body if row.sequence == 2 else row.body
        made = AuditRow(row.sequence, row.run, row.at, row.kind, text, previous, "")
        line = audit.entry_line(made).encode()
        previous_hash = audit.entry_hash(row.sequence, row.run, row.at, row.kind, text, previous)
        node = edge.add(merkle.leaf_hash(line)).hex()
        log.sql((
            "UPDATE audit SET body = ?, previous = ?, hash = ?, node = ? WHERE sequence = ?",
            (text, previous, previous_hash, node, row.sequence),
        ))  # fmt: skip
        previous = previous_hash


def test_a_log_that_was_written_anew_is_found_by_its_checkpoints(log: Log) -> None:
    rewritten(log, '{"n":1000}')
    found = log.verified()
    assert any("signed over other entries" in b.what for b in found.breaks)
    assert found.signed == 0


def test_a_checkpoint_by_an_unknown_key_or_of_another_log_is_found(
    log: Log, tmp_path: Path
) -> None:
    log.fresh()
    origin = log.notes[0][1].partition("\n")[0]
    with open_store(f"sqlite:///{log.path}") as store, store.reading() as connection:
        root = audit.read_nodes(connection, [4])[4]
    stranger = signing_key(tmp_path / "key.pem")
    forged = Signed(stranger.checkpoint(origin, 4, root), "forged")
    assert "unknown key" in log.verified(forged).breaks[0].what
    other = Signed(stranger.checkpoint("crews/other", 4, root), "other")
    assert "another log" in log.verified(other).breaks[0].what
    assert "unknown key" in log.verified(trusted=[stranger.public]).breaks[0].what
    assert "no checkpoint" in log.verified(Signed("x", "x")).breaks[0].what
