"""Do those who open the same journal share what reaches it, without closing it for each other?"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import event, select

from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.records.tables import meta
from tests.records.builders import owned


def rows(store: Store) -> int:
    with store.reading() as connection:
        return len(connection.execute(select(meta)).all())


def test_who_closes_a_journal_leaves_it_open_for_the_others(store: Store, url: str) -> None:
    other = open_store(url)
    third = open_store(url)
    assert other.engine is third.engine
    found = rows(other)
    with other.reading() as connection:
        third.close()
        third.close()  # twice is once
        assert len(connection.execute(select(meta)).all()) == found
    assert rows(other) == found
    pool = other.engine.pool
    other.close()
    store.close()
    assert other.engine.pool is not pool  # the last one let go of it
    with open_store(url) as again:
        assert rows(again) == found


def test_who_looks_before_he_writes_opens_a_file_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'crews.db'}"
    with open_store(url) as made:
        run = owned(made).run
    opened: list[object] = []

    def note(connection: object, record: object) -> None:
        opened.append((connection, record))

    with open_store(url) as store:
        event.listen(store.engine, "connect", note)
    with open_store(url) as again:
        assert again.engine is store.engine
        assert get_run(again, run).status == "running"
        assert get_run(again, owned(again).run).status == "running"
    assert len(opened) == 1


def test_a_new_file_of_the_same_name_is_another_journal(tmp_path: Path) -> None:
    file = tmp_path / "crews.db"
    for _ in range(2):
        with open_store(f"sqlite:///{file}") as made, made.reading() as connection:
            assert connection.execute(select(meta)).all()
        with open_store(f"sqlite:///{file}") as again:
            assert again.engine is not made.engine
        for left in tmp_path.iterdir():
            left.unlink()
