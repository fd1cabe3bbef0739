"""Do all runs, threads and connections together stay under every limit, in whatever order things happen?"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from crews.records import days, ledger
from crews.records.journal import Journal
from crews.records.ledger import Around, Asked
from crews.records.rows import NANO, dollars
from crews.records.runs import claim
from crews.records.store import Store, open_store
from crews.safety.budget import Spent
from tests.records.builders import limits, owned, thread, turn

TOKENS, MONEY, TURNS, OWN, DAILY = 60, 50, 12, 35, 80
PATHS = ("/a", "/b")


@dataclass
class _Run:
    """A run as it should be: what it set aside, and what it has taken or lost."""

    id: str
    epoch: int
    walls: dict[str, int]
    next: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    open: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    spent: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])

    def committed(self, path: str = "") -> tuple[int, int, int]:
        """Tokens, nano-dollars and requests."""
        rows = [*self.spent, *((p, *amount) for p, amount in self.open.items())]
        mine = [r for r in rows if path in ("", r[0])]
        return sum(r[1] for r in mine), sum(r[2] for r in mine), len(mine)


class BudgetMachine(RuleBasedStateMachine):
    """Requests of two runs of a team, each with two threads, over two connections."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'crews.db'}"
        self.stores = (open_store(url), open_store(url))
        self.runs = tuple(self.begun() for _ in range(2))

    def begun(self) -> _Run:
        walls = limits(tokens=TOKENS, money=dollars(MONEY), turns=TURNS)
        journal = owned(self.stores[0], limits=walls)
        for path in PATHS:
            thread(journal, path, limits=limits(tokens=OWN).model_dump_json())
        return _Run(journal.run, journal.epoch, {"tokens": TOKENS, "money": MONEY})

    def journal(self, run: _Run, data: st.DataObject) -> Journal:
        """The run's, over either connection."""
        store = self.stores[data.draw(st.integers(0, 1), "connection")]
        return Journal(store, run.id, run.epoch)

    def under_way(self, data: st.DataObject) -> tuple[_Run, str]:
        found = [(run, path) for run in self.runs for path in sorted(run.open)]
        return found[data.draw(st.integers(0, len(found) - 1), "request")]

    @property
    def some_under_way(self) -> bool:
        return any(run.open for run in self.runs)

    @rule(
        data=st.data(),
        number=st.integers(0, 1),
        path=st.sampled_from(PATHS),
        tokens=st.integers(1, 25),
        money=st.integers(0, 25),
    )
    def ask(self, data: st.DataObject, number: int, path: str, tokens: int, money: int) -> None:
        run = self.runs[number]
        if path in run.open:
            return
        amount = Spent(tokens=tokens, money=dollars(money), turns=1)
        asked = Asked(path, run.next[path], amount, model="m-1")
        refused = ledger.reserve(self.journal(run, data), asked, Around(dollars(DAILY)))
        spent, paid, turns = run.committed()
        fits = spent + tokens <= run.walls["tokens"] and paid + money <= run.walls["money"]
        fits = fits and turns + 1 <= TURNS and run.committed(path)[0] + tokens <= OWN
        fits = fits and sum(r.committed()[1] for r in self.runs) + money <= DAILY
        assert (refused is None) == fits
        if refused is None:
            run.open[path] = (tokens, money)

    @precondition(lambda self: self.some_under_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        run, path = self.under_way(data)
        tokens, money = run.open.pop(path)
        took, paid = data.draw(st.integers(0, tokens)), data.draw(st.integers(0, money))
        journal = self.journal(run, data)
        row = turn(
            journal, path, run.next[path], input_tokens=took, output_tokens=0, money=paid,
            cache_write_tokens=0, cache_read_tokens=0,
        )  # fmt: skip
        journal.record_turn(row, [])
        run.next[path] += 1
        run.spent.append((path, took, paid))

    @precondition(lambda self: self.some_under_way)
    @rule(data=st.data())
    def refused_by_the_model(self, data: st.DataObject) -> None:
        run, path = self.under_way(data)
        del run.open[path]
        ledger.release(self.journal(run, data), path, run.next[path])
        run.next[path] += 1

    @precondition(lambda self: self.some_under_way)
    @rule(data=st.data())
    def broken_off(self, data: st.DataObject) -> None:
        """It may have been billed; the same turn is asked for again, or never."""
        run, path = self.under_way(data)
        ledger.lose(self.journal(run, data), path, run.next[path])
        run.spent.append((path, *run.open.pop(path)))

    @rule(data=st.data(), number=st.integers(0, 1))
    def taken_over(self, data: st.DataObject, number: int) -> None:
        run = self.runs[number]
        run.epoch = claim(self.journal(run, data).store, run.id)
        run.spent += [(path, *amount) for path, amount in run.open.items()]
        run.open = {}

    @rule(data=st.data(), number=st.integers(0, 1), more=st.integers(1, 20))
    def extended(self, data: st.DataObject, number: int, more: int) -> None:
        """By a human."""
        run = self.runs[number]
        run.walls = {kind: limit + more for kind, limit in run.walls.items()}
        tokens, money = run.walls["tokens"], dollars(run.walls["money"])
        moved = limits(tokens=tokens, money=money, turns=TURNS)
        self.journal(run, data).set_limits(moved, None)

    @invariant()
    def no_limit_is_passed(self) -> None:
        for run in self.runs:
            journal = Journal(self.stores[0], run.id, run.epoch)
            row = journal.row()
            assert row.tokens <= run.walls["tokens"]
            assert row.money <= run.walls["money"]
            assert row.turns <= TURNS
            assert dollars(row.money) == Decimal(row.money) / NANO
            assert all(t.tokens <= OWN for t in journal.threads())
        for day in days.list_days(self.stores[1]):
            with self.stores[1].reading() as connection:
                held = days.committed(connection, day)
            assert held.money is not None
            assert held.money <= dollars(DAILY)

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.folder.cleanup()


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)


def test_requests_that_are_made_at_once_pass_no_limit_together(store: Store, url: str) -> None:
    """Four threads, each with a connection of its own, over one run's wall and their team's day."""
    ours = [owned(store, limits=limits(tokens=400)) for _ in range(2)]
    for journal in ours:
        for number in range(2):
            thread(journal, f"/{number}")
    around = Around(Decimal("0.000000500"))

    def work(journal: Journal, path: str) -> int:
        mine = open_store(url)
        try:
            own, done = Journal(mine, journal.run, journal.epoch), 0
            for number in range(40):
                amount = Spent(tokens=20, money=dollars(20), turns=1)
                asked = Asked(path, number, amount, model="m-1")
                if ledger.reserve(own, asked, around) is None:
                    own.record_turn(turn(own, path, number), [])  # it took 10, and 7 nano-dollars
                    done += 1
            return done
        finally:
            mine.close()

    with ThreadPoolExecutor(4) as pool:
        works = [pool.submit(work, journal, f"/{n}") for journal in ours for n in range(2)]
        done = [w.result() for w in works]
    rows = [journal.row() for journal in ours]
    assert [row.tokens for row in rows] == [10 * sum(done[:2]), 10 * sum(done[2:])]
    assert all(380 < row.tokens <= 400 for row in rows) or sum(r.money for r in rows) > 480
    assert all(row.tokens <= 400 for row in rows)
    assert sum(row.money for row in rows) <= 500
