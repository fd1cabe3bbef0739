"""Is a plan one that can be carried out, and is it known how far it is?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crews.records.journal import Journal
from crews.records.rows import HandOver
from crews.records.store import open_store
from crews.runtime.describing import definition
from crews.runtime.planning import MOST_STEPS, Plan, PlanArgs, PlanTool, Step, current_plan
from crews.teams.spec import AgentOversight, AgentSpec, Duty, PolicySpec, TeamSpec
from crews.tools.base import ToolContext, ToolError
from crews.tools.copying import make_workspace
from tests.records import builders


def agent(name: str, duty: Duty) -> AgentSpec:
    return AgentSpec(
        name=name, role="r", goal="g", backstory="b", oversight=AgentOversight(duty=duty)
    )


TEAM = TeamSpec(
    name="t",
    folder=Path("t"),
    agents=(
        agent("boss", "supervisor"),
        agent("ann", "worker"),
        agent("judge", "reviewer"),
        agent("officer", "escalation"),
    ),
    tasks=(),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        yield builders.owned(store)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ToolContext:
    workspace = make_workspace(None, tmp_path_factory.mktemp("run") / "r", 10)
    return ToolContext(workspace=workspace, sandbox=None, agent="boss", thread="/", call="/:0.0")


def step(name: str, *after: str, who: str = "ann") -> dict[str, Any]:
    return {
        "id": name, "agent": who, "task": f"do {name}", "expected_output": "x",
        "depends_on": list(after),
    }  # fmt: skip


def args(*steps: dict[str, Any]) -> PlanArgs:
    return PlanArgs.model_validate({"steps": list(steps)})


def steps(*given: dict[str, Any]) -> tuple[Step, ...]:
    return args(*given).steps


def test_a_plan_says_what_is_ready(context: ToolContext) -> None:
    tool, plan = PlanTool(TEAM), args(step("a"), step("b"), step("c", "a", who="judge"))
    tool.preview(plan, context)
    told = asyncio.run(tool.run(plan, context)).text
    assert told.endswith("Ready now, delegate in one turn: a, b.")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([step("a"), step("a")], "must differ: a"),
        ([step("a", who="nobody")], "no agent `nobody`; there are: ann, judge"),
        ([step("a", who="boss")], "no agent `boss`"),
        ([step("a", who="officer")], "no agent `officer`"),
        ([step("a", "z")], "do not exist: z"),
        ([step("a", "a")], "wait for each other: a"),
        ([step("a", "c"), step("b"), step("c", "a")], "wait for each other: a, c"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_explained_before_anybody_is_asked(
    context: ToolContext, given: list[dict[str, Any]], problem: str
) -> None:
    with pytest.raises(ToolError, match=problem):
        PlanTool(TEAM).preview(args(*given), context)


@pytest.mark.parametrize(
    ("tool", "egress", "told"),
    [
        ("read_file", (), False),
        ("run_command", ("example.org",), True),
        ("post:Letter", (), True),
    ],
)
def test_bounds_of_what_leaves_the_run_are_told_where_something_can(
    tool: str, egress: tuple[str, ...], told: bool
) -> None:
    agents = (
        agent("boss", "supervisor"),
        agent("ann", "worker").model_copy(update={"tools": (tool,)}),
    )
    team = TEAM.model_copy(update={"agents": agents, "policy": PolicySpec(egress=egress)})
    shown = json.dumps(definition(PlanTool(team)))
    assert [f'"{n}"' in shown for n in ("hosts", "targets", "amount")] == [told] * 3
    # A file may hold orders too: every team can have it read in quarantine.
    assert '"depends_on"' in shown and '"returns"' in shown
    assert args(step("a") | {"amount": 3}).steps[0].amount == 3


@pytest.mark.parametrize(
    "given",
    [[], [step("")], [step("a b")], [step("-a")], [step(f"s{n}") for n in range(MOST_STEPS + 1)]],
)
def test_the_form_of_a_plan_is_checked(given: list[dict[str, Any]]) -> None:
    with pytest.raises(ValidationError):
        args(*given)


@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=10))
def test_steps_that_only_look_back_can_always_be_carried_out(needs: list[set[int]]) -> None:
    given = [
        step(f"s{n}", *(f"s{d}" for d in sorted(before) if d < n)) for n, before in enumerate(needs)
    ]
    plan = Plan(steps(*given), ())
    PlanTool(TEAM).preview(args(*given), None)  # type: ignore[arg-type]
    assert plan.ready()
    assert {s.id for s in plan.ready()} == {s["id"] for s in given if not s["depends_on"]}


# -- how far it is --------------------------------------------------------------------------------


def planned(journal: Journal, number: int, *given: dict[str, Any], state: Any = "done") -> None:
    arguments = json.dumps({"steps": list(given)})
    call = builders.call(journal, turn=number, tool="plan", arguments=arguments, state=state)
    journal.record_turn(builders.turn(journal, number=number), [call])


def delegated(journal: Journal, path: str, name: str, at: float, *, done: bool = True) -> None:
    builders.thread(journal, path, kind="delegation", step=name, started_at=at)
    if done:
        journal.end_thread(path, HandOver(summary="done"))


def current(journal: Journal) -> Plan:
    plan = current_plan(journal, "/")
    assert plan is not None
    return plan


def test_without_a_plan_there_is_none(journal: Journal) -> None:
    builders.thread(journal)
    assert current_plan(journal, "/") is None
    planned(journal, 0, step("a"), state="denied")
    assert current_plan(journal, "/") is None


def test_a_new_plan_replaces_the_old_and_what_was_delegated_stays(journal: Journal) -> None:
    builders.thread(journal)
    planned(journal, 0, step("a"))
    delegated(journal, "/1.0", "a", 2.0)
    planned(journal, 1, step("a"), step("b", "a"))
    planned(journal, 2, step("c"), state="failed")
    plan = current(journal)
    assert [s.id for s in plan.steps] == ["a", "b"]
    assert [s.id for s in plan.ready()] == ["b"]
    assert plan.step("c") is None


def test_a_step_waits_until_every_delegation_before_it_has_handed_over(journal: Journal) -> None:
    builders.thread(journal)
    planned(journal, 0, step("a"), step("b"), step("c", "a", "b"))
    plan = current(journal)
    assert [s.id for s in plan.ready()] == ["a", "b"]
    delegated(journal, "/1.0", "a", 2.0)
    delegated(journal, "/1.1", "b", 3.0, done=False)
    plan = current(journal)
    last = plan.step("c")
    assert last is not None
    assert plan.blocked_by(last) == ("b",)
    assert plan.ready() == ()
    journal.end_thread("/1.1", HandOver(summary="done"))
    assert [s.id for s in current(journal).ready()] == ["c"]


def test_rework_of_a_step_holds_back_what_depends_on_it(journal: Journal) -> None:
    builders.thread(journal)
    planned(journal, 0, step("a"), step("b", "a"))
    delegated(journal, "/1.0", "a", 2.0)
    delegated(journal, "/2.0", "a", 3.0, done=False)
    plan = current(journal)
    latest = plan.latest("a")
    assert latest is not None
    assert latest.path == "/2.0"
    assert not plan.finished("a")


def test_another_supervisors_delegations_are_its_own(journal: Journal) -> None:
    builders.thread(journal, "/one")
    builders.thread(journal, "/oneself")
    call = builders.call(
        journal, "/one", tool="plan", state="done", arguments=json.dumps({"steps": [step("a")]})
    )
    journal.record_turn(builders.turn(journal, "/one"), [call])
    delegated(journal, "/oneself/1.0", "a", 2.0)
    plan = current_plan(journal, "/one")
    assert plan is not None
    assert plan.delegations == ()
