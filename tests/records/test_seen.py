"""Does an owner know from its own writes what it would find if it looked?"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.errors import Fenced
from crews.records import prepared, seen
from crews.records.journal import Journal
from crews.records.runs import ask_stop, claim, get_run
from crews.records.statement import Found, Prepared, Values
from crews.records.store import Store, open_store
from tests.records.builders import call, limits, owned, thread, turn


@pytest.fixture
def looks(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Statements that are looked up from now on."""
    made: list[object] = []
    look = store.look

    def noted(statement: Prepared, given: Values) -> Found:
        made.append(statement)
        return look(statement, given)

    monkeypatch.setattr(store, "look", noted)
    return made


def begun(store: Store) -> Journal:
    journal = owned(store)
    thread(journal)
    return journal


def test_a_stop_is_seen_by_the_next_write(
    store: Store, looks: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "FRESH", 60.0)
    journal = begun(store)
    assert not journal.stop_asked()
    ask_stop(store, journal.run)
    journal.record_turn(turn(journal), [])
    assert journal.stop_asked()
    assert prepared.STOP_ASKED not in looks


def test_a_stop_is_seen_without_a_write_a_moment_later(store: Store) -> None:
    journal = begun(store)
    ask_stop(store, journal.run)
    time.sleep(seen.FRESH)  # however long the machine took so far
    assert journal.stop_asked()


def test_who_has_written_nothing_looks(store: Store, looks: list[object]) -> None:
    journal = begun(store)
    ask_stop(store, journal.run)
    looks.clear()
    assert Journal(store, journal.run, journal.epoch).stop_asked()
    assert looks == [prepared.STOP_ASKED]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9)), max_size=5))
def test_totals_are_those_of_the_row(answers: list[tuple[int, int | None]]) -> None:
    with open_store("sqlite:///:memory:") as store:
        journal = begun(store)
        for number, (tokens, money) in enumerate(answers):
            answer = turn(journal, number=number, input_tokens=tokens, money=money)
            journal.record_turn(answer, [call(journal, turn=number)])
            row = get_run(store, journal.run)
            assert journal.totals() == (row.tokens, row.money)


def test_who_has_lost_the_run_knows_nothing_of_it(store: Store) -> None:
    old = begun(store)
    old.record_turn(turn(old), [])
    new = Journal(store, old.run, claim(store, old.run))
    new.record_turn(turn(new, number=1), [])
    with pytest.raises(Fenced):
        old.record_turn(turn(old, number=2), [])
    assert old.totals() == new.totals() == (20, 14)


def test_a_limit_of_calls_that_is_set_later_counts(store: Store, looks: list[object]) -> None:
    journal = begun(store)
    assert journal.calls_left("/") is None
    looks.clear()
    assert journal.calls_left("/") is None
    assert not looks
    journal.set_limits(limits(calls=3), "/")
    journal.record_turn(turn(journal), [call(journal)])
    assert journal.calls_left("/") == 2
