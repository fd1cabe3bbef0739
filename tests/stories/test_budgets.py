"""Is a limit a wall? Nothing is sent that could pass it, and one question is asked."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from crews.records.events import Event
from crews.records.rows import CallRow
from crews.records.store import open_store
from crews.records.tables import spend
from crews.runtime.prices import price
from crews.teams.spec import TeamSpec
from tests.stories.players import (
    CHANGE,
    CODER,
    LOOK,
    MODEL,
    USAGE,
    WORKING,
    agent,
    approve,
    delegate,
    delivery,
    finish,
    hand_over,
    limits,
    looking,
    plan,
    played,
    priced,
    step,
    team,
    walled,
    write,
)
from tests.stories.scenes import (
    Stage,
    staged,
)
from tests.support.messages_api import Reply, Request, Usage
from tests.support.scripts import Script, agent_of, call, reply


def spent_tokens(stage: Stage) -> int:
    """Tokens that the server has billed."""
    return len(stage.server.requests) * (USAGE.input_tokens + USAGE.output_tokens)


# -- before it is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_turns(scope: str) -> None:
    with staged(looking(9), walled(scope, turns=4)) as stage:
        stage.run()
        counted = stage.requests() if scope == "limits" else stage.requests("coder")
        assert len(counted) == 4
        review = stage.open_review("budget")
        assert (review.about["scope"], review.about["which"]) == (
            "run" if scope == "limits" else "thread",
            "turns",
        )


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_tokens(scope: str) -> None:
    with staged(priced(looking(9)), walled(scope, tokens=4500)) as stage:
        stage.run()
        assert stage.open_review("budget").about["which"] == "tokens"
        assert 0 < spent_tokens(stage) <= 4500
        # Room was left, but not for the longest answer that the model could have given.
        about = stage.open_review("budget").about
        assert int(about["spent"]) + int(about["wanted"]) > 4500


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_money(scope: str) -> None:
    wall = Decimal("0.04")
    usage = Usage(1000, 400)
    with staged(priced(looking(9), usage), walled(scope, money=wall)) as stage:
        stage.run()
        nano = price(MODEL, usage.input_tokens, usage.output_tokens)
        assert nano is not None
        counted = stage.requests() if scope == "limits" else stage.requests("coder")
        assert 0 < len(counted) * Decimal(nano) / 1_000_000_000 <= wall
        assert stage.open_review("budget").about["which"] == "money"


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_calls(scope: str) -> None:
    greedy = reply(*[call("list_files")] * 5)
    script = played(
        {"boss": [plan(CHANGE), delegate("change"), finish()], "coder": [greedy, hand_over()]}
    )
    with staged(script, walled(scope, calls=4)) as stage:
        stage.run()
        rows = stage.calls("list_files")
        allowed = 4 if scope == "delegation" else 2  # the boss has made two calls of the run's four
        assert [r.state for r in rows] == ["done"] * allowed + ["denied"] * (5 - allowed)
        assert {r.rule for r in rows[allowed:]} == {"limit"}
        assert stage.open_review("budget").about["which"] == "calls"
        assert len(stage.requests("coder")) == 1


def test_a_limit_of_calls_does_not_keep_an_agent_from_handing_over() -> None:
    with staged(looking(2), team(delegation=limits(calls=2))) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        assert stage.call("hand_over").state == "done"


def test_wall_time_counts_work_and_not_waiting() -> None:
    slow = Reply(LOOK.blocks, delay=0.4)
    script = played(
        {
            "boss": [
                reply(call("ask_human", question="now?")),
                plan(CHANGE),
                delegate("change"),
                finish(),
            ],
            "coder": [slow] * 9 + [hand_over()],
        }
    )
    with staged(script, team(delegation=limits(wall_seconds=1))) as stage:
        worked = stage.run().usage.working_seconds
        time.sleep(1.2)
        assert stage.row.working_seconds == worked
        result = stage.go_on("answer", reason="now")
        assert stage.open_review("budget").about["which"] == "wall_seconds"
        assert 1 <= len(stage.requests("coder")) <= 4
        (coder,) = stage.threads("coder")
        assert 1 <= coder.working_seconds <= result.usage.working_seconds
        again = stage.resume().usage.working_seconds
        assert (
            again - result.usage.working_seconds < 1.2
        )  # asked again at once; the wait is not in it


def test_work_is_written_down_with_every_turn() -> None:
    """Whenever the process dies, all but the work of the turn under way has been counted."""
    slow = Reply(LOOK.blocks, delay=0.2)
    script = played(
        {"boss": [plan(CHANGE), delegate("change"), finish()], "coder": [slow, slow, hand_over()]}
    )
    seen: list[tuple[float, float, float]] = []
    with staged(script) as stage:

        def on_event(event: Event) -> None:
            if event.kind == "turn_ended" and event.agent == "coder":
                stage.runs = [event.run]
                coder, boss = stage.threads("coder")[0], stage.threads("boss")[0]
                assert boss.working_seconds > 0
                seen.append((event.at, coder.working_seconds, stage.row.working_seconds))

        worked = stage.run(on_event=on_event).usage.working_seconds
        (began, coder, run), *_, (ended, last, whole) = seen
        assert coder >= 0.2
        for found in (last - coder, whole - run):
            assert 0.2 <= found <= ended - began + 0.05
        assert whole <= worked
        assert stage.threads("coder")[0].working_seconds <= worked


def test_parallel_work_is_counted_once_for_the_run() -> None:
    steps = [step(n) for n in ("a", "b", "c")]
    slow = Reply(hand_over().blocks, delay=0.5)
    script = played({"boss": [plan(*steps), delegate("a", "b", "c"), finish()], "coder": [slow]})
    with staged(script, team(limits=limits(wall_seconds=60))) as stage:
        began = time.monotonic()
        worked = stage.run().usage.working_seconds
        took = time.monotonic() - began
        coders = [t.working_seconds for t in stage.threads("coder")]
        assert min(coders) >= 0.5
        assert worked <= took
        assert sum(coders) > 1.5


def test_nothing_is_sent_without_a_row_that_reserves_it() -> None:
    """Also not what an agent says after a human refused to extend its limit."""
    with staged(looking(9), walled("limits", turns=4)) as stage:
        stage.run()
        assert stage.go_on("reject").status == "completed"
        assert len(stage.server.requests) > 4
        with open_store(stage.settings.journal_url) as store, store.reading() as connection:
            states = connection.execute(select(spend.c.state)).scalars().all()
        assert states == ["settled"] * len(stage.server.requests)


# -- one question ---------------------------------------------------------------------------------


def three(**policy: Any) -> tuple[Script, TeamSpec]:
    """Three delegations at once, each of which looks around for long."""
    steps = [step(n) for n in ("a", "b", "c")]
    script = played(
        {
            "boss": [plan(*steps), delegate("a", "b", "c"), finish()],
            "coder": [Reply(LOOK.blocks, delay=0.03)] * 4 + [hand_over()],
        }
    )
    return priced(script), team(**policy)


def test_parallel_delegations_ask_once_and_do_not_overshoot() -> None:
    script, players = three(limits=limits(tokens=8000))
    with staged(script, players) as stage:
        stage.run()
        assert len(stage.reviews("budget")) == 1
        assert 0 < spent_tokens(stage) <= 8000
        assert len(stage.threads("coder")) == 3


def test_parallel_delegations_share_the_turns_of_a_run() -> None:
    script, players = three(limits=limits(turns=7))
    with staged(script, players) as stage:
        stage.run()
        assert len(stage.server.requests) == 7
        assert len(stage.reviews("budget")) == 1
        result = stage.go_on("approve")  # 14 turns
        assert len(stage.server.requests) == 14
        assert result.status == "waiting"
        assert len(stage.reviews("budget")) == 2
        result = stage.go_on("approve")  # 21 turns: 18 are needed
        assert (result.status, len(stage.server.requests)) == ("completed", 18)


def test_each_delegation_has_its_own_wall() -> None:
    script, players = three(delegation=limits(turns=2))
    with staged(script, players) as stage:
        stage.run()
        assert len(stage.reviews("budget", "open")) == 3
        assert len(stage.requests("coder")) == 6


# -- shares ---------------------------------------------------------------------------------------


def test_the_tightest_limit_holds() -> None:
    slow_coder = agent("coder", WORKING, limits=limits(turns=2))
    with staged(looking(9), team(slow_coder, delegation=limits(turns=5))) as stage:
        stage.run()
        assert len(stage.requests("coder")) == 2


def test_a_share_of_the_budget() -> None:
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change", budget_share=0.25), finish()],
            "coder": [LOOK] * 9 + [hand_over()],
        }
    )
    with staged(script, team(CODER, delegation=limits(turns=8))) as stage:
        stage.run()
        assert len(stage.requests("coder")) == 2


def test_a_brief_that_runs_out_of_budget_does_not_ask_a_second_question() -> None:
    officer = agent("officer", ["list_files"], "escalation", limits=limits(turns=1))
    script = played(
        {
            "boss": [reply(call("escalate", what="is it safe?", why="unclear")), finish()],
            "officer": [LOOK, LOOK],
        }
    )
    with staged(script, team(officer)) as stage:
        stage.run()
        (review,) = stage.reviews()
        assert review.kind == "question"
        assert "limit of 1 model requests" in review.brief_note
        assert stage.go_on("answer", reason="yes").exit_code == 0


def test_what_was_not_answered_is_not_counted() -> None:
    """A request that the endpoint refused gives its reservation back."""
    fail = {"left": 1}

    def flaky(request: Request) -> Reply:
        if agent_of(request) == "coder" and fail["left"]:
            fail["left"] = 0
            return Reply(status=400, message="not now")
        return priced(looking(1))(request)

    with staged(flaky, team(limits=limits(tokens=9000))) as stage:
        stage.run()
        assert stage.open_review("model")
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert result.usage.tokens == 5 * 600


def approved_calls(stage: Stage) -> list[CallRow]:
    """Calls that were done."""
    return [c for c in stage.calls() if c.state == "done"]


def test_the_calls_of_a_run_are_counted_over_all_threads() -> None:
    script = delivery(write(), judging=[LOOK, approve()])
    with staged(script, team(limits=limits(calls=5))) as stage:
        stage.run()
        assert stage.open_review("budget").about["which"] == "calls"
        assert sum(c.tool not in {"hand_over", "finish"} for c in approved_calls(stage)) <= 5
        assert stage.go_on("approve").status == "waiting"
        assert stage.go_on("approve", "change_set").exit_code == 0
