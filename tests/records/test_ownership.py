"""Is what may be written later written once, with what comes next, and by nobody who has lost the run?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select

from crews.errors import Fenced, StoreError
from crews.records import audit
from crews.records.journal import Journal
from crews.records.rows import CallRow
from crews.records.runs import claim
from crews.records.steps import Step
from crews.records.store import Store
from crews.records.tables import calls
from tests.records.builders import call, owned, thread, turn


def begun(store: Store) -> Journal:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal)])
    return journal


def later(journal: Journal, result: str = "seen") -> CallRow:
    return journal.set_call_later(
        call(journal), Step("effect_ended", {}), state="done", result=result
    )


def kept(store: Store) -> tuple[str, int]:
    """The call's state, and how often the audit log tells of its end; as anybody else reads them."""
    with store.reading() as connection:
        state = connection.execute(select(calls.c.state)).scalar_one()
    return state, sum(row.kind == "effect_ended" for row in audit.entries(store))


def test_it_comes_with_the_next_write(store: Store) -> None:
    journal = begun(store)
    assert later(journal).state == "done"
    assert kept(store) == ("proposed", 0)
    journal.set_run(summary="x")
    assert kept(store) == ("done", 1)


READS: dict[str, Callable[[Journal], object]] = {
    "calls": lambda journal: journal.calls(),
    "calls of a thread": lambda journal: journal.calls("/"),
    "calls before": lambda journal: journal.calls_before(call(journal, turn=1), 9),
    "call": lambda journal: journal.call("/", 0, 0),
}


@pytest.mark.parametrize("read", list(READS.values()), ids=list(READS))
def test_who_reads_through_the_owner_finds_it_as_it_will_be(
    store: Store, read: Callable[[Journal], object]
) -> None:
    journal = begun(store)
    row = later(journal)
    found = read(journal)
    assert found in {row, (row,)}
    assert kept(store) == ("proposed", 0)
    journal.flush()
    assert read(journal) == found


def test_what_has_lost_the_run_writes_nothing(store: Store) -> None:
    journal = begun(store)
    later(journal)
    claim(store, journal.run)
    for _ in range(2):
        with pytest.raises(Fenced):
            journal.flush()
    assert kept(store) == ("proposed", 0)


def test_a_transaction_that_breaks_takes_nothing_with_it(store: Store) -> None:
    journal = begun(store)
    later(journal)
    with pytest.raises(ZeroDivisionError), journal.writing():
        raise ZeroDivisionError
    assert kept(store) == ("proposed", 0)
    journal.flush()
    journal.flush()
    assert kept(store) == ("done", 1)


def test_what_a_commit_may_have_kept_is_not_written_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(store)
    later(journal)

    def unheard(_: Connection) -> None:
        raise StoreError("the server has gone")

    with monkeypatch.context() as away, pytest.raises(StoreError):
        away.setattr(store, "sealing", unheard)
        journal.flush()
    journal.flush()
    assert kept(store) == ("proposed", 0)


def test_what_cannot_be_written_stands_in_nobodys_way(store: Store) -> None:
    journal = begun(store)
    journal.set_call_later(call(journal), state=object())
    with pytest.raises(Exception, match=r"(?i)type|adapt"):
        journal.flush()
    journal.set_run(summary="x")
    assert journal.row().summary == "x"
