"""Is a plan wider than another exactly where it grants something that leaves the run, and the other does not?"""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.runtime.bounds import Ceiling, ceiling, of_step
from crews.runtime.planning import Step
from crews.safety.grants import GrantExceeded
from crews.teams.spec import AgentOversight, AgentSpec, TeamSpec
from crews.tools.gate import AnyTool
from tests.stories.players import team

CLERK = AgentSpec(
    name="clerk",
    role="Clerk",
    goal="g",
    backstory="b",
    tools=("read_file", "send", "pay"),
    oversight=AgentOversight(write_paths=("out/**",)),
)
TEAM: TeamSpec = team(CLERK)
TOOLS = cast(
    "dict[str, AnyTool]",
    {
        "read_file": SimpleNamespace(name="read_file", effect="read"),
        "send": SimpleNamespace(name="send", effect="external"),
        "pay": SimpleNamespace(name="pay", effect="external"),
    },
)


def a_step(**keys: Any) -> Step:
    return Step(id="a", agent="clerk", task="t", expected_output="o", **keys)


def grants(*steps: Step) -> Ceiling:
    return ceiling(steps, TEAM, TOOLS)


SEND = a_step(
    tools=("send",), hosts=("a.example",), amount=Decimal(5), targets={"send.to": ("ann",)}
)


@pytest.mark.parametrize(
    ("wider", "what"),
    [
        (
            a_step(
                tools=("send", "pay"), hosts=("a.example",), amount=5, targets={"send.to": ("ann",)}
            ),
            "pay",
        ),
        (SEND.model_copy(update={"hosts": ("a.example", "b.example")}), "host b.example"),
        (SEND.model_copy(update={"hosts": None}), "host any"),
        (SEND.model_copy(update={"amount": Decimal(6)}), "amounts up to 6"),
        (SEND.model_copy(update={"amount": None}), "any amount"),
        (SEND.model_copy(update={"targets": {"send.to": ("ann", "eve")}}), "send.to beyond ann"),
        (SEND.model_copy(update={"targets": {}}), "send.to beyond ann"),
    ],
)
def test_what_a_wider_plan_grants_is_named(wider: Step, what: str) -> None:
    assert grants(wider).beyond(grants(SEND)) == what
    assert grants(SEND).beyond(grants(wider)) == ""


def test_one_open_step_opens_the_whole_plan() -> None:
    assert "send.to" in grants(SEND, a_step(tools=("send",), hosts=(), amount=0)).beyond(
        grants(SEND)
    )


def test_what_stays_in_the_run_widens_nothing() -> None:
    assert grants(a_step(tools=("read_file",)), SEND).beyond(grants(SEND)) == ""
    assert grants(a_step(tools=("read_file",))).beyond(Ceiling()) == ""
    assert grants(a_step()).beyond(Ceiling()).startswith("pay, send")


@pytest.mark.parametrize("keys", [{"tools": ("write_file",)}, {"paths": ("src/**",)}])
def test_a_step_never_has_more_than_its_agent(keys: dict[str, Any]) -> None:
    with pytest.raises(GrantExceeded):
        of_step(a_step(**keys), CLERK)


def test_a_step_may_name_a_tool_as_it_calls_itself() -> None:
    agent = CLERK.model_copy(update={"tools": ("read_file", "shop.mail:Send")})
    tools = {"read_file": TOOLS["read_file"], "shop.mail:Send": TOOLS["send"]}
    for name in ("send", "shop.mail:Send"):
        assert of_step(a_step(tools=(name,)), agent, tools).tools == {"shop.mail:Send"}
    with pytest.raises(GrantExceeded):
        of_step(a_step(tools=("pay",)), agent, TOOLS)


def test_a_step_that_says_nothing_has_what_its_agent_has() -> None:
    bounds = of_step(a_step(), CLERK)
    assert (bounds.tools, bounds.paths) == (frozenset(CLERK.tools), ("out/**",))


STEPS = st.builds(
    a_step,
    tools=st.none() | st.sets(st.sampled_from(CLERK.tools)).map(tuple),
    hosts=st.none() | st.sets(st.sampled_from(["a.example", "b.example"])).map(tuple),
    amount=st.none() | st.integers(0, 9).map(Decimal),
    targets=st.dictionaries(
        st.sampled_from(["send.to", "pay.who"]), st.sets(st.sampled_from(["ann", "eve"])).map(tuple)
    ),
)


@given(st.lists(STEPS, max_size=4), st.lists(STEPS, max_size=4))
def test_a_plan_is_never_wider_than_one_that_holds_it(some: list[Step], more: list[Step]) -> None:
    assert grants(*some).beyond(grants(*some, *more)) == ""
