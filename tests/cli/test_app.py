"""Does the program say how it is used, load little, and end with the promised codes?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
import typer

from crews.cli.app import program
from crews.errors import EXIT_CODES
from tests.cli.journal import Journal

HEAVY = ("crewai", "anthropic", "dbos")


def loaded(*arguments: str) -> set[str]:
    """The top modules that a command has loaded when it ends."""
    code = (
        "import sys\nfrom crews.cli.app import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('\\n' + ' '.join({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_the_help_lists_every_exit_code(journal: Journal) -> None:
    ran = journal.run("--help")
    listed = re.findall(r"^ +(\d+)  (\S.*)$", ran.out.partition("Exit codes:")[2], re.MULTILINE)
    assert {int(code): meaning for code, meaning in listed} == EXIT_CODES
    assert ran.code == 0


def test_every_command_is_there(journal: Journal) -> None:
    commands = journal.run("--help").out.partition("Commands:")[2].partition("Exit codes")[0]
    assert set(re.findall(r"^  (\w+)  ", commands, re.MULTILINE)) == {
        "run", "ask", "demo", "resume", "check", "inbox", "runs", "stop", "diff", "apply", "undo",
        "cost", "users", "whoami", "notify", "worker", "workers", "schema", "watch", "schedules",
        "export", "purge", "audit", "explain",
    }  # fmt: skip


def test_a_command_is_the_same_when_it_is_loaded_alone() -> None:
    every = group(program())
    for name in every.commands:
        alone = group(program(name))
        assert list(alone.commands) == [name]
        assert helped(alone, name) == helped(every, name)


def group(app: typer.Typer) -> Any:
    return typer.main.get_command(app)


def helped(command: Any, *names: str) -> list[str]:
    """The help of a command, and of each below it."""
    context = typer.Context(command)
    for name in names:
        command = command.commands[name]
        context = typer.Context(command, parent=context, info_name=name)
    below = getattr(command, "commands", {})
    return [command.get_help(context), *(text for name in below for text in helped(command, name))]


def test_a_check_leaves_the_environment_as_it_was(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    for said in ("mine", None):
        if said is None:
            monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS")
        else:
            monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", said)
        assert journal.run("check").code == 0
        assert os.environ.get("PYDANTIC_DISABLE_PLUGINS") == said


def test_the_version(journal: Journal) -> None:
    assert re.fullmatch(r"crews \d+\.\d+\.\d+\n", journal.run("--version").out)


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("check",), ("inbox",), ("runs",), ("cost",), ("run", "--help")],
    ids=" ".join,
)
def test_looking_loads_no_framework(journal: Journal, arguments: tuple[str, ...]) -> None:
    found = loaded(*arguments)
    assert not found & set(HEAVY)
    assert "typer" in found


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("check",)], ids=" ".join)
def test_the_database_is_loaded_only_where_it_is_needed(
    journal: Journal, arguments: tuple[str, ...]
) -> None:
    assert "sqlalchemy" not in loaded(*arguments)
    assert not list(journal.home.iterdir())


def test_a_look_at_the_inbox_loads_no_database_library(journal: Journal) -> None:
    assert journal.run("inbox").code == 0  # makes the journal
    assert "sqlalchemy" not in loaded("inbox")
    assert "sqlalchemy" in loaded("inbox", "--mine")


def test_a_wrong_command_line_says_what_is_meant(journal: Journal) -> None:
    ran = journal.run("rnu")
    assert ran.code == 2
    assert "error: No such command 'rnu'. Did you mean 'run'?\n  `crews --help`" in ran.err
    assert journal.run("run").code == 2
    assert "`crews run --help`" in journal.run("run", "x", "--wrong").err


def test_with_json_an_error_is_an_object_on_stdout(journal: Journal) -> None:
    ran = journal.run("runs", "show", "nothing", "--json")
    assert ran.json == {
        "type": "error", "error": "UsageError", "what": "there is no run `nothing`", "where": "",
        "hint": "`crews runs` lists them", "exit_code": 2, "problems": [], "notes": [],
    }  # fmt: skip
    assert ran.err == ""
    wrong = journal.run("rnu", "--json")
    assert (wrong.code, wrong.json["exit_code"]) == (2, 2)


def test_no_argument_shows_the_help(journal: Journal) -> None:
    ran = journal.run()
    assert ran.code == 2
    assert "Commands:" in ran.err


def test_completion_installs(journal: Journal) -> None:
    environment = {"SHELL": "/bin/bash", "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    ran = journal.process("--install-completion", "bash", environment=environment)
    assert ran.code == 0, ran.err
    assert "completion installed in" in ran.out
    assert os.environ["HOME"] in ran.out
