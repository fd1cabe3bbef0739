"""Do chains, days and queues come out of `policy.yaml` as they were written?"""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.teams.keys import MAX_WALL, SECONDS
from crews.teams.loader import check_team, load_team
from crews.teams.spec import Chain, Daily, PolicySpec, Queueing, Rule, Stage, TeamSpec
from tests.teams.builders import AGENTS, POLICY, TASKS, Write

TOOLS = frozenset({"look", "touch"})
CHAINS = f"""\
{POLICY}\
    chain: security
    four_eyes: true
chains:
  default:
    - {{within: 7d}}
  security:
    - {{role: on_call, within: 4h30m, remind: 1h}}
    - {{role: lead, within: 90}}
daily: {{money: 20}}
queue: {{concurrency: 2, starts: 30, per: 1m, priority: 5}}
"""


def test_a_policy_is_what_its_file_says(write: Write) -> None:
    folder = write(policy=CHAINS)
    assert check_team(folder, known_tools=TOOLS) == ()
    policy = load_team(folder, known_tools=TOOLS).policy
    security = policy.chain("security")
    assert security is not None
    assert security.stages == (
        Stage(role="on_call", within=16_200, remind=3600),
        Stage(role="lead", within=90),
    )
    assert policy.chain("") == Chain(name="default", stages=(Stage(within=7 * 86400),))
    assert (policy.rules[0].chain, policy.rules[0].four_eyes) == ("security", True)
    assert policy.daily.money == Decimal(20)
    assert policy.queue == Queueing(concurrency=2, starts=30, per=60, priority=5)


@pytest.mark.parametrize(
    "policy", [POLICY, f"{POLICY}chains:\ndaily:\nqueue:\n", f"{POLICY}chains: {{}}\n"]
)
def test_without_them_nobody_is_hurried_and_nothing_held_back(policy: str, write: Write) -> None:
    loaded = load_team(write(policy=policy), known_tools=TOOLS).policy
    assert loaded.chain("") is None
    assert (loaded.chains, loaded.daily, loaded.queue) == ((), Daily(), Queueing())


def test_a_mistake_in_a_chain_is_not_one_of_the_rules_that_name_it(write: Write) -> None:
    for wrong in ("security: [{within: 0}]", "security: []", "security: soon"):
        policy = f"{POLICY}    chain: security\nchains:\n  {wrong}\n"
        (only,) = check_team(write(policy=policy), known_tools=TOOLS)
        assert only.line == 8, only.render()
    policy = f"{POLICY}    chain: security\nchains: [security]\n"
    (only,) = check_team(write(policy=policy), known_tools=TOOLS)
    assert only.line == 7


def test_the_stages_of_a_chain_may_be_shared(write: Write) -> None:
    policy = f"{POLICY}    chain: a\nchains:\n  a: &a [{{within: 5}}]\n  default: *a\n"
    folder = write(policy=policy)
    assert check_team(folder, known_tools=TOOLS) == ()
    loaded = load_team(folder, known_tools=TOOLS).policy
    assert [chain.name for chain in loaded.chains] == ["a", "default"]


def test_paths_may_be_one_text(write: Write) -> None:
    agents = AGENTS.replace("duty: supervisor", "duty: supervisor, write_paths: articles/**")
    folder = write(agents, policy=POLICY.replace("effect: write", "path: '[a-z]/[]x]/[!b]\\[.py'"))
    assert check_team(folder, known_tools=TOOLS) == ()
    team = load_team(folder, known_tools=TOOLS)
    assert team.agents[0].oversight.write_paths == ("articles/**",)
    assert team.policy.rules[0].when.path == ("[a-z]/[]x]/[!b]\\[.py",)


NAMES = st.from_regex(r"[A-Za-z_é][\wé-]{0,12}", fullmatch=True)
ROLES = st.just("") | NAMES
SPANS = st.floats(0.001, MAX_WALL) | st.integers(1, MAX_WALL).map(float)
STAGES = st.builds(Stage, role=ROLES, within=SPANS, remind=st.none() | SPANS)
MONEY = st.decimals("0.01", 10_000, places=2)
POLICIES = st.builds(
    PolicySpec,
    chains=st.lists(
        st.builds(Chain, name=NAMES, stages=st.lists(STAGES, min_size=1, max_size=3).map(tuple)),
        max_size=3,
        unique_by=lambda chain: chain.name,
    ).map(tuple),
    daily=st.builds(Daily, money=st.none() | MONEY),
    queue=st.builds(
        Queueing,
        concurrency=st.none() | st.integers(1, 99),
        starts=st.integers(1, 99),
        per=SPANS,
        priority=st.integers(1, 1000),
    ),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(POLICIES, st.data())
def test_what_is_written_is_what_is_read(policy: PolicySpec, data: st.DataObject) -> None:
    names = st.sampled_from(["", *(chain.name for chain in policy.chains)])
    rule = Rule(name="r", ruling="ask", chain=data.draw(names), four_eyes=data.draw(st.booleans()))
    policy = policy.model_copy(update={"rules": (rule,)})
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name, text in (("agents", AGENTS), ("tasks", TASKS), ("policy", written(policy))):
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        team = load_team(folder, known_tools=TOOLS)
    assert team.policy == policy
    assert TeamSpec.model_validate_json(team.model_dump_json()) == team


KEYS = st.sampled_from(
    ["default", "a", "role", "within", "remind", "money", "starts", "per", "name", "chain"]
)
VALUES = st.recursive(
    st.sampled_from(["1h", "0", "a", "", "default", None, True, 5, 0, -1.5, 1e300, 2**70]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
WHOLE = st.dictionaries(st.sampled_from(["chains", "daily", "queue", "rules"]), VALUES)


@settings(max_examples=80, deadline=None)
@given(WHOLE)
def test_whatever_stands_there_is_a_team_or_errors_with_a_place(values: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        text = yaml.safe_dump(values)
        for name, content in (("agents", AGENTS), ("tasks", TASKS), ("policy", text)):
            (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
        errors = [p for p in check_team(folder, known_tools=TOOLS) if p.severity == "error"]
        if not errors:
            team = load_team(folder, known_tools=TOOLS)
            assert TeamSpec.model_validate_json(team.model_dump_json()) == team
        lines = text.splitlines()
        assert all(1 <= p.column <= len(lines[p.line - 1]) for p in errors), text


def written(policy: PolicySpec) -> str:
    """The policy as a person would write it."""
    rules: list[Any] = policy.model_dump(mode="json", include={"rules"})["rules"]
    daily = {} if policy.daily.money is None else {"money": float(policy.daily.money)}
    queue = policy.queue.model_dump(exclude_none=True)
    queue["per"] = span(queue["per"])
    for rule in rules:
        del rule["when"]
    return yaml.safe_dump(
        {
            "rules": rules,
            "chains": {c.name: [stage(s) for s in c.stages] for c in policy.chains},
            "daily": daily,
            "queue": queue,
        },
        allow_unicode=True,
        sort_keys=False,
    )


def stage(value: Stage) -> dict[str, object]:
    """A stage's keys; what says nothing is left out."""
    given = value.model_dump(exclude_none=True, exclude_defaults=True)
    return {name: span(v) if isinstance(v, float) else v for name, v in given.items()}


def span(seconds: float) -> float | str:
    """A time in its largest units, such as 1d2h; seconds where they are not whole."""
    if seconds != int(seconds):
        return seconds
    left, text = int(seconds), ""
    for unit in reversed(list(SECONDS)):
        count, left = divmod(left, SECONDS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def test_hosts_are_read_as_they_are_written(write: Write) -> None:
    hosts = 'egress: [code.test, "*.example.org", "git.test:8443", 10.0.0.7]\nsandbox: docker\n'
    policy = load_team(write(policy=f"{POLICY}{hosts}"), known_tools=TOOLS).policy
    assert policy.egress == ("code.test", "*.example.org", "git.test:8443", "10.0.0.7")
    assert policy.sandbox == "docker"


@pytest.mark.parametrize("host", ["https://code.test", "code.test/simple", "a b", "**.x", "x:port"])
def test_what_is_no_host_is_said_to_be_none(write: Write, host: str) -> None:
    (only,) = check_team(write(policy=f'{POLICY}egress: ["{host}"]\n'), known_tools=TOOLS)
    assert only.message == f"'{host}' is no host"
