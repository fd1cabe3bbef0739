"""Is a question answered once, by a decision it takes, about the content that was shown?"""

from __future__ import annotations

import json
import threading
from typing import Any, get_args

import pytest

from crews.errors import UsageError
from crews.records import audit, inbox
from crews.records.inbox import CHOICES, MEANING, decide, get_review, list_reviews, open_review
from crews.records.journal import Journal
from crews.records.questions import Brief, Decision, ReviewKind, ReviewRow
from crews.records.store import Store, open_store
from crews.safety.action import Finding
from tests.records.builders import call, child, owned, question, thread, turn

KINDS: tuple[ReviewKind, ...] = get_args(ReviewKind)
DECISIONS: tuple[Decision, ...] = get_args(Decision)


def with_call(store: Store) -> Journal:
    journal = owned(store)
    thread(journal)
    journal.record_turn(turn(journal), [call(journal)])
    return journal


def words_for(kind: ReviewKind, decision: Decision) -> dict[str, Any]:
    """What a decision needs beside itself."""
    if decision == "edit":
        return {"edit": {"drop": []} if kind == "change_set" else {"turns": 5}}
    if decision == "answer":
        return {"answer": "done" if kind == "unknown" else "Take the left one."}
    return {"answer": "too risky"} if decision == "reject" else {}


def test_every_kind_can_be_stopped_and_says_what_its_choices_mean() -> None:
    assert set(CHOICES) == set(MEANING) == set(KINDS)
    for kind in KINDS:
        assert tuple(MEANING[kind]) == CHOICES[kind]
        assert "stop" in CHOICES[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decision", DECISIONS)
def test_a_kind_takes_its_choices_and_no_other(
    store: Store, kind: ReviewKind, decision: Decision
) -> None:
    review = open_review(owned(store), question(kind, address="/#x"))
    more = words_for(kind, decision)
    if decision not in CHOICES[kind]:
        with pytest.raises(UsageError, match="cannot be decided with") as error:
            decide(store, review.id, decision, by="eve", **more)
        assert error.value.hint == f"it takes: {', '.join(CHOICES[kind])}"
        assert get_review(store, review.id).state == "open"
        return
    row = decide(store, review.id, decision, by="eve", **more)
    assert (row.state, row.decision, row.decided_by) == ("decided", decision, "eve")
    assert row.answer == more.get("answer", "")
    assert row.edited == more.get("edit")
    assert row.decided_at is not None
    assert row.decided_at >= row.opened_at


def test_a_review_says_everything_that_is_needed_to_answer_it(store: Store) -> None:
    journal = with_call(store)
    brief = Brief(what="w", why="y", risk="high", recommendation="reject")
    finding = Finding("auth", "login.py", 7, "a check is gone")
    asked = question(findings=(finding,), brief=brief, role="security", subject={"a": [1, "é"]})
    row = open_review(journal, asked, state="waiting")
    assert get_review(store, row.id) == row
    assert row.about == {"a": [1, "é"]}
    assert row.briefing == brief
    assert json.loads(row.findings)[0]["path"] == "login.py"
    assert (row.role, row.choices, row.state) == ("security", CHOICES["action"], "open")


def test_opening_a_review_moves_its_call_in_the_same_step(store: Store) -> None:
    journal = with_call(store)
    row = open_review(journal, question(), state="waiting")
    found = journal.call("/", 0, 0)
    assert found is not None
    assert (found.state, found.review) == ("waiting", row.id)


def test_ids_count_up_within_a_run(store: Store) -> None:
    one, other = with_call(store), with_call(store)
    ids = [open_review(j, question(address="/#x")).id for j in (one, other, one)]
    assert ids == [f"{one.run}-1", f"{other.run}-1", f"{one.run}-2"]


def test_reviews_are_listed_by_run_state_and_kind_oldest_first(store: Store) -> None:
    one, other = owned(store), owned(store)
    first = open_review(one, question("budget", address="run#x"))
    second = open_review(other, question("question", address="/#x"))
    third = open_review(one, question("question", address="/#x"))
    decide(store, first.id, "approve", by="eve")

    def ids(**wanted: Any) -> list[str]:
        return [r.id for r in list_reviews(store, **wanted)]

    assert ids() == [second.id, third.id]
    assert ids(run=one.run) == [third.id]
    assert ids(run=one.run, state=None) == [first.id, third.id]
    assert ids(state="decided") == [first.id]
    assert ids(kind="question", state=None) == [second.id, third.id]
    assert ids(run=one.run, kind="model", state=None) == []


def test_a_review_that_does_not_exist_is_a_usage_error(store: Store) -> None:
    for act in (lambda: get_review(store, "no-1"), lambda: decide(store, "no-1", "stop", by="e")):
        with pytest.raises(UsageError, match="there is no review `no-1`"):
            act()


@pytest.mark.parametrize(
    ("kind", "decision", "more", "problem"),
    [
        ("action", "reject", {}, "needs a reason"),
        ("plan", "reject", {"answer": " \n"}, "needs a reason"),
        ("hand_over", "answer", {"answer": " "}, "answer is empty"),
        ("question", "answer", {}, "answer is empty"),
        ("unknown", "answer", {"answer": "perhaps"}, "`done` or `not done`"),
        ("action", "edit", {}, "needs what is to be done instead"),
        ("budget", "edit", {"edit": {"tokens": "many"}}, "no limit: tokens"),
        ("budget", "edit", {"edit": {"tokens": -5}}, "no limit: tokens"),
        ("budget", "edit", {"edit": {"token": 5}}, "no limit: token"),
        ("action", "approve", {"content_hash": "d" * 64}, "not about what you were shown"),
    ],
)
def test_a_decision_that_says_too_little_leaves_the_review_open(
    store: Store, kind: ReviewKind, decision: Decision, more: dict[str, Any], problem: str
) -> None:
    review = open_review(owned(store), question(kind, address="/#x"))
    with pytest.raises(UsageError, match=problem):
        decide(store, review.id, decision, by="eve", **more)
    assert get_review(store, review.id) == review


def test_a_budget_may_be_refused_without_a_reason(store: Store) -> None:
    review = open_review(owned(store), question("budget", address="run#x"))
    assert decide(store, review.id, "reject", by="eve").decision == "reject"


def test_what_was_decided_stays(store: Store) -> None:
    review = open_review(owned(store), question(address="/#x"))
    decided = decide(store, review.id, "approve", by="eve", content_hash="c" * 64)
    with pytest.raises(UsageError, match="is decided by eve: approve") as error:
        decide(store, review.id, "reject", by="bob", answer="no")
    assert "inbox show" in error.value.hint
    assert get_review(store, review.id) == decided


def test_a_void_review_takes_no_decision(store: Store) -> None:
    journal = owned(store)
    review = open_review(journal, question(address="/#x"))
    decide(store, review.id, "approve", by="eve")
    inbox.void_review(journal, review, "the file has changed")
    assert get_review(store, review.id).state == "void"
    with pytest.raises(UsageError, match="is void"):
        decide(store, review.id, "approve", by="eve")
    assert "the file has changed" in audit.entries(store, journal.run)[-1].body


def test_question_and_decision_stand_in_the_audit_log(store: Store) -> None:
    journal = owned(store)
    review = open_review(journal, question(address="/#x"))
    decide(store, review.id, "reject", by="eve", answer="too risky")
    (opened, asked), (decided, told) = audit.told(store, journal.run)[-2:]
    assert (opened.kind, decided.kind) == ("review_opened", "review_decided")
    assert (told["by"], told["decision"], told["answer"]) == ("eve", "reject", "too risky")
    assert "too risky" not in decided.body
    assert told["content_hash"] == asked["content_hash"] != "c" * 64


def test_of_threads_that_decide_at_once_one_wins(store: Store) -> None:
    review = open_review(owned(store), question(address="/#x"))
    start, won, lost = threading.Barrier(8), list[str](), list[str]()

    def decider(name: str) -> None:
        start.wait()
        try:
            won.append(decide(store, review.id, "approve", by=name).decided_by)
        except UsageError:
            lost.append(name)

    threads = [threading.Thread(target=decider, args=(f"t{n}",)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1
    assert len(lost) == 7
    _one_decision(store, review, won[0])


DECIDER = """
import sys
from crews.errors import UsageError
from crews.records.inbox import decide, list_reviews
from crews.records.store import open_store
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    for review in list_reviews(store):
        try:
            decide(store, review.id, "approve", by=sys.argv[2])
            print(review.id, flush=True)
        except UsageError:
            pass
"""


def test_of_processes_that_decide_at_once_one_wins(url: str) -> None:
    with open_store(url) as store:
        journal = owned(store)
        asked = [
            open_review(journal, question(address="/#x", content_hash=f"{n:064}"))
            for n in range(20)
        ]
    deciders = [child(DECIDER, url, name) for name in ("one", "two")]
    for decider in deciders:
        assert decider.stdout is not None
        assert decider.stdout.readline() == "ready\n"
    for decider in deciders:
        assert decider.stdin is not None
        decider.stdin.write("go\n")
        decider.stdin.flush()
    printed = {
        n: d.communicate(timeout=60)[0].split()
        for n, d in zip(("one", "two"), deciders, strict=True)
    }
    assert sorted(printed["one"] + printed["two"]) == sorted(r.id for r in asked)
    with open_store(url) as store:
        for name, ids in printed.items():
            for review in ids:
                assert get_review(store, review).decided_by == name
        kinds = [e.kind for e in audit.entries(store, journal.run)]
        assert kinds.count("review_decided") == len(asked)
        assert audit.first_break(store) is None


def _one_decision(store: Store, review: ReviewRow, winner: str) -> None:
    assert get_review(store, review.id).decided_by == winner
    entries = [e for e in audit.entries(store, review.run) if e.kind == "review_decided"]
    assert [json.loads(e.body)["by"] for e in entries] == [winner]
