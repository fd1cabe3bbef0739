"""Are placeholders found, filled and missed as CrewAI does, with the place where each stands?"""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.errors import TeamError
from crews.teams.inputs import filled_text
from crews.teams.loader import check_team, fill, load_team, placeholders
from crews.teams.source import Problem
from crews.teams.spec import AgentSpec, TaskSpec, TeamSpec
from tests.teams.builders import AGENTS, TASKS, Write

TOOLS = frozenset({"look", "touch"})


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("about {topic}, {topic}", "about bees, bees"),
        ('{"key": "{topic}", "n": {"m": 1}}', '{"key": "bees", "n": {"m": 1}}'),
        ("{} { topic } {1} {a.b} {a b} {{topic}}", "{} { topic } {1} {a.b} {a b} {bees}"),
        ("{other-name}", "{topic}"),
        ("no braces", "no braces"),
    ],
)
def test_only_names_in_braces_are_filled(text: str, filled: str) -> None:
    assert filled_text(text, {"topic": "bees", "other-name": "{topic}"}) == filled


def test_every_text_of_a_team_is_filled(write: Write) -> None:
    agents = AGENTS.replace("role: Lead", "role: Lead of {a}").replace("Do it", "Do {b}")
    tasks = TASKS.replace("A note", "A note on {c}").replace(
        "  agent: worker",
        "  agent: worker\n  output_file: out/{d}.md\n  oversight: {acceptance: 'like {e}'}",
    )
    team = load_team(write(agents, tasks), known_tools=TOOLS)
    assert placeholders(team) == ("a", "b", "c", "d", "e", "goal")
    done = fill(team, {**{name: name.upper() for name in "abcde"}, "goal": "the {goal}"})
    assert done.agent("lead").role == "Lead of A"
    assert done.agent("worker").goal == "Do B"
    first, second = done.tasks
    assert (first.description, first.expected_output) == ("Look at the {goal}", "A note on C")
    assert (second.output_file, second.oversight.acceptance) == ("out/D.md", "like E")
    assert done.sources == team.sources


def test_missing_inputs_are_named_where_they_are_used(write: Write) -> None:
    tasks = TASKS.replace(
        "  description: Do it\n",
        "  description: >\n    Write of\n    the {topic} and {topic}.\n",
    )
    folder = write(tasks=tasks, agents=AGENTS.replace("Has led", "Has led {size} teams"))
    team = load_team(folder, known_tools=TOOLS)
    with pytest.raises(TeamError) as caught:
        fill(team, {"goal": "x", "topics": "y"})
    size, topic = (p for p in caught.value.problems if isinstance(p, Problem))
    assert (Path(size.file).name, size.line, size.column) == ("agents.yaml", 4, 22)
    assert (Path(topic.file).name, topic.line, topic.column) == ("tasks.yaml", 7, 9)
    assert topic.message == f"missing input 'topic' used in {topic.file}:7:9"
    assert topic.suggestion == "give it with --input topic=...; did you mean 'topics'?"
    assert topic.length == len("{topic}")
    assert check_team(folder, {"topics": "y"}, known_tools=TOOLS) == (size, topic)
    assert check_team(folder, known_tools=TOOLS) == ()
    assert check_team(folder, {"size": "2", "topic": "y"}, known_tools=TOOLS) == ()


def test_the_goal_is_needed_to_fill_and_given_in_a_check(write: Write) -> None:
    folder = write()
    assert check_team(folder, {}, known_tools=TOOLS) == ()
    with pytest.raises(TeamError, match="input"):
        fill(load_team(folder, known_tools=TOOLS), {})


@pytest.mark.parametrize("name", ["../x", "..", "a|b"])
def test_an_input_cannot_lead_out_of_the_workspace(name: str, write: Write) -> None:
    tasks = TASKS.replace("  agent: worker", "  output_file: '{name}'\n  agent: worker")
    team = load_team(write(tasks=tasks), known_tools=TOOLS)
    with pytest.raises(TeamError) as caught:
        fill(team, {"goal": "x", "name": name})
    (problem,) = caught.value.problems
    assert isinstance(problem, Problem)
    assert (problem.line, problem.column) == (7, 16)
    assert name in problem.message


def test_a_team_without_files_needs_its_inputs_too(tmp_path: Path) -> None:
    agent = AgentSpec(name="a", role="{who}", goal="g", backstory="b")
    task = TaskSpec(name="t", description="d", expected_output="e", agent="a")
    team = TeamSpec(name="n", folder=tmp_path, agents=(agent,), tasks=(task,))
    with pytest.raises(TeamError, match="missing input 'who'"):
        fill(team, {})
    assert fill(team, {"who": "Ann"}).agent("a").role == "Ann"
