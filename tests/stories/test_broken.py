"""What happens when a part breaks? It fails closed, a human is told, and the run keeps its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import crews
from crews import CrewsError, Event
from crews.errors import (
    EXIT_FAILED,
    StoreError,
    WorkspaceError,
)
from crews.safety import policy
from crews.tools.files import ReadFile
from tests.stories.players import (
    CHANGE,
    EVERYBODY,
    LOOK,
    READING,
    agent,
    brief,
    delegate,
    finish,
    hand_over,
    limits,
    plan,
    played,
    rule,
    stubborn,
    team,
    without,
    worked,
    write,
)
from tests.stories.scenes import (
    Stage,
    staged,
    tree,
)
from tests.support.messages_api import Reply, failure
from tests.support.reply import Text
from tests.support.scripts import call, reply, text

ONE = {"a.txt": "one\n"}
LOGIN = write("login.py", 'def login(password: str) -> bool:\n    return password == "x"\n')
ASKS_OF_LOGINS = team(rules=[rule("logins", "ask", content="auth")])


# -- the policy -----------------------------------------------------------------------------------


def test_a_pattern_that_cannot_be_compiled_denies() -> None:
    """The loader refuses such a team; a team that was built by hand meets the gate."""
    broken = rule("broken", "ask", tool="write_file", content="regex:(")
    with staged(worked(write(), hand_over()), team(rules=[broken])) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        row = stage.call("write_file")
        assert (row.state, row.rule) == ("denied", "judge-error")
        assert "could not be judged" in row.result
        assert "could not be judged" in stage.shown()
        assert tree(stage.workspace) == ONE


def test_a_category_that_does_not_exist_denies() -> None:
    broken = rule("broken", "deny", tool="write_file", content="no-such-category")
    with staged(worked(write(), hand_over()), team(rules=[broken])) as stage:
        stage.run()
        assert stage.call("write_file").rule == "judge-error"


def test_a_matcher_that_raises_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise RecursionError("too deep")

    script = stubborn("boss", [plan(CHANGE), delegate("change"), *[finish()] * 9], worked())
    with staged(script, team(agent("boss", READING, "supervisor", max_iter=4))) as stage:
        monkeypatch.setattr(policy, "sensitive", broken)
        result = stage.run()
        # Nothing at all can be judged, so nothing happens: no plan, no work, no delivery.
        assert result.status == "failed"
        assert {c.state for c in stage.calls()} == {"denied"}
        assert result.exit_code != 0
        assert tree(stage.workspace) == ONE


def test_a_broken_policy_delivers_nothing() -> None:
    broken = rule("broken", "allow", tool="apply", content="regex:(")
    script = played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(), finish(deliver=False)],
            "coder": [write(), hand_over()],
        }
    )
    alone = without(team(rules=[broken]), "judge")
    with staged(script, alone) as stage:
        stage.run()
        assert "judge-error" in stage.calls("finish")[0].result
        assert tree(stage.folder) == ONE


# -- the escalation agent -------------------------------------------------------------------------


OFFICERS: dict[str, tuple[Sequence[Any], str]] = {
    "an error": ([failure(400, "broken")], "400"),
    "a refused key": ([failure(401, "who?")], "refused the key"),
    "garbage": (
        [reply(text("%$&/")), reply(text("()=")), *[reply(text("..."))] * 9],
        "without a brief",
    ),
    "a refusal": (
        [Reply((Text("I would rather not."),), stop_reason="refusal")] * 9,
        "without a brief",
    ),
    "no end": ([LOOK] * 20, "without a brief"),
    "wrong arguments": ([reply(call("brief", what="x"))] * 20, "without a brief"),
    "wrong risk": ([brief(risk="none whatsoever")] * 20, "without a brief"),
}


@pytest.mark.parametrize("how", OFFICERS)
def test_a_broken_escalation_agent_does_not_keep_the_question_from_the_human(how: str) -> None:
    answers, note = OFFICERS[how]
    script = stubborn("officer", answers, worked(LOGIN, hand_over()))
    with staged(script, ASKS_OF_LOGINS) as stage:
        result = stage.run()
        assert result.status == "waiting"
        review = stage.open_review("action")
        assert review.briefing is None
        assert note in review.brief_note
        # The facts are there all the same.
        assert "login.py" in review.about["diff"]
        assert review.rule == "logins"
        assert "auth" in review.findings
        assert len(stage.requests("officer")) <= 6
        code, shown, _ = stage.cli("inbox", "show", review.id)
        assert code == 0
        assert "no brief" in shown
        assert stage.go_on("approve").exit_code == 0


def test_a_team_without_an_escalation_agent_asks_all_the_same() -> None:
    without = ASKS_OF_LOGINS.model_copy(
        update={"agents": tuple(a for a in EVERYBODY if a.name != "officer")}
    )
    with staged(worked(LOGIN, hand_over()), without) as stage:
        stage.run()
        assert "no escalation agent" in stage.open_review("action").brief_note


LOOKS = worked(LOOK, hand_over())


# -- the surroundings -----------------------------------------------------------------------------


def test_a_listener_that_raises_stops_nothing() -> None:
    def listen(event: Event) -> None:
        raise ValueError(event.kind)

    with staged(LOOKS) as stage:
        assert stage.run(on_event=listen).exit_code == 0


def test_a_tool_that_raises_is_told_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> Any:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(ReadFile, "run", broken)
    with staged(worked(reply(call("read_file", path="a.txt")), hand_over())) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        row = stage.call("read_file")
        assert row.state == "failed"
        assert "ZeroDivisionError" in row.result


def test_a_preview_that_raises_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(ReadFile, "preview", broken)
    with staged(worked(reply(call("read_file", path="a.txt")), hand_over())) as stage:
        stage.run()
        assert stage.call("read_file").state == "denied"


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_home_that_cannot_be_written(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path("blocked").resolve()
    if place == "file":
        home.write_text("in the way\n", encoding="utf-8")
    else:
        (home / "crews.db").mkdir(parents=True)
    monkeypatch.setenv("CREWS_HOME", str(home))
    with staged(LOOKS) as stage:
        with pytest.raises(StoreError, match="journal cannot be used") as error:
            crews.kickoff("x", team=stage.team, workspace=stage.folder, settings=stage.settings)
        assert "CREWS_HOME" in error.value.hint
        code, _, told = stage.cli("runs")
        assert code == EXIT_FAILED
        assert "CREWS_HOME" in told
        assert not stage.server.requests


def test_a_workspace_that_cannot_be_made() -> None:
    with staged(LOOKS) as stage:
        stage.settings.home.mkdir(parents=True)
        (stage.settings.home / "runs").write_text("in the way\n", encoding="utf-8")
        with pytest.raises(WorkspaceError, match="cannot be copied"):
            stage.run()
        assert not stage.server.requests


def full(stage: Stage, table: str, what: str) -> Callable[[], None]:
    """Have every such write to the journal fail, as on a full disk; returns how that is undone."""
    database = stage.settings.home / "crews.db"
    name = f"full_{table}"
    stop = "SELECT RAISE(ABORT, 'database or disk is full');"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"CREATE TRIGGER {name} BEFORE {what} ON {table} BEGIN {stop} END")
        connection.commit()

    def undo() -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"DROP TRIGGER {name}")
            connection.commit()

    return undo


@pytest.mark.parametrize(
    ("table", "what"), [("turns", "INSERT"), ("audit", "INSERT"), ("calls", "UPDATE")]
)
def test_a_journal_that_cannot_be_written_any_more(table: str, what: str) -> None:
    """What cannot be recorded does not happen; with room on the disk the run goes on."""
    undo: list[Callable[[], None]] = []
    with staged(worked(write(), hand_over())) as stage:

        def listen(event: Event) -> None:
            if event.kind == "thread_started" and event.agent == "coder" and not undo:
                undo.append(full(stage, table, what))

        with pytest.raises(StoreError, match="disk is full") as error:
            stage.run(on_event=listen)
        assert "free space" in error.value.hint
        assert tree(stage.workspace) == ONE
        undo[0]()
        result = stage.resume()
        assert (result.status, result.exit_code) == ("completed", 0)
        assert (stage.workspace / "a.txt").read_text() == "two\n"
        assert stage.audit()


def test_a_budget_that_cannot_be_recorded_is_not_spent() -> None:
    with staged(LOOKS, team(limits=limits(turns=50))) as stage:
        undo: list[Callable[[], None]] = []

        def listen(event: Event) -> None:
            if event.kind == "run_started" and not undo:
                undo.append(full(stage, "spend", "INSERT"))

        with pytest.raises(CrewsError, match="disk is full"):
            stage.run(on_event=listen)
        assert not stage.server.requests
        undo[0]()
        assert stage.resume().exit_code == 0
