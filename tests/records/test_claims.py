"""Is whoever looks at a review left alone with it, for as long as they said and no longer?"""

from __future__ import annotations

import threading
import time

import pytest

from crews.errors import Denied, UsageError
from crews.records import claims, users
from crews.records.chains import sweep
from crews.records.deciding import decide
from crews.records.people import local
from crews.records.reviews import get_review
from crews.records.rights import claimed_by
from crews.records.store import Store
from tests.records.persons import ROOT, asked, decider, peopled, stages, told


def test_another_neither_decides_nor_claims_what_is_claimed(store: Store) -> None:
    who = peopled(store, ann=(), bob=())
    review = asked(store)
    row = claims.claim(store, review.id, by=who["ann"], lasts=60)
    assert row.claimed_by == "ann"
    with pytest.raises(Denied, match="`ann` is looking at"):
        decide(store, review.id, "approve", by=who["bob"])
    with pytest.raises(Denied, match="`ann` is looking at"):
        claims.claim(store, review.id, by=who["bob"])
    with pytest.raises(Denied, match="was claimed by `ann`"):
        claims.release(store, review.id, by=who["bob"])
    assert [t["by"] for t in told(store, "decision_refused")] == ["bob"]
    assert [t["by"] for t in told(store, "claim_refused")] == ["bob", "bob"]
    done = decide(store, review.id, "approve", by=who["ann"])
    assert (done.decided_by, done.claimed_by, done.claimed_until) == ("ann", "", None)


def test_a_claim_ends(store: Store) -> None:
    who = peopled(store, ann=(), bob=())
    review = asked(store)
    claims.claim(store, review.id, by=who["ann"], lasts=0.001)
    time.sleep(0.002)
    assert claimed_by(get_review(store, review.id), time.time()) == ""
    assert claims.claim(store, review.id, by=who["bob"]).claimed_by == "bob"
    assert claims.release(store, review.id, by=who["bob"]).claimed_by == ""
    with pytest.raises(UsageError, match="nobody looks at"):
        claims.release(store, review.id, by=who["bob"])
    assert decide(store, review.id, "approve", by=who["ann"]).decided_by == "ann"
    assert [t["by"] for t in told(store, "review_claimed")] == ["ann", "bob"]


def test_a_claim_is_made_longer_by_who_has_it(store: Store) -> None:
    who = peopled(store, ann=())
    review = asked(store)
    first = claims.claim(store, review.id, by=who["ann"], lasts=60).claimed_until or 0
    assert (claims.claim(store, review.id, by=who["ann"], lasts=120).claimed_until or 0) > first


def test_who_may_not_decide_may_not_claim(store: Store) -> None:
    who = peopled(store, ann=("security",), bob=())
    review = asked(store, "ann", role="security", four_eyes=True)
    for name in ("ann", "bob"):
        with pytest.raises(Denied):
            claims.claim(store, review.id, by=who[name])
    assert [t["by"] for t in told(store, "claim_refused")] == ["ann", "bob"]


def test_a_claim_holds_no_deadline_up(store: Store) -> None:
    who = peopled(store, ann=("first",), bob=("second",))
    review = asked(store, chain=stages(("first", 60), ("second", 60)))
    claims.claim(store, review.id, by=who["ann"], lasts=3600)
    sweep(store, review.opened_at + 61)
    row = get_review(store, review.id)
    assert (row.stage, row.claimed_by) == (1, "")
    assert decide(store, review.id, "approve", by=who["bob"]).decided_by == "bob"


def test_who_lost_the_right_to_decide_keeps_nobody_waiting(store: Store) -> None:
    early = asked(store)
    claims.claim(store, early.id, by=local("zoe"))  # before there were users
    who = peopled(store, ann=("security",), bob=("security",), cay=())
    gone, weaker = (asked(store, role="security") for _ in range(2))
    claims.claim(store, gone.id, by=who["ann"], lasts=86400)
    claims.claim(store, weaker.id, by=who["bob"], lasts=86400)
    peopled_more = users.add_user(store, "dan", roles=["security"], login="dan-login", by=ROOT)
    users.remove_user(store, "ann", by=ROOT)
    users.change_roles(store, "bob", remove=["security"], by=ROOT)
    dan = decider("dan", *peopled_more.roles)
    assert claims.claim(store, gone.id, by=dan).claimed_by == "dan"
    for review, by in ((weaker, dan), (early, who["cay"])):
        assert decide(store, review.id, "approve", by=by).decided_by == by.name


@pytest.mark.parametrize("lasts", [0, -1, 8 * 86400, float("nan"), float("inf")])
def test_a_claim_that_makes_no_sense(store: Store, lasts: float) -> None:
    who = peopled(store, ann=())
    review = asked(store)
    with pytest.raises(UsageError, match="up to seven days"):
        claims.claim(store, review.id, by=who["ann"], lasts=lasts)


def test_what_is_decided_is_not_claimed(store: Store) -> None:
    review = asked(store)
    decide(store, review.id, "approve", by="ann")
    who = peopled(store, ann=())
    with pytest.raises(UsageError, match="is decided"):
        claims.claim(store, review.id, by=who["ann"])


def test_of_those_who_claim_at_once_one_wins(store: Store) -> None:
    names = [f"p{n}" for n in range(6)]
    who = peopled(store, **{name: () for name in names})
    review = asked(store)
    start, won = threading.Barrier(len(names)), list[str]()

    def claimer(name: str) -> None:
        start.wait()
        try:
            won.append(claims.claim(store, review.id, by=who[name]).claimed_by)
        except Denied:
            return

    threads = [threading.Thread(target=claimer, args=(name,)) for name in names]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert won == [get_review(store, review.id).claimed_by]
