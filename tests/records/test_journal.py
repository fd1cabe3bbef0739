"""Does the journal keep every step whole, for its owner alone, with totals that are sums?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import func, select

from crews.errors import Fenced, StoreError
from crews.records import audit, inbox, ledger
from crews.records.journal import Journal
from crews.records.ledger import Asked
from crews.records.rows import CallRow, CallState, HandOver
from crews.records.runs import claim
from crews.records.steps import Step
from crews.records.store import Store, open_store
from crews.records.tables import calls, metadata, runs, turns
from crews.safety.action import Finding, Verdict
from crews.safety.budget import Spent
from tests.records.builders import call, limits, owned, question, run_of, thread, turn

Write = Callable[[Journal], object]

WRITES: dict[str, Write] = {
    "set_run": lambda j: j.set_run(summary="mine"),
    "release": lambda j: j.release("completed"),
    "note": lambda j: j.note("note", {}),
    "begin_thread": lambda j: thread(j, "/9.9"),
    "set_thread": lambda j: j.set_thread("/", step="x"),
    "compact_thread": lambda j: j.compact_thread("/", 1, 100),
    "end_thread": lambda j: (j.end_thread("/", HandOver(summary="mine")), j.flush()),
    "add_working_time": lambda j: j.add_working_time("/", (1.0, 1.0)),
    "record_turn": lambda j: j.record_turn(turn(j, number=1), [call(j, turn=1)]),
    "set_notice": lambda j: j.set_notice("/", 0, "mine"),
    "set_call": lambda j: j.set_call(call(j), state="done"),
    "set_call_later": lambda j: (j.set_call_later(call(j), told=print, state="done"), j.flush()),
    "rule_call": lambda j: j.rule_call(call(j), Verdict("deny", "r", "why"), "ann"),
    "set_limits of the run": lambda j: j.set_limits(limits(turns=9)),
    "set_limits of a thread": lambda j: j.set_limits(limits(turns=9), "/"),
    "open_review": lambda j: inbox.open_review(j, question(), state="waiting"),
    "void_review": lambda j: inbox.void_review(
        j, inbox.list_reviews(j.store, run=j.run)[0], "mine"
    ),
    "reserve": lambda j: ledger.reserve(j, Asked("/", 1, Spent(tokens=1, turns=1))),
    "give a reservation back": lambda j: ledger.release(j, "/", 0),
}


def started(store: Store) -> Journal:
    """A run with one turn, one call, one review and one reservation."""
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal)])
    inbox.open_review(journal, question())
    ledger.reserve(journal, Asked("/", 0, Spent(tokens=1, turns=1)))
    return journal


ALL = metadata.sorted_tables


def everything(store: Store) -> str:
    with store.reading() as connection:
        found = {t.name: sorted(map(repr, connection.execute(select(t)))) for t in ALL}
    return repr(found)


def test_every_way_to_write_is_tried() -> None:
    reads = {
        "writing",
        "row",
        "totals",
        "calls_left",
        "stop_asked",
        "thread",
        "threads",
        "turns",
        "calls",
        "calls_before",
        "call",
    }
    public = {n for n in vars(Journal) if not n.startswith("_")} - reads
    assert public == {n.partition(" ")[0] for n in WRITES} & set(vars(Journal))


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
def test_who_lost_the_run_can_write_nothing(store: Store, write: Write) -> None:
    old = started(store)
    claim(store, old.run)
    before = everything(store)
    with pytest.raises(Fenced):
        write(old)
    assert everything(store) == before


@pytest.mark.parametrize("write", list(WRITES.values()), ids=list(WRITES))
def test_the_owner_can(store: Store, write: Write) -> None:
    journal = started(store)
    before = everything(store)
    write(journal)
    assert everything(store) != before


def test_a_turn_is_kept_with_its_calls_its_totals_and_its_audit_entry(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal, place=0), call(journal, place=1)])
    row, own = journal.row(), journal.thread("/")
    assert own is not None
    for counted in (row, own):
        assert (counted.tokens, counted.money, counted.money_known) == (10, 7, True)
        assert (counted.turns, counted.calls) == (1, 2)
    assert [c.address for c in journal.calls("/")] == ["/:0.0", "/:0.1"]
    assert audit.entries(store, journal.run)[-1].kind == "model_request"


@pytest.mark.parametrize("fault", ["the turn again", "a call twice", "no such run"])
def test_a_turn_that_cannot_be_kept_leaves_nothing(store: Store, fault: str) -> None:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal)])
    before = everything(store)
    wanted, proposed = turn(journal, number=1), [call(journal, turn=1)]
    if fault == "the turn again":
        wanted = turn(journal, number=0)
    elif fault == "a call twice":
        proposed = [*proposed, *proposed]
    else:
        proposed = [replace(proposed[0], run="nope")]
    with pytest.raises(StoreError):
        journal.record_turn(wanted, proposed)
    assert everything(store) == before


def test_one_unknown_price_makes_the_sum_unknown(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal, number=0, money=None), [])
    journal.record_turn(turn(journal, number=1), [])
    row = journal.row()
    assert (row.money, row.money_known) == (7, False)


def test_sums_of_money_are_exact(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    tenth_of_a_cent = 1_000_000
    for number in range(30):
        journal.record_turn(turn(journal, number=number, money=tenth_of_a_cent + 1), [])
    assert journal.row().money == 30 * tenth_of_a_cent + 30


def test_blocks_come_back_as_they_came(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    content = '[{"signature":"c2ln\\/==","thinking":"  né \\u0000\\ud83d","type":"thinking"}]'
    journal.record_turn(turn(journal, blocks=content), [])
    [row] = journal.turns("/")
    assert row.blocks == content


def test_a_call_is_found_by_its_place(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal, place=n, tool=f"t{n}") for n in range(3)])
    found = journal.call("/", 0, 2)
    assert found is not None
    assert found.tool == "t2"
    assert journal.call("/", 0, 3) is None
    assert journal.call("/", 1, 0) is None
    assert journal.call("/0.0", 0, 0) is None
    assert len(journal.calls("/", 0)) == len(journal.calls()) == 3


def test_a_ruling_is_kept_before_anything_else_and_can_be_audited(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal)])
    verdict = Verdict("ask", "careful", "it hurts", (Finding("auth", "a.py", 3, "token"),))
    row = journal.rule_call(call(journal), verdict, "ann")
    assert row == journal.call("/", 0, 0)
    assert (row.ruling, row.rule, row.reason, row.state) == (
        "ask",
        "careful",
        "it hurts",
        "proposed",
    )
    assert json.loads(row.findings)[0]["line"] == 3
    entry = audit.entries(store, journal.run)[-1]
    assert entry.kind == "verdict"
    body = json.loads(entry.body)
    assert (body["call"], body["agent"], body["ruling"]) == ("/:0.0", "ann", "ask")


def test_a_hand_over_ends_a_thread(store: Store) -> None:
    journal = owned(store)
    thread(journal)
    handover = HandOver(summary="done", confidence=0.5, verdict="approve")
    journal.end_thread("/", handover, flags=["odd"], hash_after="h")
    row = journal.thread("/")
    assert row is not None
    assert (row.state, row.outcome, row.flagged, row.hash_after) == (
        "done",
        handover,
        ("odd",),
        "h",
    )
    assert row.ended_at is not None


def test_a_run_that_completes_closes_its_questions(store: Store) -> None:
    journal = owned(store)
    left, other = owned(store), inbox.open_review(journal, question(address="/#x"))
    kept = inbox.open_review(left, question(address="/#x"))
    journal.release("completed", exit_code=0)
    left.release("failed", exit_code=1)  # it can be resumed
    assert inbox.get_review(store, other.id).state == "void"
    assert inbox.get_review(store, kept.id).state == "open"


STARTED = Step("effect_started", {})
STATES: tuple[CallState, ...] = ("waiting", "started", "done", "failed", "denied", "unknown")


class JournalMachine(RuleBasedStateMachine):
    """Turns, calls and claims in any order: what is recorded adds up, and nobody fenced adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(f"sqlite:///{Path(self.folder.name) / 'crews.db'}")
        self.run = run_of(self.store).id
        self.owners = [Journal(self.store, self.run, claim(self.store, self.run))]
        self.paths: list[str] = []
        self.recorded: dict[tuple[str, int], int] = {}
        self.calls: dict[str, CallRow] = {}
        self.unknown = False

    @property
    def owner(self) -> Journal:
        return self.owners[-1]

    def try_all(self, write: Callable[[Journal], Any]) -> Any:
        """Former owners are refused; the present one's result counts."""
        for former in self.owners[:-1]:
            with pytest.raises(Fenced):
                write(former)
        return write(self.owner)

    @precondition(lambda self: len(self.owners) < 4)
    @rule()
    def take_over(self) -> None:
        self.owners.append(Journal(self.store, self.run, claim(self.store, self.run)))

    @precondition(lambda self: len(self.paths) < 3)
    @rule()
    def begin(self) -> None:
        path = f"/{len(self.paths)}.0"
        self.try_all(lambda journal: thread(journal, path))
        self.paths.append(path)

    @precondition(lambda self: self.paths)
    @rule(data=st.data(), places=st.integers(0, 3), money=st.none() | st.integers(0, 10**12))
    def record(self, data: st.DataObject, places: int, money: int | None) -> None:
        path = data.draw(st.sampled_from(self.paths))
        number = sum(p == path for p, _ in self.recorded)

        def write(journal: Journal) -> list[CallRow]:
            proposed = [call(journal, path, number, n) for n in range(places)]
            journal.record_turn(turn(journal, path, number, money=money), proposed)
            return proposed

        rows: list[CallRow] = self.try_all(write)
        self.recorded[path, number] = places
        self.calls |= {c.address: c for c in rows}
        self.unknown |= money is None

    @precondition(lambda self: self.recorded)
    @rule(data=st.data())
    def record_again(self, data: st.DataObject) -> None:
        path, number = data.draw(st.sampled_from(sorted(self.recorded)))
        with pytest.raises(StoreError):
            self.owner.record_turn(turn(self.owner, path, number), [])

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), state=st.sampled_from(STATES))
    def move(self, data: st.DataObject, state: CallState) -> None:
        row = self.calls[data.draw(st.sampled_from(sorted(self.calls)))]
        moved = self.try_all(lambda journal: journal.set_call(row, STARTED, state=state))
        self.calls[row.address] = moved

    @invariant()
    def totals_are_sums(self) -> None:
        row = self.owner.row()
        with self.store.reading() as connection:
            of_turns = connection.execute(
                select(
                    func.count(),
                    func.coalesce(func.sum(turns.c.money), 0),
                    func.coalesce(
                        func.sum(
                            turns.c.input_tokens
                            + turns.c.output_tokens
                            + turns.c.cache_write_tokens
                            + turns.c.cache_read_tokens
                        ),
                        0,
                    ),
                )
            ).one()
            count = connection.execute(select(func.count()).select_from(calls)).scalar()
            owner = connection.execute(select(runs.c.epoch)).scalar()
        assert (row.turns, row.money, row.tokens) == tuple(of_turns)
        assert row.calls == count == sum(self.recorded.values())
        assert row.money_known is not self.unknown
        assert owner == len(self.owners)
        threads = self.owner.threads()
        for counted in ("turns", "money", "tokens", "calls"):
            assert sum(getattr(t, counted) for t in threads) == getattr(row, counted)

    @invariant()
    def calls_are_as_they_were_left(self) -> None:
        assert {c.address: c for c in self.owner.calls()} == self.calls

    def teardown(self) -> None:
        assert audit.first_break(self.store) is None
        self.store.close()
        self.folder.cleanup()


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
