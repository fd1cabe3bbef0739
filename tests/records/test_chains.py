"""Is everybody in a chain asked, in order, for as long as was said, and does silence end in a denial?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, func, insert, literal, select, update

from crews.records import audit, chains
from crews.records.chains import BATCH, DEADLINE, UNANSWERED, due, for_rule, sweep
from crews.records.deciding import decide
from crews.records.questions import ReviewKind, ReviewRow
from crews.records.reviews import CHOICES, get_review, list_reviews
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.records.tables import reviews
from crews.teams.spec import Chain, PolicySpec, Rule, Stage
from tests.records.persons import asked, asked_of, begun, stages, told

KINDS: tuple[ReviewKind, ...] = get_args(ReviewKind)
LADDER = stages(("first", 100, 30), ("second", 50), ("third", 10))


# -- which chain ----------------------------------------------------------------------------------


def policy(*rules: Rule, default: bool = True) -> PolicySpec:
    named = (Chain(name="security", stages=LADDER), Chain(name="legal", stages=LADDER[:1]))
    own = (Chain(name="default", stages=LADDER[1:]),) if default else ()
    return PolicySpec(rules=rules, chains=(*named, *own))


def a_rule(name: str, chain: str = "", *, four_eyes: bool = False) -> Rule:
    return Rule(name=name, ruling="ask", chain=chain, four_eyes=four_eyes)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["plain", "a", "b"], (LADDER, True)),
        (["b", "a"], (LADDER[:1], True)),
        (["b"], (LADDER[:1], False)),
        (["plain"], (LADDER[1:], False)),
        (["default-external"], (LADDER[1:], False)),
        (["eyes", "b"], (LADDER[:1], True)),
        ([], (LADDER[1:], False)),
        (["lost"], (LADDER[1:], False)),
    ],
)
def test_the_first_rule_that_names_a_chain_says_who_is_asked(
    names: list[str], expected: tuple[tuple[Stage, ...], bool]
) -> None:
    """Any rule that wants four eyes gets them."""
    rules = (
        a_rule("a", "security", four_eyes=True),
        a_rule("b", "legal"),
        a_rule("plain"),
        a_rule("eyes", four_eyes=True),
        a_rule("lost", "nowhere"),
    )
    assert for_rule(policy(*rules), names) == expected


def test_one_rule_s_chain_does_not_speak_for_the_people_of_another() -> None:
    own, chained = Rule(name="own", ruling="ask", role="privacy"), a_rule("chained", "legal")
    both = for_rule(policy(own, chained, default=False), ["chained", "own"])[0]
    assert [s.role for s in both] == ["first, privacy"]
    # A chain of its own that names people speaks for the rule: its `role` is for where none does.
    assert for_rule(policy(own, chained), ["own"])[0] == LADDER[1:]
    assert for_rule(policy(own, chained), ["chained", "own"])[0] == LADDER[:1]


def test_without_a_chain_a_review_waits_for_as_long_as_it_takes(store: Store) -> None:
    assert for_rule(policy(a_rule("plain"), default=False), ["plain"]) == ((), False)
    review = asked(store)
    assert (review.due_at, review.remind_at, review.stages) == (None, None, ())
    assert sweep(store, review.opened_at + 1e9) == ()


# -- one review -----------------------------------------------------------------------------------


def test_the_first_stage_is_asked_first(store: Store) -> None:
    review = asked(store, chain=LADDER, role="by the rule")
    assert (review.stage, review.role, review.stages) == (0, "first", LADDER)
    assert review.due_at == review.opened_at + 100
    assert review.remind_at == review.opened_at + 30
    assert get_review(store, review.id) == review


def test_a_stage_that_names_nobody_loosens_nothing(store: Store) -> None:
    chain = stages(("", 10), ("second", 10), ("", 10))
    review = asked(store, chain=chain, role="by the rule")
    assert review.role == "by the rule"
    now, roles = review.opened_at, list[str]()
    for _ in range(2):
        now += 11
        roles.append(sweep(store, now)[0].role)
    assert roles == ["second", "second"]


def test_reminder_after_reminder_then_the_next_one_then_a_denial(store: Store) -> None:
    review = asked(store, chain=LADDER)
    start, heard = review.opened_at, list[tuple[float, str, str]]()
    for at in (0, 29, 31, 32, 62, 95, 101, 102, 152, 153, 163, 1000):
        sweep(store, start + at, lambda _, r, kind, at=at: heard.append((at, kind, r.role)))
    assert heard == [
        (31, "review_reminder", "first"),
        (62, "review_reminder", "first"),
        (95, "review_reminder", "first"),
        (101, "review_handed_up", "second"),
        (152, "review_handed_up", "third"),
        (163, "review_decided", "third"),
    ]
    row = get_review(store, review.id)
    assert (row.state, row.decision, row.answer) == ("decided", "reject", UNANSWERED)
    assert (row.decided_by, row.signed_in, row.decided_at) == (DEADLINE, "", start + 163)
    kinds = [e.kind for e in audit.entries(store, row.run) if e.kind.startswith("review_")]
    assert kinds == [
        "review_opened", *["review_reminder"] * 3, *["review_handed_up"] * 2, "review_decided",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_silence_refuses_or_ends_the_run(store: Store, kind: ReviewKind) -> None:
    journal = begun(store)
    review = asked_of(journal, kind=kind, chain=stages(("", 10)))
    journal.release("waiting")
    (row,) = sweep(store, review.opened_at + 10)
    assert row.decision == ("reject" if "reject" in CHOICES[kind] else "stop")
    assert row == get_review(store, review.id)
    assert get_run(store, row.run).status == "queued"
    (entry,) = told(store, "review_decided")
    assert (entry["by"], entry["answer"]) == (DEADLINE, UNANSWERED)


def test_a_denial_and_its_wake_up_are_one_step(store: Store) -> None:
    review = asked(store, chain=stages(("", 10)))

    def breaks(_: Connection, run: str) -> None:
        raise RuntimeError(run)

    with pytest.raises(RuntimeError):
        sweep(store, review.opened_at + 11, wake=breaks)
    assert get_review(store, review.id) == review


def test_a_sweep_that_comes_late_leaves_everybody_their_time(store: Store) -> None:
    review = asked(store, chain=LADDER)
    week = review.opened_at + 7 * 86400
    (row,) = sweep(store, week)
    assert (row.stage, row.state, row.due_at) == (1, "open", week + 50)
    assert sweep(store, week) == ()


def test_of_sweeps_at_once_each_step_is_made_by_one(store: Store) -> None:
    journal = begun(store)
    opened = [asked_of(journal, content_hash=f"{n:064}", chain=LADDER) for n in range(6)]
    start, done = threading.Barrier(4), list[str]()
    now = max(r.opened_at for r in opened) + 101

    def sweeper() -> None:
        start.wait()
        done.extend(r.id for r in sweep(store, now))

    threads = [threading.Thread(target=sweeper) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(done) == sorted(r.id for r in opened)
    assert len(told(store, "review_handed_up")) == len(opened)


def test_deadline_and_human_at_once_are_one_decision(store: Store) -> None:
    for _ in range(5):
        review = asked(store, chain=stages(("", 3600)))
        start = threading.Barrier(2)

        def late(review: ReviewRow = review, start: threading.Barrier = start) -> None:
            start.wait()
            sweep(store, review.opened_at + 3601)

        other = threading.Thread(target=late)
        other.start()
        start.wait()
        try:
            decide(store, review.id, "approve", by="ann")
        except Exception as error:  # noqa: BLE001 - the deadline was quicker, and says so
            assert DEADLINE in str(error)
        other.join()
        entries = told(store, "review_decided", review.run)
        assert [e["by"] for e in entries] == [get_review(store, review.id).decided_by]


# -- many reviews ---------------------------------------------------------------------------------


def test_a_sweep_finds_what_is_due_by_index(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'many.db'}") as store:
        review = asked(store, chain=LADDER)
        _copied(store, review, 3000)
        plans: list[str] = []
        with store.reading() as connection:
            for column in (reviews.c.due_at, reviews.c.remind_at):
                query = select(reviews.c.id).where(reviews.c.state == "open", column <= 1.0)
                text = str(query.compile(compile_kwargs={"literal_binds": True}))
                found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")
                plans += [str(row[3]) for row in found]
        assert ["reviews_by_due" in plans[0], "reviews_by_reminder" in plans[1]] == [True, True]
        assert due(store, review.opened_at) == ()


def test_more_than_one_batch_is_settled(store: Store) -> None:
    review = asked(store, chain=stages(("", 10)))
    _copied(store, review, BATCH + 20)
    assert len(sweep(store, review.opened_at + 11)) == BATCH + 21
    assert list_reviews(store) == ()


def _copied(store: Store, review: ReviewRow, number: int) -> None:
    """The same review so many times more."""
    others = {"id", "number", "content_hash"}
    same = [c for c in reviews.columns if c.name not in others]
    with store.writing() as connection:
        for n in range(2, number + 2):
            row = select(
                literal(f"{review.run}-{n}"), literal(n), literal(f"{n:064}"), *same
            ).where(reviews.c.id == review.id)
            names = ["id", "number", "content_hash", *(c.name for c in same)]
            connection.execute(insert(reviews).from_select(names, row))
        assert connection.execute(select(func.count()).select_from(reviews)).scalar() == number + 1


# -- any chain, any times -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One journal for every example: each has a run of its own."""
    with open_store(f"sqlite:///{tmp_path_factory.mktemp('chains') / 'crews.db'}") as store:
        yield store


CHAINS = st.lists(
    st.builds(
        Stage,
        role=st.sampled_from(["", "a", "b"]),
        within=st.floats(0.5, 100),
        remind=st.none() | st.floats(0.5, 60),
    ),
    min_size=1,
    max_size=4,
).map(tuple)
STEPS = st.lists(
    st.tuples(st.sampled_from(["sweep", "sweep", "twice", "escalate"]), st.floats(0, 120)),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(chain=CHAINS, steps=STEPS, kind=st.sampled_from(KINDS))
def test_nobody_is_passed_over_and_time_approves_nothing(
    one_store: Store, chain: tuple[Stage, ...], steps: list[tuple[str, float]], kind: ReviewKind
) -> None:
    store = one_store
    review = asked(store, kind=kind, chain=chain)
    # The examples' clock is their own: nothing is due while a human acts, by the real one.
    _move(store, review, by := 1e6)
    now, trail = review.opened_at + by, [_at(store, review)]
    reached = now
    for act, seconds in [*steps, *[("sweep", 200.0)] * len(chain)]:
        now += seconds
        before = _at(store, review)
        if act == "escalate" and before.state == "open" and "escalate" in before.choices:
            decide(store, review.id, "escalate", by="ann")
            _move(store, review, now - review.opened_at)
            reached = now
        else:
            for _ in range(2 if act == "twice" else 1):
                sweep(store, now)
            after = _at(store, review)
            if (after.stage, after.state) != (before.stage, before.state):
                assert now >= reached + chain[before.stage].within - 1e-6
                reached = now
        trail.append(_at(store, review))
    _check(store, trail, chain)


def _check(store: Store, trail: list[ReviewRow], chain: tuple[Stage, ...]) -> None:
    last = trail[-1]
    for one, other in zip(trail, trail[1:], strict=False):
        assert other.stage - one.stage in {0, 1}
        assert one.state == "open" or other == one
    assert (last.state, last.stage) == ("decided", len(chain) - 1)
    assert last.decision in {"reject", "stop"}
    handed = told(store, "review_handed_up", last.run)
    assert [(h["from"], h["to"]) for h in handed] == [(n, n + 1) for n in range(len(chain) - 1)]
    assert [d["by"] for d in told(store, "review_decided", last.run)] == [DEADLINE]


def _at(store: Store, review: ReviewRow) -> ReviewRow:
    return get_review(store, review.id)


def _move(store: Store, review: ReviewRow, by: float) -> None:
    """Let the present stage begin at `opened_at + by`, as if the clock had said so."""
    row = _at(store, review)
    begun_at = review.opened_at + by
    values: dict[str, Any] = chains.opening(row.stages[row.stage :], row.role, begun_at)
    times = {key: values[key] for key in ("due_at", "remind_at")}
    with store.writing() as connection:
        connection.execute(update(reviews).where(reviews.c.id == review.id).values(**times))
