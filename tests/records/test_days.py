"""Is a team's day one wall for all its runs, moved once by whoever approves first?"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select, update

from crews.records import audit, days, inbox, ledger
from crews.records.days import DayRow, day_of
from crews.records.journal import Journal
from crews.records.ledger import Around, Asked, Full, Wall
from crews.records.owner import this_process
from crews.records.rows import NANO, RunOptions, dollars
from crews.records.runs import claim, get_run, new_run
from crews.records.store import Store, open_store
from crews.records.tables import runs, spend, team_days
from crews.records.workers import clock
from crews.safety.budget import Spent
from crews.settings import ModelLimits
from tests.records.builders import child, ended, limits, owned, question, team, thread, turn

DAILY = dollars(100)
DAY = Around(daily=DAILY)


def begun(store: Store, name: str = "small") -> Journal:
    """A run of that team, with one thread."""
    spec = team().model_copy(update={"name": name})
    run = new_run(store, goal="Do it", inputs={}, team=spec, options=RunOptions())
    journal = Journal(store, run.id, claim(store, run.id))
    thread(journal)
    return journal


def asked(nano: int | None, number: int = 0, model: str = "m-1", path: str = "/") -> Asked:
    """A request that may cost so many nano-dollars."""
    return Asked(path, number, Spent(money=None if nano is None else dollars(nano), turns=1), model)


def today(store: Store) -> str:
    with store.reading() as connection:
        return day_of(clock(connection))


def spent(store: Store, name: str = "small") -> DayRow:
    with store.reading() as connection:
        return days.get_day(connection, name, day_of(clock(connection)))


def yesterday(store: Store) -> None:
    """Everything that happened so far happened a day earlier."""
    before = date.fromisoformat(today(store)) - timedelta(days=1)
    with store.writing() as connection:
        connection.execute(update(team_days).values(day=before.isoformat()))
        connection.execute(update(spend).values(reserved_at=spend.c.reserved_at - days.SECONDS))


def answer(journal: Journal, nano: int | None, number: int = 0) -> None:
    journal.record_turn(turn(journal, number=number, money=nano), [])


def test_all_runs_of_a_team_share_its_day(store: Store) -> None:
    one, two, other = begun(store), begun(store), begun(store, "another")
    assert ledger.reserve(one, asked(60), DAY) is None
    wall = ledger.reserve(two, asked(101), DAY)
    assert isinstance(wall, Wall)
    assert (wall.scope, wall.day, wall.breach.kind) == ("team", today(store), "money")
    assert (wall.breach.limit, wall.breach.spent) == (DAILY, dollars(60))
    assert ledger.reserve(other, asked(60), DAY) is None
    answer(one, 10)
    assert spent(store) == DayRow("small", today(store), money=10)
    assert ledger.reserve(two, asked(90), DAY) is None
    assert ledger.reserve(one, asked(1, 1), DAY) is not None


def test_what_runs_in_flight_may_leave_of_the_day_is_waited_for_before_anyone_is_asked(
    store: Store,
) -> None:
    one, two = begun(store), begun(store)
    assert ledger.reserve(one, asked(60), DAY) is None
    assert isinstance(ledger.reserve(two, asked(60), DAY), Full)
    with store.writing() as connection:  # nobody lives who could settle it
        mine = runs.c.id == one.run
        connection.execute(update(runs).where(mine).values(owner="gone:1:1"))
    assert isinstance(ledger.reserve(two, asked(60), DAY), Wall)
    with store.writing() as connection:
        connection.execute(update(runs).where(mine).values(owner=this_process()))
    answer(one, 30)
    assert isinstance(ledger.reserve(two, asked(71), DAY), Wall)
    assert ledger.reserve(two, asked(70), DAY) is None


def test_what_a_death_cut_off_counts_against_the_day_and_what_was_refused_does_not(
    store: Store,
) -> None:
    one, two = begun(store), begun(store)
    ledger.reserve(one, asked(40), DAY)
    ledger.reserve(two, asked(50), DAY)
    claim(store, one.run)
    ledger.release(two, "/", 0)
    assert isinstance(ledger.reserve(two, asked(61, 1), DAY), Wall)
    assert ledger.reserve(two, asked(60, 1), DAY) is None
    assert spent(store).money == 0


@pytest.mark.parametrize("where", ["of this request", "of one that was made", "of one under way"])
def test_an_unknown_price_passes_no_limit_of_a_day(store: Store, where: str) -> None:
    one, two = begun(store), begun(store)
    price: int | None = 1
    if where == "of this request":
        price = None
    else:
        assert ledger.reserve(one, asked(None)) is None
    if where == "of one that was made":
        answer(one, None)
        assert not spent(store).money_known
    wall = ledger.reserve(two, asked(price), DAY)
    assert isinstance(wall, Wall)
    assert "price of a model is not known" in wall.breach.message


def move(journal: Journal, was: Decimal, to: Decimal | None, review: str = "r") -> bool:
    day = today(journal.store)
    return days.extend(journal, "small", day, daily=DAILY, was=was, to=to, review=review)


def test_a_day_is_extended_once_for_all_and_only_that_day(store: Store) -> None:
    one, two = begun(store), begun(store)
    ledger.reserve(one, asked(100), DAY)
    assert move(one, DAILY, DAILY * 2)
    assert not move(two, DAILY, DAILY * 2)  # somebody said so already
    assert isinstance(ledger.reserve(two, asked(101), DAY), Full)
    assert ledger.reserve(two, asked(100), DAY) is None
    assert [e.kind for e in audit.entries(store, one.run)].count("day_extended") == 1
    yesterday(store)
    assert isinstance(ledger.reserve(two, asked(101, 1), DAY), Wall)


def test_a_day_whose_limit_was_lifted_has_none(store: Store) -> None:
    journal = begun(store)
    assert move(journal, DAILY, None)
    assert ledger.reserve(journal, asked(None), DAY) is None
    assert not move(journal, DAILY, DAILY * 2)
    assert spent(store).lifted


def test_the_questions_of_others_about_the_day_are_answered_by_it(store: Store) -> None:
    one, two, other = begun(store), begun(store), begun(store, "another")
    day = today(store)
    about = question("budget", address=days.address(day, DAILY))
    own = question("budget", address="run#money>1")
    reviews = [inbox.open_review(j, q) for j in (two, other) for q in (about, own)]
    for journal in (two, other):
        journal.release("waiting")
    assert move(one, DAILY, DAILY * 2, "one-1")
    states = [inbox.get_review(store, r.id).state for r in reviews]
    assert states == ["void", "open", "open", "open"]
    assert [get_run(store, j.run).status for j in (two, other)] == ["queued", "waiting"]
    (entry,) = [e for e in audit.entries(store, two.run) if e.kind == "review_void"]
    assert "moved at review one-1" in entry.body
    assert audit.first_break(store) is None


def test_an_address_says_what_it_is_about() -> None:
    assert days.is_about(days.address("2026-01-31", Decimal("1.5"))) == (
        "2026-01-31",
        Decimal("1.5"),
    )
    for other in ("run#money>1.5", "/0.1#money>1", "team#tokens@2026-01-31>1", "/:0.0"):
        assert days.is_about(other) is None


def test_the_newest_days_are_listed(store: Store) -> None:
    with store.writing() as connection:
        for day, name in itertools.product(("2026-01-31", "2026-02-01"), ("b", "a")):
            days.add(connection, name, day, 5)
        days.add(connection, "a", "2026-02-01", None)
    found = days.list_days(store, 1)
    assert [(d.team, d.money, d.money_known) for d in found] == [("a", 5, False), ("b", 5, True)]
    assert len(days.list_days(store)) == 4


HAMMER = """
import sys
from crews.records import ledger
from crews.records.journal import Journal
from crews.records.store import open_store
from tests.records.test_days import DAILY, asked
from crews.records.ledger import Around
from crews.settings import ModelLimits

url, run = sys.argv[1:]
around = Around(DAILY, ModelLimits(concurrent=25))
with open_store(url) as store:
    journal = Journal(store, run, 1)
    print(sum(ledger.reserve(journal, asked(3, n), around) is None for n in range(30)))
"""


def test_processes_cannot_pass_a_limit_together(url: str, store: Store) -> None:
    journals = [begun(store), begun(store)]
    counts = [int(n) for n in ended([child(HAMMER, url, j.run) for j in journals])]
    assert sum(counts) == 25
    assert min(counts) > 0 or max(counts) == 25
    with store.writing() as connection:
        connection.execute(update(runs).values(status="waiting"))  # none is in flight any more
    with open_store(url) as again:
        granted = [ledger.reserve(begun(again), asked(3, n), DAY) is None for n in range(20)]
    assert sum(granted) == 33 - 25


# -- in any order ---------------------------------------------------------------------------------

ROOM = {"m-1": ModelLimits(concurrent=2), "m-2": ModelLimits(per_minute=4)}
numbers = itertools.count()


class DaysMachine(RuleBasedStateMachine):
    """Requests of several runs of two teams, answers, failures, deaths and approvals in any order."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        unique = next(numbers)
        self.daily = {f"a{unique}": 40, f"b{unique}": 25}
        self.models = {f"{name}-{unique}": room for name, room in ROOM.items()}
        self.journals = [begun(store, name) for name in (*self.daily, f"a{unique}")]
        self.next = 0
        self.open: dict[tuple[int, int], tuple[int, str]] = {}  # run, turn: nano-dollars, model
        self.settled = defaultdict[str, int](int)
        self.lost = defaultdict[str, int](int)
        self.allowed = dict(self.daily)
        self.begun = defaultdict[str, int](int)
        self.excess = defaultdict[str, int](int)  # what was sent beyond a wall, as a human decided

    def team(self, run: int) -> str:
        return [*self.daily, next(iter(self.daily))][run]

    def committed(self, name: str) -> int:
        held = sum(nano for (run, _), (nano, _) in self.open.items() if self.team(run) == name)
        return self.settled[name] + self.lost[name] + held

    def full(self, model: str) -> bool:
        room = self.models[model]
        flying = sum(m == model for _, m in self.open.values())
        concurrent, minute = room.concurrent or 10**6, room.per_minute or 10**6
        return flying >= concurrent or self.begun[model] >= minute

    @rule(run=st.integers(0, 2), nano=st.integers(0, 20), which=st.sampled_from(["m-1", "m-2"]),
          over=st.booleans())  # fmt: skip
    def ask(self, run: int, nano: int, which: str, over: bool) -> None:
        name, turn_number = self.team(run), self.next
        model = next(m for m in self.models if m.startswith(which))
        request = replace(asked(nano, turn_number, model), over=over)
        around = Around(dollars(self.daily[name]), self.models[model])
        found = ledger.reserve(self.journals[run], request, around)
        short = self.committed(name) + nano > self.allowed[name] and not over
        least = self.settled[name] + self.lost[name]
        walled = short and least + nano > self.allowed[name]
        assert isinstance(found, Wall) == walled
        assert isinstance(found, Full) == (not walled and (short or self.full(model)))
        if found is None:
            self.excess[name] += nano if over else 0
            self.open[run, turn_number] = (nano, model)
            self.begun[model] += 1
            self.next += 1

    def drawn(self, data: st.DataObject) -> tuple[int, int, int]:
        run, number = data.draw(st.sampled_from(sorted(self.open)))
        return run, number, self.open.pop((run, number))[0]

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        run, number, nano = self.drawn(data)
        took = data.draw(st.integers(0, nano))
        answer(self.journals[run], took, number)
        self.settled[self.team(run)] += took

    @precondition(lambda self: self.open)
    @rule(data=st.data(), billed=st.booleans())
    def fail(self, data: st.DataObject, billed: bool) -> None:
        run, number, nano = self.drawn(data)
        (ledger.lose if billed else ledger.release)(self.journals[run], "/", number)
        self.lost[self.team(run)] += nano if billed else 0

    @rule(run=st.integers(0, 2))
    def die(self, run: int) -> None:
        mine = self.journals[run].run
        self.journals[run] = Journal(self.store, mine, claim(self.store, mine))
        for key in [k for k in self.open if k[0] == run]:
            self.lost[self.team(run)] += self.open.pop(key)[0]

    @rule(run=st.integers(0, 2), stale=st.booleans())
    def approve(self, run: int, stale: bool) -> None:
        name = self.team(run)
        was = self.allowed[name] - (1 if stale else 0)
        moved = days.extend(
            self.journals[run], name, today(self.store), daily=dollars(self.daily[name]),
            was=dollars(was), to=dollars(was + self.daily[name]), review="r",
        )  # fmt: skip
        assert moved is not stale
        if moved:
            self.allowed[name] += self.daily[name]

    @invariant()
    def sums_are_the_rows_and_hold(self) -> None:
        for name in self.daily:
            day = spent(self.store, name)
            assert day.money == self.settled[name] == self.rows(name, "settled")
            held = self.rows(name, "reserved") + self.rows(name, "lost")
            assert day.money + held == self.committed(name)
            assert day.money + held <= self.allowed[name] + self.excess[name]
            assert day.limit(dollars(self.daily[name])) == Decimal(self.allowed[name]) / NANO

    def rows(self, name: str, state: str) -> int:
        query = select(func.sum(spend.c.money)).join(runs, runs.c.id == spend.c.run)
        mine = (runs.c.team_name == name) & (spend.c.state == state)
        with self.store.reading() as connection:
            return int(connection.execute(query.where(mine)).scalar() or 0)


def test_no_wall_of_a_day_is_passed_without_an_approval(store: Store) -> None:
    run_state_machine_as_test(
        lambda: DaysMachine(store),  # type: ignore[arg-type]
        settings=settings(max_examples=6, stateful_step_count=20, deadline=None),
    )


def test_a_run_without_a_daily_limit_is_counted_all_the_same(store: Store) -> None:
    journal = owned(store, limits=limits(tokens=1000))
    thread(journal)
    ledger.reserve(journal, asked(5))
    answer(journal, 5)
    assert spent(store).money == 5
