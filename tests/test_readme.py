"""Is what the README shows true?"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from crews.cli.app import program
from crews.errors import EXIT_CODES
from crews.records.chains import for_rule
from crews.teams.loader import check_team, load_team
from crews.teams.spec import Queueing, Stage
from crews.tools.registry import TOOL_NAMES
from tests.support.messages_api import MessagesServer
from tests.support.scripts import call, reply, scripted

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [README, *(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))]


def blocks(language: str) -> list[str]:
    """Code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def named(language: str) -> dict[str, str]:
    """Code blocks of one language by what their first line calls them."""
    return {b.partition("\n")[0].removeprefix("# "): b for b in blocks(language)}


def write_team(folder: Path) -> Path:
    """The team that the README shows, as its three files."""
    folder.mkdir(parents=True)
    for name, block in named("yaml").items():
        if re.fullmatch(r"\w+\.yaml", name):
            (folder / name).write_text(block, encoding="utf-8")
    return folder


def test_the_team_is_right(tmp_path: Path) -> None:
    team = write_team(tmp_path / "team")
    assert {p.name for p in team.iterdir()} == {"agents.yaml", "tasks.yaml", "policy.yaml"}
    assert check_team(team, known_tools=TOOL_NAMES) == ()


def test_the_policy_with_people_is_right_and_says_what_the_table_says(tmp_path: Path) -> None:
    team = write_team(tmp_path / "team")
    text = named("yaml")["policy.yaml, with people"]
    (team / "policy.yaml").write_text(text, encoding="utf-8")
    assert check_team(team, known_tools=TOOL_NAMES) == ()
    policy = load_team(team, known_tools=TOOL_NAMES).policy
    day, hour = 86400, 3600
    assert for_rule(policy, ["published-articles"]) == (
        (Stage(role="editor", within=4.5 * hour, remind=hour), Stage(role="lead", within=2 * day)),
        True,
    )
    assert for_rule(policy, ["another"]) == ((Stage(within=7 * day, remind=day),), False)
    assert policy.queue == Queueing(concurrency=2, starts=30, per=hour)
    assert Queueing() == Queueing(per=hour, priority=100)


def test_the_policy_with_tools_from_outside_is_right(tmp_path: Path) -> None:
    team = write_team(tmp_path / "team")
    agents = (team / "agents.yaml").read_text(encoding="utf-8")
    given = agents.replace("tools: [", 'tools: ["shop.tools:Mail", ', 1)
    (team / "agents.yaml").write_text(given, encoding="utf-8")
    text = named("yaml")["policy.yaml, with tools from outside"]
    (team / "policy.yaml").write_text(text, encoding="utf-8")
    policy = load_team(team, known_tools=TOOL_NAMES).policy
    assert policy.declared("shop.tools:Mail") is not None
    assert {p.severity for p in check_team(team, known_tools=TOOL_NAMES)} <= {"warning"}


def test_every_command_exists() -> None:
    known = set(typer.main.get_command(program()).commands)  # type: ignore[attr-defined]
    commands = "\n".join(found for page in PAGES for found in re.findall(r"`(crews [^`]*)`", page))
    shown = set(re.findall(r"crews ([a-z]+)\b", commands))
    assert shown - {"run"} <= known
    assert "run" in known


def test_the_exit_codes_are_the_real_ones() -> None:
    sentence = README[README.index("Exit codes:") :].partition(".\n")[0]
    assert [int(n) for n in re.findall(r"\b(\d+) [a-z]", sentence)] == list(EXIT_CODES)


def test_the_script_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_team(tmp_path / "teams" / "docs")
    script = scripted({"editor": [reply(call("finish", summary="All sorted.", confidence=0.9))]})
    with MessagesServer(script) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        ran = subprocess.run(
            [sys.executable, "-c", blocks("python")[0]],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert "All sorted." in ran.stdout
