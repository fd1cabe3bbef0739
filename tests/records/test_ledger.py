"""Is what a request may take set aside before it is sent, so that no limit is ever passed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from crews.errors import Fenced
from crews.records import ledger
from crews.records.journal import Journal
from crews.records.ledger import Around, Asked, Full, Wall
from crews.records.runs import claim
from crews.records.store import Store
from crews.records.tables import spend
from crews.safety.budget import Spent
from crews.settings import ModelLimits
from crews.teams.spec import Limits
from tests.records.builders import limits, owned, thread, turn


def wanted(tokens: int = 0, money: str | None = "0", turns: int = 1) -> Spent:
    return Spent(tokens=tokens, money=None if money is None else Decimal(money), turns=turns)


def asked(amount: Spent, number: int = 0, path: str = "/", **more: Any) -> Asked:
    return Asked(path, number, amount, **more)


def with_limits(store: Store, run: Limits, own: Limits | None = None) -> Journal:
    journal = owned(store, limits=run)
    thread(journal, limits=(own or Limits()).model_dump_json())
    return journal


def states(store: Store) -> list[str]:
    with store.reading() as connection:
        query = select(spend.c.state).order_by(spend.c.epoch, spend.c.turn)
        return [str(s) for s in connection.execute(query).scalars()]


def test_what_fits_is_set_aside_and_the_next_request_meets_the_wall(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    assert ledger.reserve(journal, asked(wanted(60), 0)) is None
    ledger.lose(journal, "/", 0)
    wall = ledger.reserve(journal, asked(wanted(41), 1))
    assert isinstance(wall, Wall)
    assert (wall.scope, wall.breach.kind, wall.breach.limit) == ("run", "tokens", 100)
    assert (wall.breach.spent, wall.breach.wanted) == (60, 41)
    assert ledger.reserve(journal, asked(wanted(40), 1)) is None
    assert states(store) == ["lost", "reserved"]


def test_what_requests_in_flight_may_leave_is_waited_for_before_anyone_is_asked(
    store: Store,
) -> None:
    """What is set aside is the most that a request may take; it hardly ever does."""
    journal = with_limits(store, limits(tokens=100, turns=2))
    thread(journal, "/0.0")
    assert ledger.reserve(journal, asked(wanted(60))) is None
    assert isinstance(ledger.reserve(journal, asked(wanted(41), 0, "/0.0")), Full)
    assert isinstance(ledger.reserve(journal, asked(wanted(101), 0, "/0.0")), Wall)
    journal.record_turn(turn(journal), [])  # it took 10
    assert ledger.reserve(journal, asked(wanted(41), 0, "/0.0")) is None
    found = ledger.reserve(journal, asked(wanted(1), 1))  # a request in flight is one in any case
    assert isinstance(found, Wall)
    assert found.breach.kind == "turns"


@pytest.mark.parametrize("end", ["answered", "refused", "lost"])
def test_every_attempt_at_a_request_counts_whatever_becomes_of_the_last(
    store: Store, end: str
) -> None:
    journal = with_limits(store, limits(tokens=100, turns=9))
    for _ in range(3):
        assert ledger.reserve(journal, asked(wanted(20))) is None
        ledger.lose(journal, "/", 0)
    assert ledger.reserve(journal, asked(wanted(30))) is None
    match end:
        case "answered":
            journal.record_turn(turn(journal), [])
            took = 10
        case "refused":
            ledger.release(journal, "/", 0)
            took = 0
        case _:
            ledger.lose(journal, "/", 0)
            took = 30
    found = ledger.reserve(journal, asked(wanted(41), 1))
    assert isinstance(found, Wall)
    assert (found.spent.tokens, found.spent.turns) == (60 + took, 3 + (end != "refused"))
    assert ledger.reserve(journal, asked(wanted(40 - took), 1)) is None


def test_an_answer_turns_the_reservation_into_what_it_took(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, asked(wanted(90), 0))
    journal.record_turn(turn(journal), [])  # it took 10
    assert states(store) == ["settled"]
    assert ledger.reserve(journal, asked(wanted(90), 1)) is None


def test_a_reservation_that_is_given_back_counts_no_more(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, asked(wanted(90), 0))
    ledger.release(journal, "/", 0)
    assert states(store) == ["released"]
    assert ledger.reserve(journal, asked(wanted(90), 1)) is None


def test_what_is_settled_cannot_be_given_back(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, asked(wanted(90), 0))
    journal.record_turn(turn(journal), [])
    ledger.release(journal, "/", 0)
    assert states(store) == ["settled"]


def test_what_a_dead_owner_had_reserved_counts_as_spent_for_ever(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, asked(wanted(90), 0))
    again = Journal(store, journal.run, claim(store, journal.run))
    assert ledger.reserve(again, asked(wanted(11), 0)) is not None
    assert ledger.reserve(again, asked(wanted(10), 0)) is None  # the same turn, bought again
    again.record_turn(turn(again, money=1), [])
    assert states(store) == ["lost", "settled"]
    with pytest.raises(Fenced):
        ledger.release(journal, "/", 0)
    assert ledger.reserve(again, asked(wanted(1), 1)) is not None


@pytest.mark.parametrize("kind", ["turns", "calls", "wall_seconds"])
def test_every_other_limit_is_a_wall_too(store: Store, kind: str) -> None:
    journal = with_limits(store, limits(**{kind: 1}))
    journal.set_run(calls=2 if kind == "calls" else 0)
    journal.record_turn(turn(journal, number=0), [])
    found = ledger.reserve(journal, asked(wanted(1), 1, worked=(1.5, 0.0)))
    assert isinstance(found, Wall)
    assert found.breach.kind == kind


def test_a_threads_own_limit_is_its_own(store: Store) -> None:
    journal = with_limits(store, limits(tokens=1000), limits(tokens=50))
    thread(journal, "/0.0")
    found = ledger.reserve(journal, asked(wanted(60), 0))
    assert isinstance(found, Wall)
    assert found.scope == "thread"
    assert ledger.reserve(journal, asked(wanted(60), 0, "/0.0")) is None
    assert ledger.reserve(journal, asked(wanted(50), 0)) is None


def test_money_is_kept_to_the_nano_dollar(store: Store) -> None:
    journal = with_limits(store, limits(money="0.000000003"))
    assert ledger.reserve(journal, asked(wanted(money="0.000000002"), 0)) is None
    assert ledger.reserve(journal, asked(wanted(money="0.000000002"), 1)) is not None
    assert ledger.reserve(journal, asked(wanted(money="0.000000001"), 1)) is None


@pytest.mark.parametrize("where", ["of this request", "of one that was made", "of one under way"])
def test_an_unknown_price_passes_no_limit_of_money(store: Store, where: str) -> None:
    journal = with_limits(store, limits(money="1000000"))
    thread(journal, "/0.0")
    price = "0"
    if where == "of this request":
        price = None
    elif where == "of one that was made":
        journal.record_turn(turn(journal, money=None), [])
    else:
        journal.set_run(limits="{}")
        ledger.reserve(journal, asked(wanted(money=None), 0, "/0.0"))
        journal.set_limits(limits(money="1000000"))
    found = ledger.reserve(journal, asked(wanted(money=price), 1))
    assert isinstance(found, Wall)
    assert found.breach.kind == "money"
    assert "price of a model is not known" in found.breach.message


def test_an_unknown_price_is_nothing_to_a_limit_of_tokens(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    assert ledger.reserve(journal, asked(wanted(50, None), 0)) is None


def test_an_extension_moves_the_wall(store: Store) -> None:
    journal = with_limits(store, limits(tokens=10))
    assert ledger.reserve(journal, asked(wanted(20), 0)) is not None
    journal.set_limits(limits(tokens=20))
    assert ledger.reserve(journal, asked(wanted(20), 0)) is None


def test_the_end_of_a_thread_is_set_aside_beyond_the_wall_and_counts(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    assert ledger.reserve(journal, asked(wanted(90))) is None
    ledger.lose(journal, "/", 0)
    assert isinstance(ledger.reserve(journal, asked(wanted(90), 1)), Wall)
    assert ledger.reserve(journal, asked(wanted(90), 1, over=True)) is None
    assert states(store) == ["lost", "reserved"]
    claim(store, journal.run)
    assert states(store) == ["lost", "lost"]


def test_work_that_is_in_no_row_yet_is_written_down_and_counts(store: Store) -> None:
    journal = with_limits(store, limits(wall_seconds=10), limits(wall_seconds=5))
    assert ledger.reserve(journal, asked(wanted(), worked=(4.0, 3.0))) is None
    journal.record_turn(turn(journal), [], (3.0, 1.5))
    row, own = journal.row(), journal.thread("/")
    assert own is not None
    assert (row.working_seconds, own.working_seconds) == (7.0, 4.5)
    wall = ledger.reserve(journal, asked(wanted(), 1, worked=(1.0, 1.0)))
    assert isinstance(wall, Wall)
    assert (wall.scope, wall.breach.spent) == ("thread", 5.5)
    assert journal.row().working_seconds == 8.0  # a wall is no reason to forget it


# -- room at a model ------------------------------------------------------------------------------

TWO = Around(room=ModelLimits(concurrent=2))


def of(model: str, number: int = 0) -> Asked:
    return asked(wanted(1), number, model=model)


def working(store: Store) -> Journal:
    journal = owned(store)
    thread(journal)
    return journal


def test_what_is_in_flight_is_counted_over_all_runs_and_by_model(store: Store) -> None:
    one, two = working(store), working(store)
    assert ledger.reserve(one, of("m"), TWO) is None
    assert ledger.reserve(two, of("m"), TWO) is None
    assert ledger.reserve(two, of("m", 1), TWO) == Full("2 requests of m in flight")
    assert ledger.reserve(two, of("other", 1), TWO) is None
    assert states(store) == ["reserved"] * 3
    one.record_turn(turn(one), [])
    assert ledger.reserve(two, of("m", 2), TWO) is None


@pytest.mark.parametrize("end", [ledger.release, ledger.lose])
def test_what_was_broken_off_takes_no_room(
    store: Store, end: Callable[[Journal, str, int], None]
) -> None:
    journal = working(store)
    for number in (0, 1):
        assert ledger.reserve(journal, of("m", number), TWO) is None
    end(journal, "/", 1)
    assert ledger.reserve(journal, of("m", 2), TWO) is None


def test_a_run_that_nobody_works_on_takes_no_room(store: Store) -> None:
    let_go, dead, alive = working(store), working(store), working(store)
    for journal in (let_go, dead):
        assert ledger.reserve(journal, of("m"), TWO) is None
    assert isinstance(ledger.reserve(alive, of("m"), TWO), Full)
    let_go.release("queued", reason="interrupted")
    assert ledger.reserve(alive, of("m"), TWO) is None
    assert isinstance(ledger.reserve(alive, of("m", 1), TWO), Full)
    host, pid, _ = dead.row().owner.rsplit("/", 2)
    dead.set_run(owner=f"{host}/{pid}/0")  # a process that was there before this one
    assert ledger.reserve(alive, of("m", 1), TWO) is None


def test_what_was_begun_in_the_last_minute_counts_whatever_became_of_it(store: Store) -> None:
    journal = working(store)
    three = Around(room=ModelLimits(per_minute=3))
    for number in range(3):
        assert ledger.reserve(journal, of("m", number), three) is None
    ledger.release(journal, "/", 0)
    ledger.lose(journal, "/", 1)
    journal.record_turn(turn(journal, number=2), [])
    assert ledger.reserve(journal, of("m", 3), three) == Full("3 requests of m in the last minute")
    with store.writing() as connection:
        earlier = update(spend).where(spend.c.turn == 0)
        connection.execute(earlier.values(reserved_at=spend.c.reserved_at - 60))
    assert ledger.reserve(journal, of("m", 3), three) is None


def test_a_wall_is_told_before_the_lack_of_room(store: Store) -> None:
    journal = with_limits(store, limits(turns=1))
    one = Around(room=ModelLimits(concurrent=1))
    assert ledger.reserve(journal, of("m"), one) is None
    assert isinstance(ledger.reserve(journal, of("m", 1), one), Wall)
    last = replace(of("m", 1), over=True)
    assert isinstance(ledger.reserve(journal, last, one), Full)
