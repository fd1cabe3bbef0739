"""Is what may be written later written once, with what comes next, and by nobody who has lost the run?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from crews.errors import Fenced, StoreError
from crews.records import audit, ownership
from crews.records.journal import Journal
from crews.records.rows import CallRow, HandOver
from crews.records.runs import claim
from crews.records.steps import Step
from crews.records.store import Store
from crews.records.tables import calls, threads
from tests.records.builders import call, owned, thread, turn


def unheard(_: CallRow) -> None:
    """Nobody is told."""


def begun(store: Store) -> Journal:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal)])
    return journal


def later(
    journal: Journal, result: str = "seen", told: Callable[[CallRow], None] = unheard
) -> CallRow:
    return journal.set_call_later(
        call(journal), Step("effect_ended", {}), told=told, state="done", result=result
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


@pytest.mark.parametrize("kept_it", [True, False])
def test_what_a_broken_commit_has_kept_is_found_out(
    store: Store, monkeypatch: pytest.MonkeyPatch, kept_it: bool
) -> None:
    def broken(connection: Connection) -> None:
        if kept_it:
            connection.commit()
        raise StoreError("the server has gone")

    journal, told = begun(store), list[CallRow]()
    row = later(journal, told=told.append)
    with monkeypatch.context() as away, pytest.raises(StoreError, match="gone"):
        away.setattr(store, "sealing", broken)
        journal.flush()
    assert kept(store) == (("done", 1) if kept_it else ("proposed", 0))
    journal.flush()
    assert kept(store) == ("done", 1)
    assert told == [row]


def test_who_may_have_lost_something_does_nothing_more_but_leave(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise StoreError("the server has gone", transient=True, hint="bring it back")

    journal = begun(store)
    later(journal)
    with monkeypatch.context() as away, pytest.raises(StoreError, match="gone"):
        away.setattr(store, "sealing", gone)
        away.setattr(store, "look", gone)
        journal.flush()
    acts: list[Callable[[], object]] = [
        journal.threads,
        journal.calls,
        lambda: later(journal),
        lambda: journal.set_run(summary="x"),
        lambda: journal.release("completed"),
    ]
    for act in acts:
        with pytest.raises(StoreError, match="may be lost: the server has gone") as refused:
            act()
        assert (refused.value.transient, refused.value.hint) == (True, "bring it back")
    journal.release("failed")
    assert journal.row().status == "failed"
    assert kept(store) == ("proposed", 0)


def test_who_breaks_at_what_he_is_told_breaks_nothing(store: Store) -> None:
    def break_down(_: CallRow) -> None:
        raise ZeroDivisionError

    journal = begun(store)
    later(journal, told=break_down)
    journal.flush()
    assert kept(store) == ("done", 1)


def test_what_cannot_be_written_does_not_keep_its_owner_from_leaving(store: Store) -> None:
    journal = begun(store)
    journal.set_call_later(call(journal), told=unheard, state=object())
    with pytest.raises(Exception, match=r"(?i)type|adapt"):
        journal.flush()
    journal.release("failed")
    assert journal.row().status == "failed"


def test_others_are_told_once_it_is_written(store: Store) -> None:
    journal, told = begun(store), list[tuple[str, int]]()
    later(journal, told=lambda _: told.append(kept(store)))
    assert told == []
    journal.flush()
    journal.flush()
    assert told == [("done", 1)]


def test_it_does_not_wait_long_for_another_write(store: Store) -> None:
    async def idle() -> None:
        later(journal)
        await asyncio.sleep(ownership.LATEST + 0.2)

    journal = begun(store)
    asyncio.run(idle())
    assert kept(store) == ("done", 1)


def test_a_thread_is_read_as_it_will_be(store: Store) -> None:
    journal = begun(store)
    row = replace(journal.threads()[0], path="/0.0")
    journal.begin_thread(row)
    assert [t.path for t in journal.threads()] == ["/", "/0.0"]
    journal.end_thread("/0.0", HandOver(summary="done"), worked=(0.0, 2.0))
    as_read = journal.thread("/0.0")
    assert as_read is not None
    assert (as_read.state, as_read.working_seconds) == ("done", 2.0)
    with store.reading() as connection:
        assert connection.execute(select(threads.c.path)).scalars().all() == ["/"]
    journal.flush()
    assert journal.thread("/0.0") == as_read
