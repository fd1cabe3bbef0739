"""Is a run's content gone after a purge, on either database, and only that of the run?"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from crews.errors import UsageError
from crews.records import audit, days, ledger
from crews.records.forks import Place, differences, rows_of, taken_over, write_fork
from crews.records.inbox import list_reviews
from crews.records.ledger import Asked
from crews.records.retention import purge, purgeable
from crews.records.runs import claim, get_run, new_id
from crews.records.store import Store
from crews.records.workers import clock
from crews.safety.budget import Spent
from crews.settings import Settings
from tests.records.builders import owned, thread
from tests.support.written import worked


def test_a_purge_removes_one_run_and_leaves_the_others(store: Store, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    gone, kept = worked(store), worked(store)
    with pytest.raises(UsageError, match="has not ended"):
        purge(store, settings, gone.id, "bo")
    gone.journal.release("failed", reason="it broke", exit_code=1)
    before = rows_of(store, kept.id)
    assert [r.id for r in purgeable(store, settings, before=None)] == [gone.id]

    done = purge(store, settings, gone.id, "bo")
    assert done.counts | {"spend": 0} == {
        "threads": 3, "turns": 3, "calls": 5, "spend": 0, "reviews": 2, "deliveries": 0, "runs": 1,
    }  # fmt: skip
    assert len(done.sha256) == 64
    assert rows_of(store, kept.id) == before
    assert {r.state for r in list_reviews(store, run=gone.id, state=None)} == {"decided", "void"}
    assert get_run(store, gone.id).purged_at is not None
    with pytest.raises(UsageError, match="were purged on"):
        claim(store, gone.id)
    again = purge(store, settings, gone.id, "bo")
    assert (again.counts, again.sha256) == ({}, "")
    assert [e.kind for e in audit.entries(store, gone.id)].count("run_purged") == 1
    assert audit.first_break(store) is None


def test_what_a_death_cut_off_counts_against_its_day_after_a_purge(
    store: Store, tmp_path: Path
) -> None:
    journal = owned(store)
    thread(journal)
    for turn in range(2):
        asked = Asked("/", turn, Spent(money=Decimal(3), turns=1), "m-1")
        assert ledger.reserve(journal, asked) is None
    ledger.lose(journal, "/", 0)
    ledger.release(journal, "/", 1)
    journal.release("failed", reason="it broke", exit_code=1)
    done = purge(store, Settings(home=tmp_path), journal.run, "bo")
    assert done.counts["spend"] == 1
    with store.reading() as connection:
        day = days.get_day(connection, "small", days.day_of(clock(connection)))
        assert days.committed(connection, day).money == 3


def test_what_a_fork_takes_over_is_written_and_not_counted(store: Store) -> None:
    old = worked(store)
    rows = rows_of(store, old.id)
    place = Place("/0.0", 0)
    kept = taken_over(rows, place)
    assert [t.path for t in kept.threads] == ["/", "/0.0"]
    assert {t.state for t in kept.threads} == {"open"}
    new = replace(get_run(store, old.id), id=new_id(), status="queued", submission=None)
    write_fork(store, new, kept, place, old.id, ["one file"])
    made = rows_of(store, new.id)
    assert [(t.path, t.turn, t.money, t.copied) for t in made.turns] == [("/", 0, 0, True)]
    assert [(c.address, c.state) for c in made.calls] == [
        ("/:0.0", "started"), ("/:0.1", "proposed"),
    ]  # fmt: skip
    assert {(t.tokens, t.money, t.turns) for t in made.threads} == {(0, 0, 0)}
    assert differences(store, new.id) == ("one file",)
    assert rows_of(store, old.id) == rows
    assert audit.first_break(store) is None
