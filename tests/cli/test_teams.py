"""Does `check` say what is wrong with a team, or what it declares?"""

from __future__ import annotations

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
    assert len(found["problems"]) >= 2


def test_no_team_there(journal: Journal, tmp_path: Path) -> None:
    ran = journal.run("check", str(tmp_path / "nowhere"))
    assert ran.code == 2
    assert "there is no team" in ran.err
