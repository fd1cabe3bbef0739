"""Where does a wall stand, what counts before it, and what is a human told there?"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from crews.records.store import open_store
from crews.records.tables import spend
from crews.runtime import loop
from crews.runtime.claude import Claude
from crews.runtime.conversation import Conversation
from tests.stories.players import (
    LOOK,
    delegate,
    finish,
    forced_tool,
    limits,
    looking,
    plan,
    played,
    priced,
    step,
    team,
    walled,
)
from tests.stories.scenes import staged
from tests.support.messages_api import Reply, Request, Text
from tests.support.scripts import Script


@pytest.mark.parametrize(("limit", "near"), [(1_000_000, False), (4500, True)])
def test_tokens_are_counted_by_the_provider_only_near_a_wall(limit: int, near: bool) -> None:
    """Far from it the size of a request is bound enough."""
    with staged(priced(looking(3)), walled("limits", tokens=limit)) as stage:
        stage.run()
        assert (stage.server.counts > 0) is near


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_the_question_says_what_was_achieved_and_what_more_would_buy(scope: str) -> None:
    with staged(priced(looking(9)), walled(scope, tokens=4500)) as stage:
        stage.run()
        review = stage.open_review("budget")
        spent, turns = int(review.about["spent"]), len(stage.requests())
        if scope == "delegation":
            turns = len(stage.requests("coder"))
        more = 4500 * turns // spent
        assert f"allows 4,500 tokens more: about {more} requests like those so far" in review.reason
        assert "A rejection ends the work" in review.reason
        assert "at most 3 more requests" in review.reason
        assert isinstance(review.about["done_so_far"], list)


def test_before_the_first_request_an_approval_buys_requests_like_the_next_one() -> None:
    with staged(looking(1), team(limits=limits(tokens=10))) as stage:
        stage.run()
        reason = stage.open_review("budget").reason
        assert "allows 10 tokens more: about 0 requests like the next one" in reason


def breaking_off(times: int) -> Script:
    """A model whose first answers break off; then it works as ever."""
    script, left = looking(1), [Reply((Text("x" * 1000),), fault="truncated")] * times
    return lambda request: left.pop() if left else script(request)


def test_each_attempt_at_an_answer_that_breaks_off_counts() -> None:
    """What was sent of it may have been billed."""
    with staged(breaking_off(2), team(limits=limits(turns=6))) as stage:
        stage.run()
        with open_store(stage.settings.journal_url) as store, store.reading() as connection:
            [lost] = connection.execute(select(spend).where(spend.c.state == "lost")).all()
        assert (lost.turn, lost.lost_requests) == (0, 1)  # and the row's own: two
        review = stage.open_review("budget")
        assert (review.about["which"], review.about["spent"]) == ("turns", "6")
        assert len(stage.requests()) == 6
        stage.decide("approve")
        assert stage.resume().exit_code == 0


def test_no_attempt_is_made_beyond_a_wall() -> None:
    with staged(breaking_off(2), team(limits=limits(tokens=10_000))) as stage:
        stage.run()
        review = stage.open_review("budget")
        assert (review.about["which"], len(stage.server.requests)) == ("tokens", 2)
        assert int(review.about["spent"]) <= 10_000
        stage.decide("edit", edit={"tokens": 1_000_000})
        assert stage.resume().exit_code == 0


def test_what_breaks_while_an_answer_is_read_may_have_been_billed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody knows how far it had come: what was set aside for it stays spent."""

    async def broken(*_: object) -> None:
        raise LookupError("nobody has thought of this")

    with staged(looking(1), team(limits=limits(turns=1))) as stage:
        with monkeypatch.context() as patched, pytest.raises(LookupError):
            patched.setattr(Claude, "ask", broken)
            stage.run()
        assert stage.resume().status == "waiting"
        assert stage.open_review("budget").about["spent"] == "1"
        assert not stage.requests()


def test_one_approval_extends_a_limit_once_however_many_threads_stand_at_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They all look for how near the wall is at once, at an endpoint that cannot tell."""

    async def silent(*_: object) -> None:
        await asyncio.sleep(0.05)

    monkeypatch.setattr(Claude, "count", silent)
    steps = [step(name) for name in ("a", "b", "c")]
    slow = Reply(LOOK.blocks, delay=0.05)
    script = played(
        {"boss": [plan(*steps), delegate("a", "b", "c"), finish()], "coder": [slow] * 30}
    )
    with staged(priced(script), team(limits=limits(tokens=20_000))) as stage:
        stage.run()
        assert stage.open_review("budget").about["limit"] == "20000"
        stage.go_on("approve")
        assert stage.row.walls.tokens == 40_000


def test_what_is_asked_beyond_a_wall_is_bounded_whoever_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three requests of a thread are three, also if each of them is the last thing that its owner does."""

    def dying(*_: object) -> None:
        raise asyncio.CancelledError

    with staged(looking(9), walled("limits", turns=4)) as stage:
        stage.run()
        stage.decide("reject")
        monkeypatch.setattr(loop, "usable", dying)
        for _ in range(6):
            with pytest.raises(asyncio.CancelledError):
                stage.resume()
        assert stage.resume().exit_code != 0
        assert [len(stage.requests(name)) for name in ("boss", "coder")] == [2 + 3, 2 + 3]
        assert all("ended by the engine" in t.outcome.summary for t in stage.threads() if t.outcome)


def test_an_answer_beyond_a_wall_that_breaks_off_is_one_of_those_requests() -> None:
    script, broken = looking(9), Reply((Text("x" * 1000),), fault="truncated")

    def brain(request: Request) -> Reply:
        return broken if forced_tool(request) else script(request)

    with staged(brain, walled("limits", turns=4)) as stage:
        stage.run()
        stage.go_on("reject")
        stage.go_on("approve", "model")
        stage.go_on("approve", "model")
        assert [len(stage.requests(name)) for name in ("boss", "coder")] == [2 + 3, 2 + 3]


def test_a_request_that_nobody_waits_for_any_more_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A delegation that breaks is told to who delegated, and the run goes on beside what it had set aside."""
    kept = loop.usable

    def breaking(blocks: Any, talk: Conversation, redactor: Any) -> Any:
        if talk.thread.agent == "coder":
            raise OSError("the disk is full")
        return kept(blocks, talk, redactor)

    monkeypatch.setattr(loop, "usable", breaking)
    with staged(looking(1), team()) as stage:
        stage.run()
        assert "the disk is full" in stage.call("delegate").result
        with open_store(stage.settings.journal_url) as store, store.reading() as connection:
            states = connection.execute(select(spend.c.state)).scalars().all()
        assert sorted(states) == ["lost", "settled", "settled", "settled"]
