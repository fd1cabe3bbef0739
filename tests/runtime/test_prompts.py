"""Is an agent told what it needs, in words that do not change from run to run?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from crews.records.rows import HandOver, ThreadRow
from crews.runtime import prompts
from crews.teams.spec import AgentOversight, AgentSpec, Duty, TaskOversight, TaskSpec, TeamSpec

DUTIES: tuple[Duty, ...] = ("supervisor", "worker", "reviewer", "escalation")


def agent(duty: Duty) -> AgentSpec:
    return AgentSpec(
        name=f"the-{duty}",
        role=f"Chief {duty}",
        goal=f"Be a good {duty}.",
        backstory=f"Was a {duty} before.",
        tools=("look", "touch"),
        oversight=AgentOversight(duty=duty),
    )


TEAM = TeamSpec(
    name="four",
    folder=Path("/somewhere/on/this/machine"),
    agents=tuple(agent(d) for d in DUTIES),
    tasks=(),
)
ENDINGS = {
    "supervisor": "`finish`",
    "worker": "`hand_over`",
    "reviewer": "`verdict`",
    "escalation": "`brief`",
}


@pytest.mark.parametrize("duty", DUTIES)
def test_an_agent_is_told_who_it_is_and_how_it_ends(duty: Duty) -> None:
    told = prompts.system_prompt(agent(duty), TEAM)
    assert told.startswith(f"You are the-{duty}, Chief {duty}.\n")
    assert f"Be a good {duty}." in told
    assert f"Was a {duty} before." in told
    assert ENDINGS[duty] in told


@pytest.mark.parametrize("duty", DUTIES)
def test_nothing_in_it_changes_from_run_to_run(duty: Duty) -> None:
    told = prompts.system_prompt(agent(duty), TEAM)
    assert told == prompts.system_prompt(agent(duty), TEAM)
    assert "/somewhere" not in told
    assert not re.search(r"\b20\d\d\b|\d\d:\d\d", told)


def test_a_supervisor_knows_its_colleagues_and_nobody_else_does() -> None:
    told = prompts.system_prompt(agent("supervisor"), TEAM)
    assert "- the-worker: Chief worker. Tools: look, touch." in told
    assert "- the-reviewer (reviewer)" in told
    assert "the-escalation" not in told
    assert "the-reviewer" not in prompts.system_prompt(agent("worker"), TEAM)


def test_reviews_are_spoken_of_where_somebody_reviews() -> None:
    others = tuple(a for a in TEAM.agents if a.oversight.duty != "reviewer")
    alone = TEAM.model_copy(update={"agents": others})
    assert "must be approved" in prompts.system_prompt(agent("supervisor"), TEAM)
    assert "must be approved" not in prompts.system_prompt(agent("supervisor"), alone)


def test_who_only_answers_is_told_of_no_hand_over() -> None:
    told = prompts.system_prompt(agent("worker"), TEAM, plain=True)
    assert "hand_over" not in told
    assert told.startswith("You are the-worker, Chief worker.")


def test_a_brief_holds_what_there_is_and_no_empty_parts() -> None:
    assert prompts.brief(task=" Do it. ", expected_output="A note") == (
        "<task>\nDo it.\n</task>\n<expected_output>\nA note\n</expected_output>"
    )
    whole = prompts.brief(
        task="t", expected_output="e", acceptance="a", note="n", context=["c1", "c2"]
    )
    assert re.findall(r"<(\w+)>", whole) == [
        "task", "expected_output", "acceptance", "note", "context"
    ]  # fmt: skip
    assert "c1\n\nc2" in whole


def test_a_task_is_briefed_with_its_acceptance() -> None:
    task = TaskSpec(
        name="t", description="Do {it}", expected_output="x",
        oversight=TaskOversight(acceptance="It is done."),
    )  # fmt: skip
    told = prompts.task_brief(task, ["before"])
    assert "Do {it}" in told
    assert "It is done." in told
    assert "before" in told


THREAD = ThreadRow(
    run="r", path="/2.1", kind="delegation", agent="ann", task="", step="s1", model="m", system="",
    tools="[]", brief="", grants="{}", limits="{}", state="done", handover=None,
    flags='["it made no call"]', hash_before="", hash_after="", compacted=0, finish_now=False,
    tokens=0, money=0, money_known=True, turns=0, calls=0, working_seconds=0.0, started_at=0.0,
    ended_at=1.0,
)  # fmt: skip


def test_a_hand_over_is_passed_on_with_what_code_found_wrong() -> None:
    outcome = HandOver(
        summary="Fixed.", changes=("a.py: x",), evidence=("1.0", "2.0"), confidence=0.75,
        open_questions=("Why?",), verdict="reject",
    )  # fmt: skip
    assert prompts.handed_over(THREAD, outcome).splitlines() == [
        "ann (step s1) handed over [2.1]:",
        "verdict: reject",
        "Fixed.",
        "changed: a.py: x",
        "evidence: 1.0, 2.0",
        "confidence: 0.75",
        "open question: Why?",
        "FLAGGED: it made no call",
    ]


def test_a_short_hand_over_is_short() -> None:
    plain = replace(THREAD, step="", flags="[]", path="/")
    told = prompts.handed_over(plain, HandOver(summary="Done.", confidence=1.0))
    assert told == "ann handed over []:\nDone.\nconfidence: 1"
