"""Is what a request may take set aside before it is sent, so that no limit is ever passed?"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from crews.errors import Fenced
from crews.records import ledger
from crews.records.journal import Journal
from crews.records.ledger import Wall
from crews.records.rows import NANO, dollars
from crews.records.runs import claim
from crews.records.store import Store, open_store
from crews.records.tables import spend
from crews.safety.budget import Spent
from crews.teams.spec import Limits
from tests.records.builders import limits, owned, thread, turn

NOW = (0.0, 0.0)


def wanted(tokens: int = 0, money: str | None = "0", turns: int = 1) -> Spent:
    return Spent(tokens=tokens, money=None if money is None else Decimal(money), turns=turns)


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
    assert ledger.reserve(journal, "/", 0, wanted(60), NOW) is None
    wall = ledger.reserve(journal, "/", 1, wanted(41), NOW)
    assert wall is not None
    assert (wall.scope, wall.breach.kind, wall.breach.limit) == ("run", "tokens", 100)
    assert (wall.breach.spent, wall.breach.wanted) == (60, 41)
    assert ledger.reserve(journal, "/", 1, wanted(40), NOW) is None
    assert states(store) == ["reserved", "reserved"]


def test_an_answer_turns_the_reservation_into_what_it_took(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, "/", 0, wanted(90), NOW)
    journal.record_turn(turn(journal), [])  # it took 10
    assert states(store) == ["settled"]
    assert ledger.reserve(journal, "/", 1, wanted(90), NOW) is None


def test_a_reservation_that_is_given_back_counts_no_more(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, "/", 0, wanted(90), NOW)
    ledger.release(journal, "/", 0)
    assert states(store) == ["released"]
    assert ledger.reserve(journal, "/", 1, wanted(90), NOW) is None


def test_what_is_settled_cannot_be_given_back(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, "/", 0, wanted(90), NOW)
    journal.record_turn(turn(journal), [])
    ledger.release(journal, "/", 0)
    assert states(store) == ["settled"]


def test_what_a_dead_owner_had_reserved_counts_as_spent_for_ever(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    ledger.reserve(journal, "/", 0, wanted(90), NOW)
    again = Journal(store, journal.run, claim(store, journal.run))
    assert ledger.reserve(again, "/", 0, wanted(11), NOW) is not None
    assert ledger.reserve(again, "/", 0, wanted(10), NOW) is None  # the same turn, bought again
    again.record_turn(turn(again, money=1), [])
    assert states(store) == ["lost", "settled"]
    with pytest.raises(Fenced):
        ledger.release(journal, "/", 0)
    assert ledger.reserve(again, "/", 1, wanted(1), NOW) is not None


@pytest.mark.parametrize("kind", ["turns", "calls", "wall_seconds"])
def test_every_other_limit_is_a_wall_too(store: Store, kind: str) -> None:
    journal = with_limits(store, limits(**{kind: 1}))
    journal.set_run(calls=2 if kind == "calls" else 0)
    journal.record_turn(turn(journal, number=0), [])
    found = ledger.reserve(journal, "/", 1, wanted(1), (1.5, 0.0))
    assert found is not None
    assert found.breach.kind == kind


def test_a_threads_own_limit_is_its_own(store: Store) -> None:
    journal = with_limits(store, limits(tokens=1000), limits(tokens=50))
    thread(journal, "/0.0")
    found = ledger.reserve(journal, "/", 0, wanted(60), NOW)
    assert isinstance(found, Wall)
    assert found.scope == "thread"
    assert ledger.reserve(journal, "/0.0", 0, wanted(60), NOW) is None
    assert ledger.reserve(journal, "/", 0, wanted(50), NOW) is None


def test_money_is_kept_to_the_nano_dollar(store: Store) -> None:
    journal = with_limits(store, limits(money="0.000000003"))
    assert ledger.reserve(journal, "/", 0, wanted(money="0.000000002"), NOW) is None
    assert ledger.reserve(journal, "/", 1, wanted(money="0.000000002"), NOW) is not None
    assert ledger.reserve(journal, "/", 1, wanted(money="0.000000001"), NOW) is None


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
        ledger.reserve(journal, "/0.0", 0, wanted(money=None), NOW)
        journal.set_limits(limits(money="1000000"))
    found = ledger.reserve(journal, "/", 1, wanted(money=price), NOW)
    assert found is not None
    assert found.breach.kind == "money"
    assert "price of a model is not known" in found.breach.message


def test_an_unknown_price_is_nothing_to_a_limit_of_tokens(store: Store) -> None:
    journal = with_limits(store, limits(tokens=100))
    assert ledger.reserve(journal, "/", 0, wanted(50, None), NOW) is None


def test_an_extension_moves_the_wall(store: Store) -> None:
    journal = with_limits(store, limits(tokens=10))
    assert ledger.reserve(journal, "/", 0, wanted(20), NOW) is not None
    journal.set_limits(limits(tokens=20))
    assert ledger.reserve(journal, "/", 0, wanted(20), NOW) is None


TOKENS, MONEY, TURNS, OWN = 60, 50, 12, 35


class LedgerMachine(RuleBasedStateMachine):
    """Requests of several threads, answers, failures and crashes in any order pass no limit."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(f"sqlite:///{Path(self.folder.name) / 'crews.db'}")
        walls = limits(tokens=TOKENS, money=dollars(MONEY), turns=TURNS)
        self.journal = owned(self.store, limits=walls)
        for path in ("/a", "/b"):
            own = limits(tokens=OWN).model_dump_json()
            thread(self.journal, path, limits=own)
        self.next = defaultdict[str, int](int)
        self.open: dict[str, tuple[int, int]] = {}
        self.spent: list[tuple[str, int, int]] = []  # thread, tokens, nano-dollars

    def committed(self, path: str = "") -> tuple[int, int, int]:
        rows = [*self.spent, *((p, *amount) for p, amount in self.open.items())]
        mine = [r for r in rows if path in ("", r[0])]
        return sum(r[1] for r in mine), sum(r[2] for r in mine), len(mine)

    @rule(path=st.sampled_from(["/a", "/b"]), tokens=st.integers(1, 25), money=st.integers(0, 25))
    def ask(self, path: str, tokens: int, money: int) -> None:
        if path in self.open:
            return
        amount = Spent(tokens=tokens, money=dollars(money), turns=1)
        wall = ledger.reserve(self.journal, path, self.next[path], amount, NOW)
        spent, paid, turns = self.committed()
        own, _, _ = self.committed(path)
        fits = spent + tokens <= TOKENS and paid + money <= MONEY and turns + 1 <= TURNS
        assert (wall is None) == (fits and own + tokens <= OWN)
        if wall is None:
            self.open[path] = (tokens, money)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.open)))
        tokens, money = self.open.pop(path)
        took, paid = data.draw(st.integers(0, tokens)), data.draw(st.integers(0, money))
        number = self.next[path]
        row = turn(
            self.journal, path, number, input_tokens=took, output_tokens=0, money=paid,
            cache_write_tokens=0, cache_read_tokens=0,
        )  # fmt: skip
        self.journal.record_turn(row, [])
        self.next[path] += 1
        self.spent.append((path, took, paid))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        path = data.draw(st.sampled_from(sorted(self.open)))
        del self.open[path]
        ledger.release(self.journal, path, self.next[path])
        self.next[path] += 1

    @rule()
    def crash(self) -> None:
        run = self.journal.run
        self.journal = Journal(self.store, run, claim(self.store, run))
        self.spent += [(p, *amount) for p, amount in self.open.items()]
        self.open = {}

    @invariant()
    def no_limit_is_passed(self) -> None:
        row = self.journal.row()
        assert row.tokens <= TOKENS
        assert row.money <= MONEY
        assert row.turns <= TURNS
        assert dollars(row.money) == Decimal(row.money) / NANO

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
