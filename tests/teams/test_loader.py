"""Does a folder become the team that its files declare?"""

from __future__ import annotations

import re
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.errors import TeamError, UsageError
from crews.teams.loader import (
    bundled,
    check_team,
    fill,
    find_team,
    load_team,
    load_with_warnings,
    placeholders,
)
from crews.teams.spec import TeamSpec
from tests.teams.builders import AGENTS, POLICY, TASKS, Write

TOOLS = frozenset({"look", "touch"})
REAL_TOOLS = frozenset(
    [
        "list_files",
        "read_file",
        "search",
        "write_file",
        "edit_file",
        "delete_file",
        "run_command",
        "read_result",
    ]
)
FILES = ("agents.yaml", "tasks.yaml", "policy.yaml")


def test_a_team_is_what_its_files_say(write: Write) -> None:
    team = load_team(write(), known_tools=TOOLS)
    lead, worker = team.agents
    assert (lead.name, lead.role, lead.oversight.duty) == ("lead", "Lead", "supervisor")
    assert (worker.tools, worker.oversight.duty) == (("look", "touch"), "worker")
    first, second = team.tasks
    assert (first.agent, second.agent, second.context) == (None, "worker", ("first",))
    assert team.policy.rules[0].when.effect == ("write",)
    assert team.name == "team"
    assert team.sources == dict(zip(FILES, (AGENTS, TASKS, POLICY), strict=True))
    assert check_team(team.folder, known_tools=TOOLS) == ()


def test_a_policy_is_optional_and_may_be_empty(write: Write) -> None:
    folder = write(policy="# nothing\n")
    assert load_team(folder, known_tools=TOOLS).policy.rules == ()
    (folder / "policy.yaml").unlink()
    team = load_team(folder, known_tools=TOOLS)
    assert team.policy.autonomy == 2
    assert "policy.yaml" not in team.sources


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30m", 1800),
        ("2h", 7200),
        ("90s", 90),
        ("1h30m", 5400),
        ("0.5h", 1800),
        ("45", 45),
        ("1d", 86400),
    ],
)
def test_times_may_be_written_short(written: str, seconds: float, write: Write) -> None:
    policy = f"limits: {{wall: {written}, money: 0.1}}\n"
    limits = load_team(write(policy=policy), known_tools=TOOLS).policy.limits
    assert (limits.wall_seconds, limits.money) == (seconds, Decimal("0.1"))


@pytest.mark.parametrize(("written", "level"), [("0", 0), ("4", 4), ("assistant", 1), ("team", 4)])
def test_levels_have_names(written: str, level: int, write: Write) -> None:
    team = load_team(write(policy=f"autonomy: {written}\n"), known_tools=TOOLS)
    assert team.policy.autonomy == level


def test_crewais_keys_go_on_as_written_and_idle_ones_do_not(write: Write) -> None:
    agents = AGENTS.replace(
        "  tools: [look]",
        "  inject_date: true\n  embedder: {provider: x, config: {n: [1, 2.5]}}\n"
        "  max_retry_limit: 2\n  allow_delegation: false\n  tools: ['mod:Tool', look]",
    )
    team = load_team(write(agents), known_tools=TOOLS)
    assert team.agents[0].crewai == {
        "inject_date": True,
        "embedder": {"provider": "x", "config": {"n": [1, 2.5]}},
    }
    assert team.agents[0].tools == ("mod:Tool", "look")
    (only,) = check_team(team.folder, known_tools=TOOLS)
    assert "'max_retry_limit' has no effect here" in only.message


def test_anchors_may_be_kept_beside_the_agents(write: Write) -> None:
    agents = "x-common: &common\n  llm: m\n" + AGENTS.replace(
        "worker:\n", "worker:\n  <<: *common\n"
    )
    team = load_team(write(agents), known_tools=TOOLS)
    assert [agent.llm for agent in team.agents] == ["claude-sonnet-5-5", "m"]


def test_a_team_without_supervisor_may_give_every_task_to_an_agent(write: Write) -> None:
    agents = AGENTS.replace("  oversight: {duty: supervisor}\n", "")
    tasks = TASKS.replace("  expected_output: A note", "  expected_output: A note\n  agent: lead")
    assert load_team(write(agents, tasks), known_tools=TOOLS).on_duty("supervisor") is None


def test_a_snapshot_is_the_team(write: Write) -> None:
    for folder, tools in ((write(), TOOLS), (bundled(), REAL_TOOLS)):
        team = load_team(folder, known_tools=tools)
        assert TeamSpec.model_validate_json(team.model_dump_json()) == team


def test_find_team(write: Write, tmp_path: Path) -> None:
    assert find_team(None, tmp_path) == bundled()
    team = write()
    assert find_team("team", tmp_path) == team
    assert find_team(team / "agents.yaml", tmp_path) == team
    assert find_team(team, Path("/")) == team
    own = tmp_path / "config"
    (own / "teams" / "small").mkdir(parents=True)
    assert find_team(None, tmp_path) == bundled()
    for folder in (own, own / "teams" / "small"):
        (folder / "agents.yaml").touch()
    assert find_team(None, tmp_path) == own
    assert find_team("small", tmp_path) == own / "teams" / "small"
    with pytest.raises(UsageError, match="there is no team") as caught:
        find_team("nowhere", tmp_path)
    assert caught.value.exit_code == 2


def test_the_bundled_team_is_right_and_reads_as_crewai_reads_it() -> None:
    team = load_team(bundled(), known_tools=REAL_TOOLS)
    assert check_team(bundled(), {}, known_tools=REAL_TOOLS) == ()
    assert placeholders(team) == ("goal",)
    assert fill(team, {"goal": "Say hello"}).tasks[0].description.strip() == "Say hello"
    assert {agent.name: agent.oversight.duty for agent in team.agents} == {
        "supervisor": "supervisor",
        "researcher": "worker",
        "coder": "worker",
        "reviewer": "reviewer",
        "escalation": "escalation",
    }
    agents = yaml.safe_load(team.sources["agents.yaml"])
    tasks = yaml.safe_load(team.sources["tasks.yaml"])
    for agent in team.agents:
        for key in ("role", "goal", "backstory", "llm"):
            assert getattr(agent, key) == agents[agent.name][key]
    for task in team.tasks:
        assert task.description == tasks[task.name]["description"]


def test_what_the_bundled_policy_shows_in_comments_is_right(write: Write) -> None:
    text = (bundled() / "policy.yaml").read_text(encoding="utf-8")
    folder = write(policy=re.sub(r"(?m)^# (?=(?:daily|queue|chains|tools):|  )", "", text))
    assert {problem.message for problem in check_team(folder, known_tools=TOOLS)} == {
        "no agent has the tool 'send_mail'",
        "no rule names the chain 'security'",
    }
    policy = load_team(folder, known_tools=TOOLS).policy
    assert (policy.daily.money, policy.queue.concurrency, policy.queue.starts) == (20, 4, 30)
    assert [(c.name, len(c.stages)) for c in policy.chains] == [("default", 1), ("security", 2)]
    assert [tool.name for tool in policy.tools] == ["send_mail"]


def test_only_the_coder_of_the_bundled_team_writes() -> None:
    team = load_team(bundled(), known_tools=REAL_TOOLS)
    writers = {
        agent.name
        for agent in team.agents
        if {"write_file", "edit_file", "delete_file"} & set(agent.tools)
    }
    assert writers == {"coder"}
    assert all(agent.oversight.fallback for agent in team.agents)


BUNDLED = {name: (bundled() / name).read_text(encoding="utf-8") for name in FILES}
SCRAPS = st.sampled_from(
    ["", "\t", ":", "- ", "  ", "{", "}", "[", "'", '"', "&a ", "*a", "!x ", "|", "on", "012", "1:30",
     "2024-01-01", "\n", "\u2028", "<<: *a", "? ", "{x}", "~", "-1", "null", "agent: x\n", "\x00", "é"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), st.floats(0, 1), st.integers(0, 30), SCRAPS)
def test_no_change_to_a_team_makes_it_raise_anything_else(
    name: str, at: float, cut: int, scrap: str
) -> None:
    text = BUNDLED[name]
    start = int(at * len(text))
    _never_raises({**BUNDLED, name: text[:start] + scrap + text[start + cut :]})


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), st.text(max_size=200)))
def test_no_text_makes_it_raise_anything_else(texts: dict[str, str]) -> None:
    _never_raises({**BUNDLED, **texts})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "role",
        "goal",
        "backstory",
        "llm",
        "tools",
        "max_iter",
        "max_tokens",
        "oversight",
        "guardrail",
        "verbose",
        "crew",
        "mcps",
        "agent",
        "description",
        "expected_output",
        "context",
        "human_input",
        "output_file",
        "async_execution",
        "autonomy",
        "limits",
        "rules",
        "sandbox",
        "chains",
        "daily",
        "queue",
        "max_parallel",
        "delegation",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FILES), st.dictionaries(KEYS, VALUES, max_size=8))
def test_no_value_makes_it_raise_anything_else(name: str, values: dict[str, object]) -> None:
    whole = values if name == "policy.yaml" else {"one": values}
    _never_raises({**BUNDLED, name: yaml.safe_dump(whole, allow_unicode=True)})


def _never_raises(texts: dict[str, str]) -> None:
    """Whatever the files hold: a team that can be kept, or errors that can be shown."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_bytes(text.encode("utf-8", errors="surrogatepass"))
        problems = check_team(Path(folder), {}, known_tools=REAL_TOOLS)
        errors = [p for p in problems if p.severity == "error"]
        assert all(p.render() and p.line >= 1 and p.column >= 1 for p in problems)
        try:
            team = load_team(Path(folder), known_tools=REAL_TOOLS)
        except TeamError as error:
            assert error.problems
            assert errors
        else:
            assert TeamSpec.model_validate_json(team.model_dump_json()) == team
            assert all("missing input" in p.message for p in errors)


def test_a_team_that_was_loaded_before_is_whoever_loads_it_ones_own(write: Write) -> None:
    agents = AGENTS.replace("lead:\n", "lead:\n  verbose: true\n", 1)
    folder = write(agents=agents, policy="autonomy: 1\n")
    first, warned = load_with_warnings(folder, known_tools=TOOLS)
    again, warned_again = load_with_warnings(folder, known_tools=TOOLS)
    assert again == first
    assert warned_again == warned
    first.sources.clear()
    first.agents[0].crewai["verbose"] = "changed"
    third = load_team(folder, known_tools=TOOLS)
    assert third == again != first
    with pytest.raises(TeamError):
        load_team(folder, known_tools=frozenset({"look"}))


def test_a_team_whose_files_change_is_another_one(write: Write) -> None:
    folder = write()
    for autonomy in (1, 2, 1):
        (folder / "policy.yaml").write_text(f"autonomy: {autonomy}\n")
        assert load_team(folder, known_tools=TOOLS).policy.autonomy == autonomy
    (folder / "policy.yaml").write_text("autonomy: nine\n")
    for _ in range(2):
        with pytest.raises(TeamError):
            load_team(folder, known_tools=TOOLS)
    (folder / "policy.yaml").unlink()
    assert "policy.yaml" not in load_team(folder, known_tools=TOOLS).sources
    moved = folder.rename(folder.with_name("other"))
    assert load_team(moved, known_tools=TOOLS).name == "other"
