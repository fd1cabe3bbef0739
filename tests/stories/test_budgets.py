"""Is a limit a wall? Nothing is sent that could pass it, and a human is asked once what comes next."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from crews import CrewsError
from crews.errors import EXIT_BUDGET, EXIT_DENIED
from crews.records.rows import CallRow
from crews.runtime.models import price
from crews.teams.spec import TeamSpec
from tests.stories.scenes import (
    CHANGE,
    CHECK,
    CODER,
    LOOK,
    MODEL,
    WORKING,
    Stage,
    agent,
    approve,
    delegate,
    delivery,
    finish,
    forced_tool,
    hand_over,
    limits,
    plan,
    played,
    staged,
    step,
    team,
    tree,
    write,
)
from tests.support.messages_api import Reply, Request, Usage
from tests.support.scripts import Script, agent_of, call, reply, text

USAGE = Usage(500, 100)
"""What every answer costs where a test counts."""


def priced(script: Script, usage: Usage = USAGE) -> Script:
    """The same model, every answer of the same price."""

    def answer(request: Request) -> Reply:
        found = script(request)
        return Reply(found.blocks, stop_reason=found.stop_reason, usage=usage, delay=found.delay)

    return answer


def looking(turns: int, **more: Any) -> Script:
    """The coder looks around for so many turns, then hands over."""
    return played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(**more)],
            "coder": [LOOK] * turns + [hand_over()],
        }
    )


def spent_tokens(stage: Stage) -> int:
    """Tokens that the server has billed."""
    return len(stage.server.requests) * (USAGE.input_tokens + USAGE.output_tokens)


# -- before it is sent ----------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_turns(scope: str) -> None:
    with staged(looking(9), team(**{scope: limits(turns=4)})) as stage:
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
    with staged(priced(looking(9)), team(**{scope: limits(tokens=4500)})) as stage:
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
    with staged(priced(looking(9), usage), team(**{scope: limits(money=wall)})) as stage:
        stage.run()
        nano = price(MODEL, usage.input_tokens, usage.output_tokens)
        assert nano is not None
        counted = stage.requests() if scope == "limits" else stage.requests("coder")
        assert 0 < len(counted) * Decimal(nano) / 1_000_000_000 <= wall
        assert stage.open_review("budget").about["which"] == "money"


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_calls(scope: str) -> None:
    greedy = reply(*[call("list_files")] * 5)
    script = played({"boss": [plan(CHANGE), delegate("change"), finish()], "coder": [greedy, hand_over()]})
    with staged(script, team(**{scope: limits(calls=4)})) as stage:
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
            "boss": [reply(call("ask_human", question="now?")), plan(CHANGE), delegate("change"), finish()],
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
        assert again - result.usage.working_seconds < 1.2  # asked again at once; the wait is not in it


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


# -- what the human decides -----------------------------------------------------------------------


def test_approving_extends_by_the_same_amount_each_time() -> None:
    with staged(looking(7), team(delegation=limits(turns=3))) as stage:
        stage.run()
        for turns in (6, 8):
            result = stage.go_on("approve")
            assert len(stage.requests("coder")) == turns
        assert (result.status, result.exit_code) == ("completed", 0)
        assert stage.threads("coder")[0].walls.turns == 9


def test_editing_sets_another_limit() -> None:
    with staged(looking(7), team(limits=limits(turns=3))) as stage:
        stage.run()
        result = stage.go_on("edit", edit={"turns": 5})
        assert (result.status, len(stage.server.requests)) == ("waiting", 5)
        result = stage.go_on("edit", edit={"turns": 100})
        assert (result.status, result.exit_code) == ("completed", 0)


@pytest.mark.parametrize("edit", [{"tokens": 10**9}, {}])
def test_an_edit_that_does_not_move_the_wall_asks_again(edit: dict[str, Any]) -> None:
    with staged(looking(7), team(limits=limits(turns=3))) as stage:
        stage.run()
        result = stage.go_on("edit", edit=edit)
        assert (result.status, len(stage.server.requests)) == ("waiting", 3)
        assert stage.go_on("edit", edit={"turns": 50}).exit_code == 0


@pytest.mark.parametrize(
    "edit", [{"turns": 3}, {"turns": 2}, {"turns": "many"}, {"turns": -1}, {"turn": 9}]
)
def test_an_edit_that_sets_no_further_limit_is_refused(edit: dict[str, Any]) -> None:
    with staged(looking(7), team(limits=limits(turns=3))) as stage:
        stage.run()
        with pytest.raises(CrewsError, match="limit"):
            stage.decide("edit", edit=edit)
        assert stage.go_on("edit", edit={"turns": 50}).exit_code == 0


def test_rejecting_a_run_s_wall_finishes_with_what_there_is() -> None:
    script = played(
        {
            "boss": [plan(CHANGE, CHECK), delegate("change"), delegate("check"), finish()],
            "coder": [write(), LOOK, LOOK, hand_over()],
        }
    )
    with staged(script, team(limits=limits(turns=3))) as stage:
        stage.run()
        result = stage.go_on("reject")
        assert (result.status, result.exit_code) == ("completed", EXIT_BUDGET)
        # One last request for each of the two threads, and each had to end with it.
        last = stage.server.requests[3:]
        assert [(agent_of(r), forced_tool(r)) for r in last] == [
            ("coder", "hand_over"),
            ("boss", "finish"),
        ]
        assert "I had to stop here" in result.report
        assert tree(stage.folder) == {"a.txt": "one\n"}
        assert not result.change_set.is_empty
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED


def test_rejecting_a_delegation_s_wall_ends_that_delegation_alone() -> None:
    with staged(looking(5), team(delegation=limits(turns=2))) as stage:
        stage.run()
        result = stage.go_on("reject")
        assert (result.status, result.exit_code) == ("completed", EXIT_BUDGET)
        assert [forced_tool(r) for r in stage.requests("coder")] == ["", "", "hand_over"]
        assert [forced_tool(r) for r in stage.requests("boss")] == ["", "", ""]


@pytest.mark.parametrize("answer", [reply(call("hand_over")), reply(text("No.")), LOOK])
def test_a_model_that_will_not_end_is_ended(answer: Reply) -> None:
    """It does not get its further turns by handing over badly: the wall has been passed once already."""

    def stubborn(request: Request) -> Reply:
        return answer if forced_tool(request) == "hand_over" else looking(9)(request)

    with staged(stubborn, team(delegation=limits(turns=2))) as stage:
        stage.run()
        result = stage.go_on("reject")
        assert (result.status, result.exit_code) == ("completed", EXIT_BUDGET)
        assert len(stage.requests("coder")) <= 2 + 3
        (coder,) = stage.threads("coder")
        assert "it made no hand-over of its own" in coder.flagged


@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_stopping(scope: str) -> None:
    with staged(looking(9), team(**{scope: limits(turns=3)})) as stage:
        stage.run()
        sent = len(stage.server.requests)
        result = stage.go_on("stop")
        assert (result.status, result.exit_code) == ("stopped", EXIT_BUDGET)
        assert "budget" in result.reason
        assert len(stage.server.requests) == sent
        with pytest.raises(CrewsError, match="has ended"):
            stage.resume()


# -- what is not known ----------------------------------------------------------------------------


def test_an_unknown_price_and_a_limit_of_money() -> None:
    mystery = team(agent("coder", WORKING, llm="mystery-1"), limits=limits(money=5))
    with staged(looking(1), mystery) as stage:
        stage.run()
        assert len(stage.requests("coder")) == 0
        review = stage.open_review("budget")
        assert "price of a model is not known" in review.reason
        result = stage.go_on("approve")  # there is no amount to extend: the limit falls
        assert (result.status, result.cost) == ("completed", None)
        assert "unknown" in stage.shown()


def test_an_unknown_price_and_no_limit_of_money() -> None:
    with staged(looking(1), team(agent("coder", WORKING, llm="mystery-1"))) as stage:
        result = stage.run()
        assert (result.status, result.cost) == ("completed", None)


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
