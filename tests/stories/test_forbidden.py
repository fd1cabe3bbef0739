"""What becomes of a model that tries everything that is forbidden? Nothing, and everybody can see that it tried."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from crews import logs
from crews.errors import EXIT_BUDGET, EXIT_DENIED
from tests.stories.players import (
    BOSS,
    CHANGE,
    LOOK,
    READING,
    WORKING,
    agent,
    delegate,
    delivery,
    finish,
    hand_over,
    plan,
    played,
    step,
    team,
    walled,
    worked,
    write,
)
from tests.stories.scenes import (
    assert_ended_in_order,
    assert_refused,
    occurrences,
    staged,
    tree,
)
from tests.support.scripts import Script, Step, call, last_results, reply

TRIED = "I tried, and it was refused."


@pytest.fixture
def outside() -> Path:
    """Something of the user's beside the folder that is worked on."""
    folder = Path("outside").resolve()
    folder.mkdir()
    (folder / "treasure.txt").write_text("gold\n", encoding="utf-8")
    return folder


def attempts(*work: Step) -> Script:
    """The coder tries, and hands over; nothing is delivered."""
    return worked(*work, hand_over())


# -- out of the workspace -------------------------------------------------------------------------


PATHS = (
    "../outside/treasure.txt",
    "sub/../../outside/treasure.txt",
    "{outside}/treasure.txt",
    "/workspace/../outside/treasure.txt",
    ".git/hooks/pre-commit",
)


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("write_file", {"content": "stolen"}),
        ("edit_file", {"old": "gold", "new": "stolen"}),
        ("delete_file", {}),
        ("read_file", {}),
    ],
)
def test_a_path_out_of_the_workspace(tool: str, arguments: dict[str, str], outside: Path) -> None:
    tries = [call(tool, path=path.format(outside=outside), **arguments) for path in PATHS]
    with staged(attempts(reply(*tries))) as stage:
        result = stage.run()
        for row in stage.calls(tool, "coder"):
            assert_refused(stage, row)
        assert_ended_in_order(result, stage)
        assert tree(outside) == {"treasure.txt": "gold\n"}
        assert not occurrences("gold\n", stage.settings.home)


@pytest.mark.parametrize("path", ["door/treasure.txt", "window"])
def test_a_link_out_of_the_users_folder(path: str, outside: Path) -> None:
    """It is not copied, so the agent makes a file of its own; not even with consent does that go through."""
    with staged(delivery(write(path, "stolen"))) as stage:
        (stage.folder / "door").symlink_to(outside)
        (stage.folder / "window").symlink_to(outside / "treasure.txt")
        before = tree(stage.folder)
        assert stage.run().status == "waiting"
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 1)
        assert path.partition("/")[0] in result.reason
        assert tree(stage.folder) == before
        assert tree(outside) == {"treasure.txt": "gold\n"}


def test_a_link_that_a_command_makes(outside: Path) -> None:
    link = f"ln -s {outside} door; echo stolen > door/treasure.txt; cat door/treasure.txt"
    with staged(attempts(reply(call("run_command", command=link)), write("door/new.txt"))) as stage:
        result = stage.run()
        assert "gold" not in stage.call("run_command").result
        assert_refused(stage, stage.call("write_file"))
        assert_ended_in_order(result, stage)
        assert tree(outside) == {"treasure.txt": "gold\n"}


def test_reading_through_a_link_out_of_the_users_folder(outside: Path) -> None:
    tries = [call("read_file", path="door/treasure.txt"), call("read_file", path="window")]
    with staged(attempts(reply(*tries, call("search", pattern="gold")))) as stage:
        (stage.folder / "door").symlink_to(outside)
        (stage.folder / "window").symlink_to(outside / "treasure.txt")
        stage.run()
        for row in stage.calls("read_file", "coder"):
            assert_refused(stage, row)
        assert "treasure" not in stage.call("search").result
        assert not occurrences("gold\n", stage.settings.home)


# -- secrets of the crew's own process ------------------------------------------------------------

LEAKS = (
    "env | grep -c STORY_; true",
    "tr '\\0' '\\n' < /proc/$PPID/environ | grep -c STORY_; true",
    "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c ^STORY_; true",
    "python3 -c 'import os; print(sum(n.startswith(\"STORY_\") for n in os.environ))'",
)


def test_the_environment_of_the_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    canary, token = f"canary{secrets.token_hex(8)}", f"tk{secrets.token_hex(12)}"
    monkeypatch.setenv("STORY_CANARY", canary)
    monkeypatch.setenv("STORY_API_TOKEN", token)
    show = reply(call("run_command", command="env; cat /proc/[0-9]*/environ"))
    leaks = reply(*[call("run_command", command=command) for command in LEAKS])
    copied = reply(call("read_file", path="copied.txt"))
    files = {"a.txt": "one\n", "copied.txt": f"the user has left {token} here\n"}
    with staged(attempts(show, leaks, copied), files=files) as stage:
        logs.set_up(stage.settings)
        tape = Path("tape.yaml").resolve()
        result = stage.run(record=tape)
        assert result.exit_code == 0
        counted = [c.result.split()[-1] for c in stage.calls("run_command")[1:]]
        assert counted == ["0"] * len(LEAKS)
        found = occurrences(canary, stage.settings.home) + occurrences(canary, stage.folder)
        assert not found
        assert canary not in tape.read_text() and token not in tape.read_text()
        # The run's copy of the user's own file holds what the file holds; nothing else does.
        copies = {p.name for p in occurrences(token, stage.settings.home)}
        assert copies == {"copied.txt"}
        assert not any(token.encode() in r.body for r in stage.server.requests)


# -- what it was not given ------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["run_command", "apply", "bash", "delegate", "finish"])
def test_a_tool_that_the_agent_does_not_have(tool: str) -> None:
    attempt = reply(call(tool, command="id", step="change", summary="x", confidence=1))
    with staged(attempts(attempt), team(agent("coder", READING))) as stage:
        result = stage.run()
        row = stage.call(tool, "coder")
        assert_refused(stage, row, f"you have no tool `{tool}`")
        assert row.rule == "not-granted"
        assert_ended_in_order(result, stage)


def test_more_tools_than_the_agent_has_cannot_be_handed_on() -> None:
    script = played(
        {
            "boss": [
                plan(CHANGE),
                delegate("change", tools=["read_file", "run_command"]),
                delegate("change", tools=["read_file"]),
                finish(TRIED),
            ],
            "coder": [reply(call("list_files")), hand_over()],
        }
    )
    with staged(script, team(agent("coder", READING))) as stage:
        result = stage.run()
        refused, granted = stage.calls("delegate")
        assert_refused(stage, refused, "run_command")
        assert granted.state == "done"
        # The second delegation has what it was given, and not what its agent has beside it.
        (offered,) = {tuple(t["name"] for t in r.tools) for r in stage.requests("coder")}
        assert offered == ("read_file", "hand_over")
        assert_refused(stage, stage.call("list_files", "coder"), "you have no tool")
        assert_ended_in_order(result, stage)


def test_an_agent_that_does_not_exist_gets_no_work() -> None:
    ghost = call("delegate", agent="ghost", task="haunt", expected_output="fear")
    script = played({"boss": [plan(step("s", "ghost")), plan(CHANGE), reply(ghost), finish(TRIED)]})
    with staged(script) as stage:
        result = stage.run()
        assert_refused(stage, stage.calls("plan")[0], "no agent `ghost`")
        assert_refused(stage, stage.call("delegate"), "no agent `ghost`")
        assert len(stage.threads()) == 1
        assert_ended_in_order(result, stage)


# -- beyond its budget ----------------------------------------------------------------------------


WALLS: dict[str, Any] = {
    "tokens": 1500,
    "money": "0.002",
    "wall_seconds": 0.000001,
    "turns": 1,
    "calls": 1,
}


@pytest.mark.parametrize("kind", WALLS)
@pytest.mark.parametrize("scope", ["limits", "delegation"])
def test_spending_past_a_limit(kind: str, scope: str) -> None:
    two = reply(call("write_file", path="a.txt", content="two\n"), call("list_files"))
    walls = walled(scope, **{kind: WALLS[kind]})
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(), finish(deliver=False)],
            "coder": [two, LOOK, hand_over()],
        }
    )
    with staged(script, walls) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("waiting", 3)
        review = stage.open_review("budget")
        assert review.about["which"] == kind
        before = len(stage.server.requests)
        assert stage.resume().status == "waiting"  # asking again opens no second door
        assert len(stage.server.requests) == before
        result = stage.go_on("reject")
        assert (result.status, result.exit_code) == ("completed", EXIT_BUDGET)
        assert review.id in stage.shown()
        assert [e.kind for e in stage.audit("review_opened")] == ["review_opened"]
        assert tree(stage.folder) == {"a.txt": "one\n"}
        assert stage.cli("apply", stage.id)[0] in {EXIT_DENIED, 2}  # 2: nothing was changed


def test_what_was_tried_is_told_to_who_leads() -> None:
    """A worker's denied call is in its own answer's results: it can say what it could not do."""
    seen: list[str] = []

    def tell(request: Any) -> Any:
        seen.extend(r.text for r in last_results(request))
        return hand_over(TRIED)

    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(TRIED)],
            "coder": [write("../x"), tell],
        }
    )
    with staged(script, team(BOSS, agent("coder", WORKING))) as stage:
        assert stage.run().exit_code == 0
        assert len(seen) == 1
        assert "../x" in seen[0]
