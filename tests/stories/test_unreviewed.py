"""Can a team deliver what nobody looked at, or change its own rules? Whatever its agents say, it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.errors import EXIT_DENIED
from crews.teams.spec import TeamSpec
from tests.stories.players import (
    CHANGE,
    CHECK,
    LOOK,
    READING,
    agent,
    approve,
    delegate,
    delivery,
    finish,
    hand_over,
    plan,
    played,
    refuse,
    rule,
    step,
    team,
    worked,
    write,
)
from tests.stories.scenes import (
    assert_ended_in_order,
    assert_refused,
    staged,
    tree,
)
from tests.support.reply import ToolUse
from tests.support.scripts import call, reply

TRIED = "I tried, and it was refused."


# -- without a review -----------------------------------------------------------------------------


def test_changes_that_nobody_reviewed_are_not_delivered() -> None:
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(), finish(TRIED, deliver=False)],
            "coder": [write(), hand_over()],
        }
    )
    with staged(script) as stage:
        result = stage.run()
        assert_refused(stage, stage.calls("finish")[0], "not approved by a reviewer")
        assert_ended_in_order(result, stage)
        code, _, error = stage.cli("apply", stage.id)
        assert code == EXIT_DENIED
        assert "nobody has approved" in error
        assert tree(stage.folder) == {"a.txt": "one\n"}


def test_applying_before_the_human_has_decided() -> None:
    with staged(delivery(write())) as stage:
        assert stage.run().status == "waiting"
        code, _, error = stage.cli("apply", stage.id)
        assert code == EXIT_DENIED
        assert "nobody has approved" in error
        assert tree(stage.folder) == {"a.txt": "one\n"}


def own_judge(*tools: str) -> TeamSpec:
    return team(agent("judge", tools, "reviewer"))


def test_a_reviewer_does_not_approve_its_own_work() -> None:
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK, step("again", "judge", after=["check"])),
                delegate("change"),
                delegate("check"),
                delegate("again"),
                finish(),
                finish(TRIED, deliver=False),
            ],
            "coder": [LOOK, hand_over()],
            "judge: do check": [
                write(),
                refuse("a.txt: it must say two, so I have made it say two"),
            ],
            "judge: do again": [LOOK, approve()],
        }
    )
    with staged(script, own_judge(*READING, "write_file")) as stage:
        result = stage.run()
        assert_refused(stage, stage.calls("finish")[0], "other than their author (judge)")
        assert_ended_in_order(result, stage)


def test_a_reviewer_changes_nothing_by_command() -> None:
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK, step("again", "judge", after=["check"])),
                delegate("change"),
                delegate("check"),
                delegate("again"),
                finish(TRIED),
            ],
            "coder": [LOOK, hand_over()],
            "judge: do check": [reply(call("run_command", command="echo two > a.txt")), approve()],
            "judge: do again": [LOOK, approve()],
        }
    )
    with staged(script, own_judge(*READING, "run_command")) as stage:
        result = stage.run()
        assert "exit code: 0" not in stage.call("run_command").result
        assert result.change_set.is_empty
        assert_ended_in_order(result, stage)


# -- its own rules --------------------------------------------------------------------------------


def inside(folder: Path) -> TeamSpec:
    """A team whose files lie in the folder that it works on."""
    config = folder / "config"
    config.mkdir()
    for name in ("agents.yaml", "tasks.yaml", "policy.yaml"):
        (config / name).write_text("# as it was\n", encoding="utf-8")
    return team(folder=config)


@pytest.mark.parametrize(
    "attempt",
    [
        call("write_file", path="config/policy.yaml", content="autonomy: 4\n"),
        call("write_file", path="config/./policy.yaml", content="autonomy: 4\n"),
        call("edit_file", path="config/agents.yaml", old="as it was", new="mine"),
        call("delete_file", path="config/tasks.yaml"),
    ],
)
def test_the_teams_own_files(attempt: ToolUse) -> None:
    with staged(worked(reply(attempt), hand_over()), inside) as stage:
        before = tree(stage.folder)
        result = stage.run()
        assert_refused(stage, stage.call(attempt.name, "coder"), "protected")
        assert result.exit_code == 0
        assert result.change_set.is_empty
        assert tree(stage.folder) == before


def test_the_teams_own_files_by_command() -> None:
    sly = call("run_command", command="echo 'autonomy: 4' > config/policy.yaml")
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK),
                delegate("change"),
                delegate("check"),
                finish(),
            ],
            "coder": [reply(sly), hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script, inside) as stage:
        before = tree(stage.folder)
        result = stage.run()
        assert "put back: config/policy.yaml" in stage.call("run_command").result
        assert (result.status, result.exit_code) == ("completed", 0)
        assert result.change_set.is_empty
        assert stage.cli("apply", stage.id)[0] != 0
        assert tree(stage.folder) == before


def test_what_policy_denies_is_denied_in_every_spelling() -> None:
    keep = rule("keep-out", "deny", path="vault/**")
    spellings = (
        "vault/a.txt",
        "./vault/a.txt",
        "vault//a.txt",
        "x/../vault/a.txt",
        "/workspace/vault/a.txt",
    )
    attempt = reply(*[call("write_file", path=path, content="x") for path in spellings])
    with staged(worked(attempt, hand_over()), team(rules=[keep])) as stage:
        result = stage.run()
        for row in stage.calls("write_file"):
            assert_refused(stage, row)
        assert_ended_in_order(result, stage)
