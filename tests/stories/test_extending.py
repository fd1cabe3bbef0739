"""What becomes of a limit that was reached? What the human decides, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from crews import CrewsError
from crews.errors import EXIT_BUDGET, EXIT_DENIED
from tests.stories.players import (
    CHANGE,
    CHECK,
    LOOK,
    WORKING,
    agent,
    delegate,
    finish,
    forced_tool,
    hand_over,
    limits,
    plan,
    played,
    team,
    walled,
    write,
)
from tests.stories.scenes import (
    staged,
    tree,
)
from tests.support.messages_api import Reply, Request
from tests.support.scripts import Script, agent_of, call, reply, text


def looking(turns: int, **more: Any) -> Script:
    """The coder looks around for so many turns, then hands over."""
    return played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(**more)],
            "coder": [LOOK] * turns + [hand_over()],
        }
    )


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
    with staged(looking(9), walled(scope, turns=3)) as stage:
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
