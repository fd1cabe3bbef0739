"""What happens when a part breaks? It fails closed, a human is told, and the run keeps its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import crews
from crews import CrewsError, Event
from crews.errors import EXIT_FAILED, EXIT_KEY, KeyMissing, ModelAuthError, StoreError, WorkspaceError
from crews.safety import policy
from crews.tools.files import ReadFile
from tests.stories.scenes import (
    CHANGE,
    EVERYBODY,
    LOOK,
    READING,
    Stage,
    agent,
    brief,
    delegate,
    delivery,
    finish,
    hand_over,
    limits,
    plan,
    played,
    rule,
    staged,
    team,
    tree,
    write,
)
from tests.support.messages_api import Reply, Request, failure
from tests.support.reply import Fault, Text
from tests.support.scripts import Script, agent_of, call, last_results, reply, text, turn_of

ONE = {"a.txt": "one\n"}
LOGIN = write("login.py", 'def login(password: str) -> bool:\n    return password == "x"\n')
ASKS_OF_LOGINS = team(rules=[rule("logins", "ask", content="auth")])


def worked(*coder: Any) -> Script:
    """The coder works; nothing is delivered."""
    return played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(deliver=False)],
            "coder": coder,
        }
    )


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
        assert result.status == "completed"
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
    alone = replace_reviewer(team(rules=[broken]))
    with staged(script, alone) as stage:
        stage.run()
        assert "judge-error" in stage.calls("finish")[0].result
        assert tree(stage.folder) == ONE


def replace_reviewer(found: crews.Team) -> crews.Team:
    """The team without its reviewer."""
    agents = tuple(a for a in found.agents if a.name != "judge")
    return found.model_copy(update={"agents": agents})


# -- the escalation agent -------------------------------------------------------------------------


OFFICERS: dict[str, tuple[Sequence[Any], str]] = {
    "an error": ([failure(400, "broken")], "400"),
    "a refused key": ([failure(401, "who?")], "refused the key"),
    "garbage": ([reply(text("%$&/")), reply(text("()=")), *[reply(text("..."))] * 9], "without a brief"),
    "a refusal": ([Reply((Text("I would rather not."),), stop_reason="refusal")] * 9, "without a brief"),
    "no end": ([LOOK] * 20, "without a brief"),
    "wrong arguments": ([reply(call("brief", what="x"))] * 20, "without a brief"),
    "wrong risk": ([brief(risk="none whatsoever")] * 20, "without a brief"),
}


def stubborn(name: str, answers: Sequence[Reply], others: Script) -> Script:
    """An agent that gives its answers even where it is made to call a tool."""

    def answer(request: Request) -> Reply:
        return answers[turn_of(request)] if agent_of(request) == name else others(request)

    return answer


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


# -- the model ------------------------------------------------------------------------------------


class Flaky:
    """A model that fails so many times for one agent, and then works."""

    def __init__(self, script: Script, name: str, failures: Sequence[Reply]) -> None:
        self._script, self._name, self._failures = script, name, list(failures)

    def __call__(self, request: Request) -> Reply:
        """Fail, or answer."""
        if agent_of(request) == self._name and self._failures:
            return self._failures.pop(0)
        return self._script(request)


BUSY = failure(529, "Overloaded", retry_after=0.01)
LOOKS = worked(LOOK, hand_over())


def test_an_outage_waits_for_a_human_and_goes_on() -> None:
    fallback = agent("coder", READING, fallback=("claude-haiku-5-5",))
    model = Flaky(LOOKS, "coder", [BUSY] * 10)
    with staged(model, team(fallback)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("waiting", 3)
        review = stage.open_review("model")
        assert "claude-sonnet-5-5" in review.reason and "claude-haiku-5-5" in review.reason
        assert {r.model for r in stage.requests("coder")} == {"claude-sonnet-5-5", "claude-haiku-5-5"}
        boss = len(stage.requests("boss"))
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        # What had been paid for was not bought again.
        assert len(stage.requests("boss")) == boss + 1
        assert result.usage.turns == 5


def test_a_fallback_answers_where_the_first_model_does_not() -> None:
    fallback = agent("coder", READING, fallback=("claude-haiku-5-5",))

    def model(request: Request) -> Reply:
        down = agent_of(request) == "coder" and request.model == "claude-sonnet-5-5"
        return BUSY if down else LOOKS(request)

    with staged(model, team(fallback)) as stage:
        result = stage.run()
        assert (result.status, result.reviews) == ("completed", ())
        assert "claude-haiku-5-5" in stage.shown()


def test_stopping_at_an_outage_ends_the_run_even_if_the_model_is_back() -> None:
    with staged(Flaky(LOOKS, "coder", [failure(400)])) as stage:
        stage.run()
        sent = len(stage.server.requests)
        result = stage.go_on("stop")
        assert (result.status, result.exit_code) == ("stopped", EXIT_FAILED)
        assert len(stage.server.requests) == sent


def test_an_outage_that_goes_on_is_asked_about_again() -> None:
    with staged(Flaky(LOOKS, "coder", [failure(400)] * 2)) as stage:
        stage.run()
        assert stage.go_on("approve").status == "waiting"
        assert stage.go_on("approve").exit_code == 0
        assert len(stage.reviews("model")) == 2


def test_a_refused_key() -> None:
    def strict(request: Request) -> Reply:
        key = f"{request.headers.get('x-api-key')} {request.headers.get('authorization')}"
        return LOOKS(request) if "good" in key else failure(401, "invalid x-api-key")

    with staged(strict, key="bad") as stage:
        with pytest.raises(ModelAuthError, match="refused the key") as refused:
            stage.run()
        assert refused.value.exit_code == EXIT_KEY
        assert "bad" not in str(refused.value).split()
        assert (stage.row.status, stage.row.exit_code) == ("failed", EXIT_KEY)
        assert stage.cli("resume", stage.id, "--no-input")[0] == EXIT_KEY
        good = stage.settings.model_copy(update={"api_key": SecretStr("good")})
        result = crews.resume(stage.id, settings=good)
        assert (result.status, result.exit_code) == ("completed", 0)


def test_no_key_at_all() -> None:
    with staged(LOOKS) as stage:
        nothing = stage.settings.model_copy(update={"api_key": None, "base_url": None})
        with pytest.raises(KeyMissing) as missing:
            crews.kickoff("x", team=stage.team, settings=nothing)
        assert missing.value.exit_code == EXIT_KEY
        assert "ANTHROPIC_API_KEY" in missing.value.hint


@pytest.mark.parametrize(
    "fault", ["hang_up", "cut", "truncated", "garbled", "error_event", "bad_input"]
)
def test_an_answer_that_breaks_off_is_asked_for_again(fault: Fault) -> None:
    broken = replace(write(), fault=fault)
    with staged(Flaky(worked(write(), hand_over()), "coder", [broken])) as stage:
        result = stage.run()
        assert (result.status, result.reviews) == ("completed", ())
        assert len(stage.requests("coder")) == 3
        assert stage.call("write_file").state == "done"  # and only once


def test_a_call_that_was_cut_off_does_not_happen() -> None:
    heard: list[str] = []

    def hear(request: Request) -> Reply:
        heard.extend(r.text for r in last_results(request))
        return hand_over()

    cut = replace(
        reply(call("list_files"), call("write_file", path="a.txt", content="tw")),
        stop_reason="max_tokens",
    )
    with staged(worked(cut, hear)) as stage:
        assert stage.run().exit_code == 0
        assert not stage.calls("write_file")
        assert stage.call("list_files").state == "done"
        assert "cut off at the length limit" in heard[1]
        assert tree(stage.workspace) == ONE


def test_a_model_that_never_calls_a_tool_is_ended() -> None:
    chatty = agent("coder", READING, max_iter=3)
    answers = [reply(text("I am working on it."))] * 9
    script = stubborn("coder", answers, worked())
    with staged(script, team(chatty)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        assert len(stage.requests("coder")) == 5
        (coder,) = stage.threads("coder")
        assert "it made no hand-over of its own" in coder.flagged
        assert "I am working on it." in stage.call("delegate").result


@pytest.mark.parametrize("said", [(Text("I cannot help with that."),), ()])
@pytest.mark.parametrize("why", ["refusal", "end_turn"])
def test_a_model_that_refuses_or_says_nothing_ends_in_order(said: Any, why: Any) -> None:
    short = agent("coder", READING, max_iter=2)
    silent = Reply(said, stop_reason=why)
    with staged(stubborn("coder", [silent] * 9, worked()), team(short)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code, result.reviews) == ("completed", 0, ())
        assert "it made no hand-over of its own" in stage.threads("coder")[0].flagged


def test_a_supervisor_that_never_finishes_is_a_failure() -> None:
    script = stubborn("boss", [LOOK] * 9, worked())
    with staged(script, team(agent("boss", READING, "supervisor", max_iter=3))) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", EXIT_FAILED)
        assert "ended by the engine" in result.report


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


@pytest.mark.parametrize(("table", "what"), [("turns", "INSERT"), ("audit", "INSERT"), ("calls", "UPDATE")])
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
            if event.kind == "thread_started" and not undo:
                undo.append(full(stage, "spend", "INSERT"))

        with pytest.raises(CrewsError, match="disk is full"):
            stage.run(on_event=listen)
        assert not stage.server.requests
        undo[0]()
        assert stage.resume().exit_code == 0
