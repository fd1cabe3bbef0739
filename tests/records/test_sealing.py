"""When is the log signed, and is it whole where many processes write and sign at once?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from crews.errors import StoreError
from crews.records import audit, proving
from crews.records.sealing import known_keys, seal
from crews.records.signing import parse
from crews.records.store import Store, open_store
from crews.records.tables import checkpoints
from crews.settings import AuditSettings, Settings
from tests.records.builders import child, ended, owned


def settings_of(folder: Path, every: int = 100) -> Settings:
    return Settings(home=folder / "signer", audit=AuditSettings(every=every))


@pytest.fixture
def signed(url: str, store: Store, tmp_path: Path) -> Iterator[Store]:
    """A journal whose log is signed after every five entries."""
    del store
    with open_store(url, sealing=seal(settings_of(tmp_path, 5))) as opened:
        yield opened


def sizes(store: Store) -> list[int]:
    with store.reading() as connection:
        return list(
            connection.execute(select(checkpoints.c.size).order_by(checkpoints.c.size)).scalars()
        )


def note(store: Store, count: int = 1) -> None:
    for _ in range(count):
        with store.writing() as connection:
            audit.append(connection, "run", "note", {})


def test_it_is_signed_after_so_many_entries_and_at_once_where_it_matters(signed: Store) -> None:
    note(signed, 4)
    assert sizes(signed) == []
    note(signed)
    # The key's own entry comes before its first checkpoint, the checkpoint's entry behind it.
    assert sizes(signed) == [6]
    owned(signed).release("completed")
    assert sizes(signed)[-1] == len(audit.entries(signed)) - 1
    found = proving.verify(signed)
    assert (found.breaks, found.warnings) == ((), ())
    assert found.signed == found.entries - 1
    (key,) = known_keys(signed)
    with signed.reading() as connection:
        for row in connection.execute(select(checkpoints.c.note)):
            assert parse(row.note).is_by(key.public)


def test_a_transaction_that_fails_leaves_neither_entry_nor_checkpoint(signed: Store) -> None:
    with pytest.raises(RuntimeError), signed.writing() as connection:
        audit.append(connection, "run", "review_decided", {})
        raise RuntimeError("no")
    note(signed)
    assert (sizes(signed), len(audit.entries(signed))) == ([], 1)


def test_what_cannot_be_signed_is_not_written(url: str, store: Store, tmp_path: Path) -> None:
    del store
    (tmp_path / "signer").write_text("no folder")
    with open_store(url, sealing=seal(settings_of(tmp_path))) as opened:
        with pytest.raises(StoreError, match="signs the audit log"), opened.writing() as connection:
            audit.append(connection, "run", "review_decided", {})
        assert audit.entries(opened) == ()


WRITING = """
import sys
from pathlib import Path
from crews.records import audit
from crews.records.sealing import seal
from crews.records.store import open_store
from crews.settings import AuditSettings, Settings
me = sys.argv[2]
settings = Settings(home=Path(sys.argv[3]) / me, audit=AuditSettings(every=7))
with open_store(sys.argv[1], sealing=seal(settings)) as store:
    for number in range(40):
        with store.writing() as connection:
            kind = "review_decided" if number % 9 == 0 else "note"
            audit.append(connection, me, kind, {"n": number}, contents={"answer": f"{me} {number}"})
"""


def test_many_machines_write_and_sign_at_once(url: str, tmp_path: Path) -> None:
    open_store(url).close()
    names = ["a", "b", "c", "d"]
    ended([child(WRITING, url, name, str(tmp_path)) for name in names])
    with open_store(url) as store:
        found = proving.verify(store)
        assert found.breaks == ()
        assert found.checkpoints >= 4 * 5
        assert len(known_keys(store)) == 4
        for name in names:
            told = [body["n"] for _, body in audit.told(store, name)]
            assert told == list(range(40))
        only = proving.verify(store, trusted=[known_keys(store)[0].public])
        assert any("unknown key" in b.what for b in only.breaks)
