"""Are the keys that a team may use those that the installed CrewAI honours?"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from crews.teams.keys import AGENT, CREWAI_VERSION, TASK, Fields

PROGRAM = """
import json, warnings
from crewai import Agent, Task
from crewai.project import json_loader
from crewai.project.crew_base import AgentConfig, TaskConfig
from crewai.utilities.string_utils import _VARIABLE_PATTERN

def keys(model, config, runtime):
    fields = model.model_fields
    return {"fields": sorted(fields), "config": sorted(config.__annotations__),
            "runtime": sorted(runtime),
            "deprecated": sorted(n for n, f in fields.items() if f.deprecated)}

print(json.dumps({
    "agent": keys(Agent, AgentConfig, json_loader._AGENT_RUNTIME_FIELDS),
    "task": keys(Task, TaskConfig, json_loader._TASK_RUNTIME_FIELDS),
    "placeholder": _VARIABLE_PATTERN.pattern,
}))
"""


@pytest.fixture(scope="module")
def crewai() -> dict[str, Any]:
    """CrewAI's own lists, read in a process of its own: importing it changes the process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize(("noun", "ours"), [("agent", AGENT), ("task", TASK)])
def test_the_keys_are_crewais(noun: str, ours: Fields, crewai: dict[str, Any]) -> None:
    theirs = crewai[noun]
    assert set(ours) - {"oversight"} == {*theirs["fields"], *theirs["config"]}
    runtime = {name for name, key in ours.items() if key.standing == "runtime"}
    assert runtime == set(theirs["runtime"])
    deprecated = {name for name, key in ours.items() if key.standing == "deprecated"}
    assert deprecated >= set(theirs["deprecated"])


def test_the_placeholders_are_crewais(crewai: dict[str, Any]) -> None:
    from crews.teams.inputs import PLACEHOLDER

    assert crewai["placeholder"] == PLACEHOLDER.pattern


def test_the_version_is_the_one_that_was_read() -> None:
    assert version("crewai") == CREWAI_VERSION


@pytest.mark.parametrize("fields", [AGENT, TASK])
def test_every_key_says_what_it_does_or_why_not(fields: Fields) -> None:
    for name, key in fields.items():
        assert key.help or key.why, name
