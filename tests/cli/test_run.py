"""Does a run at the command line stream, wait, ask, end and stop as promised?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.cli.run import level
from crews.errors import UsageError
from tests.cli.journal import Journal
from tests.cli.terminal import Terminal
from tests.support.messages_api import MessagesServer
from tests.support.reply import Reply
from tests.support.request import Request
from tests.support.scripts import call, reply, text, turn_of


def chooses_a_port(request: Request) -> Reply:
    """A supervisor that asks one question, then ends."""
    names = {str(tool.get("name", "")) for tool in request.tools}
    if "finish" not in names:
        return reply(text("Port 8080."))
    if turn_of(request) == 0:
        return reply(call("ask_human", question="Which port?", context="There are two."))
    return reply(call("finish", summary="Port chosen.", confidence=0.9))


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesServer]:
    with MessagesServer(chooses_a_port) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
        yield server


def test_a_run_waits_and_says_how_it_goes_on(journal: Journal, model: MessagesServer) -> None:
    ran = journal.process("run", "choose a port")
    assert ran.code == 3, ran.err
    assert ran.out.startswith("# Run `")
    assert "review opened" not in ran.out
    command = next(line for line in ran.err.splitlines() if "inbox answer" in line).split()
    assert command[:3] == ["crews", "inbox", "answer"]
    review = command[3]
    went_on = journal.process("inbox", "answer", review, "8080", "--resume")
    assert went_on.code == 0, went_on.err
    assert "> Port chosen." in went_on.out


def test_json_is_events_and_then_the_result(journal: Journal, model: MessagesServer) -> None:
    ran = journal.process("run", "choose a port", "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert {line["type"] for line in lines[:-1]} == {"event"}
    result = lines[-1]
    assert (result["type"], result["status"], result["exit_code"]) == ("result", "waiting", 3)
    assert [r["kind"] for r in result["reviews"]] == ["question"]
    assert result["usage"]["turns"] == 1
    assert ran.err == ""
    assert ran.code == 3


def test_a_human_at_a_terminal_is_asked_at_once(journal: Journal, model: MessagesServer) -> None:
    with Terminal(["-m", "crews", "run", "choose a port"]) as terminal:
        assert "supervisor" in terminal.expect("Which port?")
        terminal.expect("q leave it open")
        terminal.send("t")
        terminal.expect("your answer:")
        terminal.send("8080\r")
        terminal.expect("Port chosen.")
        assert terminal.ended() == 0
        assert terminal.echoes()


def test_what_is_left_open_at_a_terminal_waits(journal: Journal, model: MessagesServer) -> None:
    with Terminal(["-m", "crews", "run", "choose a port"], {"NO_COLOR": "1"}) as terminal:
        assert "ask_human Which port?" in terminal.expect("q leave it open")
        assert "\x1b[1m" not in terminal.seen
        terminal.send("q")
        terminal.expect("crews inbox answer")
        assert terminal.ended() == 3


def test_ask_prints_the_answer_alone(journal: Journal, model: MessagesServer) -> None:
    ran = journal.process("ask", "Which port?")
    assert (ran.code, ran.out) == (0, "Port 8080.\n"), ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_and_the_run_goes_on_later(
    journal: Journal, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(request: Request) -> Reply:
        time.sleep(20)
        return chooses_a_port(request)

    with MessagesServer(silent) as server:
        environment = {**os.environ, "ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": "t"}
        process = subprocess.Popen(
            [sys.executable, "-m", "crews", "run", "choose a port"],
            env=environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        seen = ""
        while "begins" not in seen:
            line = process.stderr.readline()
            assert line, seen
            seen += line
        process.send_signal(number)
        out, err = process.communicate(timeout=15)
    run = journal.run("runs", "--json").json[0]
    assert process.returncode == 130
    assert err.endswith(f"interrupted; go on with: crews resume {run['id']}\n")
    assert out == ""
    assert run["status"] == "queued"


def test_without_a_model_it_names_the_three_ways_out_and_makes_no_run(journal: Journal) -> None:
    ran = journal.process("run", "x")
    assert ran.code == 4
    assert "no model can be asked" in ran.err
    for way in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "--tape"):
        assert way in ran.err
    assert journal.run("runs", "--json").json == []


@pytest.mark.parametrize(
    "arguments",
    [("--workspace", "/nowhere/at/all"), ("--tape", "/nowhere.yaml"), ("--autonomy", "9"),
     ("--sandbox", "hope"), ("--input", "x")],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_option_makes_no_run(journal: Journal, arguments: tuple[str, ...]) -> None:
    assert journal.run("run", "x", *arguments).code == 2
    assert journal.run("runs", "--json").json == []


def test_levels_have_numbers_and_names() -> None:
    assert [level(n) for n in ("0", "Supervised", "team")] == [0, 2, 4]
    with pytest.raises(UsageError, match="there is no level of autonomy `5`"):
        level("5")


def test_nobody_can_go_on_with_a_run_that_is_not_there(journal: Journal, tmp_path: Path) -> None:
    assert journal.run("resume", "nothing").code == 2
