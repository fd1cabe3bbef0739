"""Does each level of autonomy allow what it says, and nothing more?"""

from __future__ import annotations

import pytest

from crews.errors import EXIT_DENIED
from tests.stories.players import (
    CHANGE,
    CHECK,
    CODER,
    LOOK,
    READING,
    WORKING,
    agent,
    approve,
    delegate,
    delivery,
    finish,
    hand_over,
    job,
    plan,
    played,
    rule,
    team,
    write,
)
from tests.stories.scenes import (
    Stage,
    staged,
    tree,
)
from tests.support.reply import Reply
from tests.support.scripts import call, reply, text, tool_names

ONE = {"a.txt": "one\n"}
ASKS_TO_WRITE = rule("look-first", "ask", tool="write_file")
ASKS_TO_PLAN = rule("plans", "ask", tool="plan")
ASKS_OF_LOGINS = rule("logins", "ask", content="auth")
DENIES = rule("vault", "deny", path="vault/**")
LOGIN = write("login.py", 'def login(password: str) -> bool:\n    return password == "x"\n')


def offered(stage: Stage, name: str) -> set[str]:
    """Every tool that the agent was ever offered."""
    return {tool for r in stage.requests(name) for tool in tool_names(r)}


# -- 0: completion --------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [reply(text("Four.")), reply(text("Four."), call("list_files"))])
def test_level_0_is_one_request_without_tools(answer: Reply) -> None:
    with staged(played({"boss": [answer]})) as stage:
        result = stage.run(autonomy=0)
        assert (result.status, result.exit_code) == ("completed", 0)
        assert result.usage.turns == 1
        assert offered(stage, "boss") == set()
        assert "Four." in result.report
        assert all(c.state == "denied" for c in stage.calls())


# -- 1: assistant ---------------------------------------------------------------------------------


def test_level_1_is_one_round_of_reading() -> None:
    look = reply(call("read_file", path="a.txt"), call("list_files"))
    with staged(played({"boss": [look, reply(text("It says one."))]})) as stage:
        result = stage.run(autonomy=1)
        assert (result.status, result.usage.turns) == ("completed", 2)
        assert offered(stage, "boss") == set(READING)
        assert [c.state for c in stage.calls()] == ["done", "done"]
        assert "It says one." in result.report


def test_level_1_has_no_second_round_and_writes_nothing() -> None:
    worker = team(agent("coder", WORKING), tasks=[job(agent="coder")])
    script = played({"coder": [reply(text("Let me see."), write().blocks[0]), LOOK, LOOK]})
    with staged(script, worker) as stage:
        result = stage.run(autonomy=1)
        assert (result.status, result.usage.turns) == ("completed", 2)
        assert offered(stage, "coder") == set(READING)
        assert stage.call("write_file").state == "denied"
        assert tree(stage.workspace) == ONE


# -- 2: supervised --------------------------------------------------------------------------------


def test_level_2_asks_what_policy_asks() -> None:
    with staged(delivery(write()), team(rules=[ASKS_TO_WRITE, ASKS_TO_PLAN])) as stage:
        stage.run()
        for kind in ("plan", "action", "change_set"):
            assert stage.open_review().kind == kind
            result = stage.go_on("approve")
        assert result.exit_code == 0


# -- 3: autonomous --------------------------------------------------------------------------------


def test_level_3_goes_on_where_nothing_sensitive_is_touched() -> None:
    with staged(delivery(write()), team(rules=[ASKS_TO_WRITE], autonomy=3)) as stage:
        stage.run()
        assert [r.kind for r in stage.reviews()] == ["change_set"]  # it leaves the run: external
        assert "goes on without asking" in stage.call("write_file").reason
        assert tree(stage.folder) == ONE


def test_level_3_asks_of_a_plan() -> None:
    with staged(delivery(write()), team(rules=[ASKS_TO_PLAN], autonomy=3)) as stage:
        stage.run()
        assert stage.open_review().kind == "plan"


@pytest.mark.parametrize("level", [3, 4])
def test_what_is_sensitive_is_asked_at_every_level(level: int) -> None:
    with staged(delivery(LOGIN), team(rules=[ASKS_OF_LOGINS], autonomy=level)) as stage:
        stage.run()
        assert stage.open_review().kind == "action"
        assert stage.open_review().briefing is not None


@pytest.mark.parametrize("level", [2, 3, 4])
def test_what_is_denied_is_denied_at_every_level(level: int) -> None:
    script = delivery(write("vault/key"), deliver=False)
    with staged(script, team(rules=[DENIES], autonomy=level)) as stage:
        assert stage.run().status == "completed"
        assert stage.call("write_file").state == "denied"


# -- 4: team --------------------------------------------------------------------------------------


def test_level_4_plans_and_delegates_beyond_its_plan_without_asking() -> None:
    beyond = reply(call("delegate", agent="coder", task="more", expected_output="more"))
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), beyond, finish()],
            "coder": [LOOK, hand_over()],
        }
    )
    with staged(script, team(rules=[ASKS_TO_PLAN], autonomy=4)) as stage:
        result = stage.run()
        assert (result.status, result.reviews) == ("completed", ())
        assert len(stage.threads("coder")) == 2


def test_level_4_still_asks_before_anything_leaves_the_run() -> None:
    with staged(delivery(write()), team(autonomy=4)) as stage:
        stage.run()
        assert stage.open_review().kind == "change_set"
        assert tree(stage.folder) == ONE


# -- an agent's own level -------------------------------------------------------------------------


def test_an_agent_may_have_a_lower_level_than_its_team() -> None:
    reader = agent("coder", WORKING, autonomy=1)
    answers = (reply(text("Let me see."), *LOOK.blocks), reply(text("There is a.txt.")))
    script = played({"boss": [plan(CHANGE), delegate("change"), finish()], "coder": answers})
    with staged(script, team(reader, autonomy=3)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        assert offered(stage, "coder") == set(READING)
        assert len(stage.requests("coder")) == 2
        assert "There is a.txt." in stage.call("delegate").result


def test_an_agent_of_level_0_answers_once() -> None:
    thinker = agent("coder", WORKING, autonomy=0)
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish()],
            "coder": [reply(text("Forty-two."), *LOOK.blocks)],
        }
    )
    with staged(script, team(thinker)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        assert offered(stage, "coder") == set()
        assert stage.call("list_files").state == "denied"
        assert "Forty-two." in stage.call("delegate").result


def test_an_agent_s_level_does_not_rise_above_its_team_s() -> None:
    eager = agent("coder", WORKING, autonomy=4)
    with staged(delivery(write()), team(eager, rules=[ASKS_TO_WRITE])) as stage:
        stage.run()
        assert stage.open_review().kind == "action"


def test_a_lower_level_asks_where_its_team_would_not() -> None:
    careful = agent("coder", WORKING, autonomy=2)
    with staged(delivery(write()), team(careful, rules=[ASKS_TO_WRITE], autonomy=4)) as stage:
        stage.run()
        assert stage.open_review().kind == "action"


# -- observing ------------------------------------------------------------------------------------


def test_observing_ends_with_a_patch_that_is_never_applied() -> None:
    with staged(delivery(write())) as stage:
        result = stage.run(observe=True)
        assert (result.status, result.exit_code, result.reviews) == ("completed", 0, ())
        assert "+two" in result.change_set.diff
        assert tree(stage.folder) == ONE
        code, _, error = stage.cli("apply", stage.id)
        assert code == EXIT_DENIED
        assert "observation only" in error
        assert "+two" in stage.cli("diff", stage.id)[1]
        assert tree(stage.folder) == ONE


def test_observing_runs_no_command_without_a_sandbox() -> None:
    run = reply(call("run_command", command="echo two > a.txt"))
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(deliver=False)],
            "coder": [run, hand_over()],
        }
    )
    with staged(script, team(CODER, sandbox="none", autonomy=4)) as stage:
        stage.run(observe=True)
        assert stage.call("run_command").state == "denied"
        assert stage.call("run_command").rule == "observe"
        assert tree(stage.workspace) == ONE


def test_commands_without_a_sandbox_are_asked_about() -> None:
    run = reply(call("run_command", command="echo two > a.txt"))
    script = played(
        {
            "boss": [plan(CHANGE, CHECK), delegate("change"), delegate("check"), finish()],
            "coder": [run, hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script, team(sandbox="none")) as stage:
        stage.run()
        assert stage.open_review("action").rule == "default-execute"
        stage.go_on("approve")
        assert stage.call("run_command").state == "done"
        assert stage.go_on("approve", "change_set").exit_code == 0
        assert tree(stage.folder) == {"a.txt": "two\n"}
