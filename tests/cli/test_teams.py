"""Does `check` say what is wrong with a team, or what it declares?"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.cli.journal import Journal

AGENTS = """\
lead:
  role: Lead
  goal: Lead
  backstory: Leads
  oversight:
    duty: supervisor
"""
TASKS = """\
deliver:
  description: Do {goal}
  expected_output: It is done
"""


def a_team(folder: Path, agents: str = AGENTS) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "agents.yaml").write_text(agents, encoding="utf-8")
    (folder / "tasks.yaml").write_text(TASKS, encoding="utf-8")
    return str(folder)


def test_a_right_team_is_described(journal: Journal, tmp_path: Path) -> None:
    ran = journal.run("check", a_team(tmp_path / "small"))
    assert ran.code == 0, ran.err
    assert ran.out.startswith("team small in ")
    assert "lead   supervisor  claude-sonnet-5-5  none" in ran.out
    assert "autonomy 2 (supervised)" in ran.out


def test_for_scripts(journal: Journal, tmp_path: Path) -> None:
    found = journal.run("check", a_team(tmp_path / "small"), "--json").json
    assert found["ok"] is True
    assert found["team"]["agents"][0]["name"] == "lead"


POLICY = """\
rules:
  - {name: careful, when: {effect: write}, ruling: ask, chain: security, four_eyes: true}
  - {name: plain, when: {effect: execute}, ruling: ask, role: boss}
chains:
  security:
    - {role: on_call, within: 4h30m, remind: 1h}
    - {within: 90}
  unused: [{within: 1d}]
daily: {money: 20}
queue: {concurrency: 2, starts: 30, per: 1m}
"""


def test_who_is_asked_is_described(journal: Journal, tmp_path: Path) -> None:
    folder = a_team(tmp_path / "small")
    (tmp_path / "small" / "policy.yaml").write_text(POLICY, encoding="utf-8")
    ran = journal.run("check", folder)
    assert ran.code == 0, ran.err
    assert "policy.yaml:8:3: warning: no rule names the chain 'unused'" in ran.err
    said = re.sub(" +", " ", ran.out)
    assert "careful ask the chain security, not who started the run" in said
    assert "plain ask boss" in said
    assert "security on_call 4h30m 1h\nsecurity as before 1m30s never\n" in said
    assert "unused whom the rule names 1d never" in said
    assert "a day: $20" in said
    assert "queue: at most 2 runs at once, 30 starts in 1m, priority 100" in said
    found = journal.run("check", folder, "--json").json
    assert found["team"]["policy"]["chains"][0]["stages"][0]["within"] == 16200
    assert [w["line"] for w in found["warnings"]] == [8]


def test_every_problem_is_shown_with_its_place(journal: Journal, tmp_path: Path) -> None:
    wrong = AGENTS.replace("goal:", "gaol:").replace("supervisor", "boss")
    folder = a_team(tmp_path / "small", wrong)
    ran = journal.run("check", folder)
    assert ran.code == 2
    assert "agents.yaml:3:3" in ran.err
    assert "gaol: Lead\n" in ran.err
    assert "agents.yaml:6:11" in ran.err
    assert "Traceback" not in ran.err
    found = journal.run("check", folder, "--json").json
    assert (found["error"], found["exit_code"]) == ("TeamError", 2)
    assert found["hint"] == ""
    missing, unknown, duty = found["problems"]
    assert (missing["line"], missing["message"]) == (1, "key 'goal' is missing")
    assert unknown == {
        "file": str(tmp_path / "small" / "agents.yaml"), "line": 3, "column": 3, "length": 4,
        "severity": "error", "message": "unknown key 'gaol'", "source_line": "  gaol: Lead",
        "hint": "did you mean 'goal'?",
    }  # fmt: skip
    assert (duty["line"], duty["column"], duty["message"]) == (6, 11, "'boss' is no duty")


def test_the_schema_for_editors(journal: Journal) -> None:
    for name in ("agents", "tasks", "policy"):
        found = journal.run("schema", name, "--json").json
        assert found["title"] == f"{name}.yaml of a team"
        assert json.loads(journal.run("schema", f"config/{name}.yaml").out) == found
    ran = journal.run("schema", "users")
    assert ran.code == 2
    assert "there is no schema of `users`\n  agents, tasks, policy" in ran.err


def test_no_team_there(journal: Journal, tmp_path: Path) -> None:
    ran = journal.run("check", str(tmp_path / "nowhere"))
    assert ran.code == 2
    assert "there is no team" in ran.err
