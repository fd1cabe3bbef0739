"""Do editors accept and refuse what the loader accepts and refuses?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from crews.teams.keys import (
    AGENT,
    DAILY,
    LIMITS,
    POLICY,
    QUEUE,
    RULE,
    STAGE,
    TASK,
    WHEN,
    Fields,
)
from crews.teams.loader import bundled, check_team
from crews.teams.schema import Schema, agents_schema, policy_schema, tasks_schema
from crews.teams.spec import (
    AgentSpec,
    Daily,
    Limits,
    Match,
    PolicySpec,
    Queueing,
    Rule,
    Stage,
    TaskSpec,
)
from tests.teams.builders import AGENTS, TASKS, Write
from tests.teams.builders import POLICY as POLICY_TEXT
from tests.teams.test_malformed import CHAINED, MALFORMED, TEXTS, TOOLS, Bad

SCHEMAS: Mapping[str, Schema] = {
    "agents.yaml": agents_schema(),
    "tasks.yaml": tasks_schema(),
    "policy.yaml": policy_schema(),
}
FORM = (
    "unknown agent key", "unknown task key", "unknown policy key", "unknown rule key",
    "unknown limit", "text is a number", "text is a mapping", "text is empty", "flag is text",
    "number is text", "number too small", "number too large", "money is free", "time is words",
    "level", "level's name", "missing agent key", "missing task key", "missing ruling",
    "agent is text", "agent's name", "unknown duty", "async", "past the gate", "runtime key",
    "flag without effect is text", "number without effect is text", "deprecated flag is text",
    "flag of crewai is text", "nothing to match", "four eyes are text",
    "chains are a list", "chain is a mapping", "chain without stages", "chain's name", "stage is text",
    "unknown stage key", "stage without time", "stage of no time", "stage before now",
    "stage without unit", "daily is a number", "daily money is free", "unknown daily limit",
    "nobody at work", "half a start", "never first", "unknown queue key",
    "unknown effect", "unknown ruling", "unknown category", "rules are a mapping", "not a mapping",
)  # fmt: skip
"""Mistakes that can be seen in one file, and are not about how YAML was written."""


def valid(file: str, text: str) -> bool:
    validator: Any = Draft7Validator(SCHEMAS[file])
    return bool(validator.is_valid(yaml.safe_load(text)))


@pytest.mark.parametrize("file", SCHEMAS)
def test_the_schemas_are_schemas_and_accept_right_teams(file: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[file])
    assert valid(file, (bundled() / file).read_text(encoding="utf-8"))
    assert valid(
        file, {"agents.yaml": AGENTS, "tasks.yaml": TASKS, "policy.yaml": POLICY_TEXT}[file]
    )


def test_the_schema_accepts_chains_a_day_and_a_queue() -> None:
    more = "daily: {money: 20}\nqueue: {concurrency: 2, starts: 6, per: 1m, priority: 1}\n"
    assert valid("policy.yaml", CHAINED + more)
    assert valid("policy.yaml", "chains:\ndaily:\nqueue:\n")


@pytest.mark.parametrize("bad", [MALFORMED[name] for name in FORM], ids=FORM)
def test_the_schemas_refuse_what_the_loader_refuses(bad: Bad) -> None:
    assert not valid(bad.file, TEXTS[bad.file].replace(bad.old, bad.new, 1))


SAMPLES: Mapping[str, object] = {
    "text": "x", "flag": True, "whole": 1, "number": 1, "wall": "90s", "autonomy": "team",
    "texts": "x", "table": {}, "tables": [], "lists": {}, "any": {"a": [1]},
}  # fmt: skip


@pytest.mark.parametrize(("file", "fields"), [("agents.yaml", AGENT), ("tasks.yaml", TASK)])
def test_every_key_is_taken_alike(file: str, fields: Fields, write: Write) -> None:
    for name, key in fields.items():
        whole = yaml.safe_load(TEXTS[file])
        value = SAMPLES[key.kind]
        next(iter(whole.values()))[name] = value
        text = yaml.safe_dump(whole)
        folder = write(**{file.removesuffix(".yaml"): text})
        unknown = [
            p
            for p in check_team(folder, known_tools=TOOLS)
            if p.severity == "error"
            and not p.message.startswith(("unknown t", "unknown a", "task"))
        ]
        assert valid(file, text) == (not unknown), name


@pytest.mark.parametrize(
    ("fields", "spec", "ours"),
    [
        (LIMITS, Limits, {"wall": "wall_seconds"}),
        (WHEN, Match, {}),
        (RULE, Rule, {}),
        (STAGE, Stage, {}),
        (DAILY, Daily, {}),
        (QUEUE, Queueing, {}),
        (POLICY, PolicySpec, {}),
        (AGENT["oversight"].fields, AgentSpec.model_fields["oversight"].annotation, {}),
        (TASK["oversight"].fields, TaskSpec.model_fields["oversight"].annotation, {}),
    ],
)
def test_the_keys_are_those_of_the_spec(
    fields: Fields, spec: type[Limits], ours: Mapping[str, str]
) -> None:
    assert {ours.get(name, name) for name in fields} == set(spec.model_fields)


def test_used_keys_are_those_of_the_spec() -> None:
    for fields, spec in ((AGENT, AgentSpec), (TASK, TaskSpec)):
        used = {name for name, key in fields.items() if key.standing == "used"}
        assert used == set(spec.model_fields) - {"name", "crewai"}
