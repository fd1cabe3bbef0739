"""Does `explain` say what each tool does, by which arguments it is aimed, and what is asked?"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.journal import Journal

AGENTS = """\
lead: {role: L, goal: g, backstory: b, oversight: {duty: supervisor}}
clerk:
  role: C
  goal: g
  backstory: b
  tools: [read_file, run_command, "shop.tools:Mail", "shop.tools:Pay"]
"""
TASKS = 'do: {description: "{goal}", expected_output: x}\n'
POLICY = """\
autonomy: 3
tools:
  shop.tools:Mail:
    effect: external
    arguments: {to: target, body: content}
  look_up: {effect: read, trusted_fields: [email]}
rules:
  - name: named-mail
    when: {effect: external, labels: grounded}
    ruling: allow
"""


@pytest.fixture
def shop(tmp_path: Path) -> str:
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, text in (("agents", AGENTS), ("tasks", TASKS), ("policy", POLICY)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return str(folder)


def test_roles_results_and_rulings_are_shown(journal: Journal, shop: str) -> None:
    ran = journal.run("explain", shop)
    assert ran.code == 0, ran.err
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert (
        "shop.tools:Mail external to: target, body: content, any other: target untrusted" in lines
    )
    assert "shop.tools:Pay external every one: target untrusted" in lines
    assert "look_up read every one: target untrusted, but email: trusted" in lines
    assert (
        "clerk shop.tools:Mail external allow (named-mail) ask (default-external, ungrounded)"
        in lines
        or "clerk shop.tools:Mail external allow (named-mail) ask (ungrounded, default-external)"
        in lines
    )
    assert "clerk run_command execute allow (default-execute) allow (default-execute)" in lines


def test_one_tool_as_json(journal: Journal, shop: str) -> None:
    found = journal.run("explain", shop, "--tool", "shop.tools:Mail", "--json").json
    (tool,) = found["tools"]
    assert tool["arguments"] == {"to": "target", "body": "content"}
    assert tool["others"] == "target"
    assert [use["agent"] for use in found["uses"]] == ["clerk"]


def test_a_tool_that_nobody_has(journal: Journal, shop: str) -> None:
    ran = journal.run("explain", shop, "--tool", "mail")
    assert ran.code == 2
    assert "no agent has the tool `mail`" in ran.err
    assert "shop.tools:Mail" in ran.err


def test_a_team_without_tools(journal: Journal, tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(AGENTS.splitlines()[0] + "\n", encoding="utf-8")
    (tmp_path / "tasks.yaml").write_text(TASKS, encoding="utf-8")
    ran = journal.run("explain", str(tmp_path))
    assert ran.code == 0
    assert "has a tool" in ran.out
    assert ran.out.startswith("no agent of team")


def test_the_bundled_team_is_explained_without_loading_the_frameworks(journal: Journal) -> None:
    ran = journal.process("explain", "--json")
    assert ran.code == 0, ran.err
    assert {tool["name"] for tool in ran.json["tools"]} >= {
        "read_file",
        "run_command",
        "write_file",
    }
