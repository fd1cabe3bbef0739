"""Is a review decided once, by somebody who may, and is every attempt of the others on record?"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from sqlalchemy import Connection

from crews.errors import Denied, StoreError, UsageError
from crews.records import claims, rights, users
from crews.records.chains import DEADLINE
from crews.records.deciding import decide
from crews.records.questions import Decision, ReviewKind, ReviewRow
from crews.records.reviews import get_review
from crews.records.rows import RunOptions
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.records.users import Decider
from tests.records.builders import child
from tests.records.persons import ROOT, asked, asked_of, begun, decider, peopled, stages, told

ALONE = Decider("grace", frozenset(), every_role=True, signed_in="local")


# -- who ------------------------------------------------------------------------------------------


def test_a_role_is_needed_and_the_refusal_stays_on_record(store: Store) -> None:
    who = peopled(store, ann=("security",), bob=("legal",))
    review = asked(store, role="security")
    with pytest.raises(Denied, match="`bob` may not decide .* the role `security`") as error:
        decide(store, review.id, "approve", by=who["bob"])
    assert error.value.exit_code == 6
    assert get_review(store, review.id) == review
    (refused,) = told(store, "decision_refused", review.run)
    assert (refused["by"], refused["decision"], refused["signed_in"]) == ("bob", "approve", "login")
    row = decide(store, review.id, "approve", by=who["ann"])
    assert (row.decided_by, row.signed_in) == ("ann", "login")
    (decided,) = told(store, "review_decided", review.run)
    assert (decided["by"], decided["signed_in"], decided["role"]) == ("ann", "login", "security")


def test_who_has_lost_a_right_since_they_signed_in_has_lost_it(store: Store) -> None:
    who = peopled(store, ann=("security",), bob=("security",))
    review = asked(store, role="security")
    users.change_roles(store, "ann", remove=["security"], by=ROOT)
    users.remove_user(store, "bob", by=ROOT)
    for name in ("ann", "bob"):
        with pytest.raises(Denied):
            decide(store, review.id, "approve", by=who[name])
        with pytest.raises(Denied):
            claims.claim(store, review.id, by=who[name])
        assert rights.mine(store, [review], who[name], time.time()) == ()
    assert get_review(store, review.id) == review


def test_of_several_roles_each_is_needed(store: Store) -> None:
    who = peopled(store, ann=("security",), bob=("security", "legal"))
    review = asked(store, role="security, legal")
    with pytest.raises(Denied, match="the role `legal`"):
        decide(store, review.id, "approve", by=who["ann"])
    assert rights.deciders(store, review) == ("bob",)
    assert decide(store, review.id, "approve", by=who["bob"]).decided_by == "bob"


def test_a_mere_name_decides_only_where_there_are_no_users(store: Store) -> None:
    review = asked(store, role="security")
    other = asked(store, role="security")
    assert decide(store, review.id, "approve", by="eve").signed_in == "local"
    peopled(store, eve=("security",))
    for by in ("eve", ALONE):
        with pytest.raises(Denied, match="users of this journal only"):
            decide(store, other.id, "approve", by=by)
    assert len(told(store, "decision_refused")) == 2


@pytest.mark.parametrize("starter", ["ann", "ann-login"])
def test_whoever_started_a_run_does_not_decide_what_takes_four_eyes(
    store: Store, starter: str
) -> None:
    who = peopled(store, ann=(), bob=())
    review = asked(store, starter, four_eyes=True)
    with pytest.raises(Denied, match="four eyes: `ann` started run"):
        decide(store, review.id, "approve", by=who["ann"])
    assert rights.deciders(store, review) == ("bob", "root")
    assert decide(store, review.id, "approve", by=who["bob"]).decided_by == "bob"
    (refused,) = told(store, "decision_refused", review.run)
    assert "four eyes" in refused["why"]


def test_neither_does_who_started_what_it_was_forked_from(store: Store) -> None:
    """A fork in a friend's name gives nobody a say in what they asked for, however often it is forked."""
    who = peopled(store, ann=(), bob=(), eve=())
    review = asked(store, "bob", options=RunOptions(asked_by=("ann",)), four_eyes=True)
    with pytest.raises(Denied, match="four eyes: `ann` asked for what is done in run"):
        decide(store, review.id, "approve", by=who["ann"])
    with pytest.raises(Denied, match="four eyes: `bob` started run"):
        decide(store, review.id, "approve", by=who["bob"])
    assert rights.deciders(store, review) == ("eve", "root")
    unknown = asked(store, "bob", options=RunOptions(asked_by=("",)), four_eyes=True)
    with pytest.raises(Denied, match="nobody knows who started"):
        decide(store, unknown.id, "approve", by=who["eve"])


def test_four_eyes_need_people_who_are_known(store: Store) -> None:
    """Where a name is all there is, one person could go by two."""
    review, nobodys = asked(store, four_eyes=True), asked(store, "", four_eyes=True)
    with pytest.raises(Denied, match="this journal knows no users"):
        decide(store, review.id, "approve", by=ALONE)
    who = peopled(store, ann=())
    with pytest.raises(Denied, match="nobody knows who started"):
        decide(store, nobodys.id, "approve", by=who["ann"])
    assert decide(store, review.id, "approve", by=who["ann"]).decision == "approve"


# -- once, and with its wake-up ---------------------------------------------------------------------


def test_decision_and_wake_up_are_one_step(store: Store) -> None:
    review = asked(store)

    def breaks(connection: Connection, run: str) -> None:
        raise StoreError(f"{run} cannot be woken")

    with pytest.raises(StoreError):
        decide(store, review.id, "approve", by="ann", wake=breaks)
    assert get_review(store, review.id) == review
    assert told(store, "review_decided") == []
    woken: list[str] = []
    decide(store, review.id, "approve", by="ann", wake=lambda _, run: woken.append(run))
    assert woken == [review.run]


def test_by_itself_a_decision_queues_a_run_that_waits(store: Store) -> None:
    journal = begun(store)
    review = asked_of(journal)
    journal.release("waiting")
    decide(store, review.id, "approve", by="ann")
    run = get_run(store, review.run)
    assert (run.status, run.woken) == ("queued", True)


DECIDER = """
import sys
from crews.errors import UsageError
from crews.records.deciding import decide
from crews.records.store import open_store
with open_store(sys.argv[1]) as store:
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            print(decide(store, line.strip(), sys.argv[2], answer="no", by=sys.argv[2]).decision, flush=True)
        except UsageError:
            print("lost", flush=True)
"""


def test_of_two_processes_with_two_minds_one_wins(url: str) -> None:
    with open_store(url) as store:
        questions = [asked(store).id for _ in range(8)]
    both = [child(DECIDER, url, mind) for mind in ("approve", "reject")]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    threads = [threading.Thread(target=_feed, args=(one, questions)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = (one.communicate(timeout=60)[0].split() for one in both)
    with open_store(url) as store:
        for review, said, other in zip(questions, first, second, strict=True):
            assert {said, other} == {"lost", get_review(store, review).decision}
        assert len(told(store, "review_decided")) == len(questions)


def _feed(process: Any, questions: list[str]) -> None:
    process.stdin.write("\n".join(questions) + "\n")
    process.stdin.flush()


# -- by the clock ---------------------------------------------------------------------------------


def test_who_comes_after_the_deadline_comes_too_late(store: Store) -> None:
    review = asked(store, chain=stages(("", 0.001)))
    time.sleep(0.002)
    woken: list[str] = []
    with pytest.raises(UsageError, match=f"is decided by {DEADLINE}: reject"):
        decide(store, review.id, "approve", by="ann", wake=lambda _, run: woken.append(run))
    row = get_review(store, review.id)
    assert (row.state, row.decision, row.decided_by) == ("decided", "reject", DEADLINE)
    assert woken == [review.run]
    assert [t["by"] for t in told(store, "review_decided")] == [DEADLINE]


def test_who_comes_after_their_stage_has_nothing_to_say_any_more(store: Store) -> None:
    who = peopled(store, ann=("first",), bob=("second",))
    review = asked(store, chain=stages(("first", 0.001), ("second", 60)))
    time.sleep(0.002)
    with pytest.raises(Denied, match="the role `second`"):
        decide(store, review.id, "approve", by=who["ann"])
    assert get_review(store, review.id).stage == 1
    assert decide(store, review.id, "approve", by=who["bob"]).decided_by == "bob"


# -- handing up -----------------------------------------------------------------------------------


def test_a_review_is_handed_up_by_whom_it_is_put_to(store: Store) -> None:
    who = peopled(store, ann=("first",), bob=("second",))
    review = asked(store, chain=stages(("first", 60), ("second", 120, 10)))
    assert "escalate" in review.choices
    heard: list[tuple[str, int]] = []
    row = decide(
        store, review.id, "escalate", by=who["ann"], answer="not my call",
        tell=lambda _, r, kind: heard.append((kind, r.stage)), wake=_never,
    )  # fmt: skip
    assert (row.state, row.stage, row.role, row.decision) == ("open", 1, "second", "")
    assert row.due_at is not None
    assert row.remind_at is not None
    assert 119 < row.due_at - time.time() <= 120
    assert heard == [("review_handed_up", 1)]
    (entry,) = told(store, "review_handed_up")
    assert (entry["by"], entry["why"], entry["to_role"]) == ("ann", "not my call", "second")
    with pytest.raises(Denied):
        decide(store, review.id, "approve", by=who["ann"])
    with pytest.raises(UsageError, match="cannot be decided with `escalate`"):
        decide(store, review.id, "escalate", by=who["bob"])
    assert decide(store, review.id, "approve", by=who["bob"]).state == "decided"


def _never(connection: Connection, run: str) -> None:
    raise AssertionError(f"{run} has nothing to go on with")


@pytest.mark.parametrize("chain", [(), stages(("first", 60))])
def test_without_a_next_stage_nothing_is_handed_up(store: Store, chain: tuple[Any, ...]) -> None:
    review = asked(store, chain=chain)
    with pytest.raises(UsageError, match="cannot be decided with `escalate`"):
        decide(store, review.id, "escalate", by="ann")


# -- for the whole run, for the same action -------------------------------------------------------


def test_an_approval_for_the_run_is_kept_as_one(store: Store) -> None:
    review = asked(store)
    assert decide(store, review.id, "approve", by="ann", scope="run").scope == "run"
    assert told(store, "review_decided")[0]["scope"] == "run"


@pytest.mark.parametrize(
    ("kind", "decision"),
    [("action", "reject"), ("action", "edit"), ("change_set", "approve"), ("budget", "approve")],
)
def test_only_an_approved_action_holds_for_the_run(
    store: Store, kind: ReviewKind, decision: Decision
) -> None:
    review = asked(store, kind=kind)
    with pytest.raises(UsageError, match="for the whole run"):
        decide(store, review.id, decision, by="ann", answer="x", edit={}, scope="run")
    assert get_review(store, review.id) == review


def test_one_decision_is_for_every_call_that_asks_the_same(store: Store) -> None:
    journal = begun(store)
    same = [asked_of(journal) for _ in range(3)]
    differs = asked_of(journal, content_hash="d" * 64)
    elsewhere = asked(store)
    row = decide(store, same[1].id, "reject", by="ann", answer="not today", scope="")
    assert (row.id, row.state) == (same[1].id, "decided")
    after = [get_review(store, r.id) for r in same]
    assert {(r.decision, r.answer, r.decided_by) for r in after} == {("reject", "not today", "ann")}
    assert {get_review(store, r.id).state for r in (differs, elsewhere)} == {"open"}
    entries = told(store, "review_decided")
    assert sorted(t["review"] for t in entries) == sorted(r.id for r in same)


def test_for_the_run_is_what_was_shown_and_not_what_was_asked_elsewhere(store: Store) -> None:
    """The same action may be asked about by other rules in another place, which nobody looked at."""
    journal = begun(store)
    one, other = asked_of(journal), asked_of(journal, rule="stricter")
    decide(store, one.id, "approve", by="ann", scope="run")
    after = [get_review(store, r.id) for r in (one, other)]
    assert [(r.decision, r.scope) for r in after] == [("approve", "run"), ("approve", "")]


def test_only_decides_one_of_them(store: Store) -> None:
    journal = begun(store)
    one, other = asked_of(journal), asked_of(journal)
    decide(store, other.id, "approve", by="ann", only=True)
    assert (get_review(store, one.id).state, get_review(store, other.id).state) == (
        "open", "decided",
    )  # fmt: skip


def test_of_the_same_question_only_what_one_may_decide_is_decided(store: Store) -> None:
    who = peopled(store, ann=("security",), bob=("security", "legal"))
    journal = begun(store)
    one = asked_of(journal, role="security")
    other = asked_of(journal, role="legal")
    third = asked_of(journal, role="security")
    claims.claim(store, third.id, by=who["bob"])
    decide(store, one.id, "approve", by=who["ann"])
    states = [get_review(store, r.id).state for r in (one, other, third)]
    assert states == ["decided", "open", "open"]
    assert told(store, "decision_refused") == []


def test_changes_are_never_taken_for_the_same(store: Store) -> None:
    journal = begun(store)
    one, other = (asked_of(journal, kind="change_set") for _ in range(2))
    decide(store, one.id, "approve", by="ann")
    assert get_review(store, other.id).state == "open"


def test_an_unknown_user_has_no_rights_whatever_they_hold(store: Store) -> None:
    peopled(store)
    review = asked(store, role="security")
    with pytest.raises(Denied):
        decide(store, review.id, "approve", by=decider("eve"))
    users.change_roles(store, "root", add=["security"], by=ROOT)
    assert rights.deciders(store, review) == ("root",)


def test_mine_are_those_that_i_may_decide(store: Store) -> None:
    who = peopled(store, ann=("security",), bob=("legal",))
    journal = begun(store, "ann")
    rows: dict[str, ReviewRow] = {
        "open": asked_of(journal),
        "security": asked_of(journal, role="security"),
        "eyes": asked_of(journal, four_eyes=True),
        "claimed": asked_of(journal, content_hash="e" * 64),
    }
    claims.claim(store, rows["claimed"].id, by=who["bob"])
    rows["claimed"] = get_review(store, rows["claimed"].id)

    def mine(name: str) -> set[str]:
        found = rights.mine(store, rows.values(), who[name], time.time())
        return {key for key, row in rows.items() if row in found}

    assert mine("ann") == {"open", "security"}
    assert mine("bob") == {"open", "eyes", "claimed"}
