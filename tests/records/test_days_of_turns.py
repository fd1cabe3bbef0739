"""On which day does a turn count?"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from crews.records import days, ledger
from crews.records.journal import Journal
from crews.records.ledger import Full
from crews.records.store import Store
from tests.records.test_days import DAY, answer, asked, begun, spent, today, yesterday


def a_day_ago(_: Connection) -> float:
    return time.time() - days.SECONDS


def spent_before(store: Store) -> int:
    """What was spent on the only day there is, which is over."""
    (row,) = days.list_days(store)
    assert row.day < today(store)
    return row.money


def test_a_turn_counts_on_the_day_on_which_it_was_reserved(store: Store) -> None:
    one, two = begun(store), begun(store)
    ledger.reserve(one, asked(90), DAY)
    yesterday(store)
    assert ledger.reserve(two, asked(100), DAY) is None
    answer(Journal(store, one.run, one.epoch), 80)
    assert spent(store).money == 0
    assert spent_before(store) == 80
    assert isinstance(ledger.reserve(one, asked(1, 1), DAY), Full)


def test_so_it_does_for_the_owner_that_reserved_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(store)
    with monkeypatch.context() as before_midnight:
        before_midnight.setattr(ledger, "clock", a_day_ago)
        ledger.reserve(journal, asked(90), DAY)
    answer(journal, 80)
    assert spent_before(store) == 80


def test_the_last_attempt_says_which_day_it_is(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(store)
    with monkeypatch.context() as before_midnight:
        before_midnight.setattr(ledger, "clock", a_day_ago)
        ledger.reserve(journal, asked(10), DAY)
        ledger.lose(journal, "/", 0)
    ledger.reserve(journal, replace(asked(10), over=True), DAY)
    answer(journal, 7)
    assert spent(store).money == 7


def test_where_nobody_is_asked_the_day_costs_nothing(store: Store) -> None:
    journal = begun(store)
    assert ledger.reserve(journal, asked(900, model=""), DAY) is None
    answer(journal, 900)
    assert ledger.reserve(journal, asked(100, 1), DAY) is None
    assert spent(store).money == 0
