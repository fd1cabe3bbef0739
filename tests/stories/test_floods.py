"""What becomes of a model that asks for too much? It is refused with a clear reason, and the run goes on.

One run for everything that a worker can flood with, one for the supervisor: a run costs more than its calls.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from unittest import mock

from crews.runtime import delegation
from crews.runtime.loop import CALLS_A_TURN
from crews.safety.bounds import MOST_QUESTIONS
from crews.teams.spec import TeamSpec
from tests.stories.players import (
    delegate,
    hand_over,
    led,
    plan,
    step,
    team,
    worked,
    write,
)
from tests.stories.scenes import Stage, staged
from tests.support.memory import MIB, peak
from tests.support.scripts import call, reply

DELEGATIONS = 3


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


def roomy() -> TeamSpec:
    """A team whose agents may write long answers."""
    found = team()
    agents = tuple(a.model_copy(update={"max_tokens": 50_000}) for a in found.agents)
    return found.model_copy(update={"agents": agents})


def test_an_answer_without_end_is_broken_off_and_a_human_is_told() -> None:
    with staged(worked(write("big.txt", "a" * 101_000), hand_over()), team()) as stage:
        result = stage.run()
        assert result.status == "waiting"
        assert "an answer of more than 1000 tokens had no end" in stage.open_review("model").reason
        assert len(stage.requests("coder")) == 1


@cache
def worked_through() -> tuple[Stage, int]:
    """A worker floods wherever it can, in one run; with the bytes that the run took beyond what was there."""
    looks = [call("list_files", limit=n + 1) for n in range(300)]
    steps = (
        reply(call("read_file", path="a.txt", more=deep(60))),
        reply(call("read_file", path="a.txt", start=10**400)),
        reply(call("search", pattern="x", more=list(range(20_001)))),
        reply(call("search", pattern="\u3316" * 10_001)),
        reply(call("search", pattern="x", path="a" + "\u0301\u0316" * 10_000)),
        write("big.txt", "a" * 100_000),
        reply(call("edit_file", path="big.txt", old="a", new="b" * 100_000, replace_all=True)),
        reply(call("run_command", command="truncate -s 250M sparse; yes")),
        reply(call("read_file", path="sparse"), *looks),
        reply(call("search", pattern="(a?)*$|needle")),
        hand_over(),
    )
    with staged(worked(*steps), roomy()) as stage, peak() as memory:
        assert stage.run().status == "completed"
    return stage, memory.grown


def test_arguments_without_measure_are_refused_unread() -> None:
    stage, _ = worked_through()
    first, second, *_ = stage.calls("read_file", "coder")
    third, fourth, fifth, _ = stage.calls("search", "coder")
    assert [c.state for c in (first, second, third, fourth)] == ["denied"] * 4
    assert "nested deeper than" in first.result
    assert "number of more than" in second.result
    assert "values" in third.result
    assert "swell" in fourth.result
    assert len("".join(c.arguments for c in (first, second, third, fourth))) < 1000
    assert (fifth.state, "longer than 4096 bytes" in fifth.result) == ("failed", True)


def test_an_edit_that_would_make_gigabytes_is_refused_before_it_does() -> None:
    stage, _ = worked_through()
    assert "would be larger than" in stage.call("edit_file").result


def test_what_a_command_floods_is_cut_and_what_it_leaves_is_not_read() -> None:
    stage, grown = worked_through()
    command = stage.call("run_command")
    assert command.result.startswith("killed: it wrote far more than 200,000 bytes of output")
    assert len(command.result) < 20_000
    assert "larger than 8,388,608 bytes" in stage.calls("read_file", "coder")[-1].result
    assert stage.calls("search", "coder")[-1].is_error is False
    assert grown < 150 * MIB


def test_of_hundreds_of_calls_in_a_turn_the_first_are_made_and_each_has_its_result() -> None:
    calls = worked_through()[0].calls("list_files", "coder")
    states = [c.state for c in calls]
    assert states == ["done"] * (CALLS_A_TURN - 1) + ["denied"] * (301 - CALLS_A_TURN)
    assert f"more than {CALLS_A_TURN} calls in one turn" in calls[-1].result


@cache
def led_through() -> Stage:
    """A supervisor floods wherever it can, in one run."""
    many = [step(f"s{n}", "coder") for n in range(1000)]
    names = [f"s{n}" for n in range(DELEGATIONS + 2)]
    brain = led(
        plan(*many),
        plan(step("one", "coder") | {"task": "x" * 30_000}),
        plan(*(step(name) for name in names)),
        delegate(*names),
        reply(*(call("ask_human", question=f"Shall I {n}?") for n in range(MOST_QUESTIONS + 5))),
    )
    with (
        mock.patch.object(delegation, "MOST_DELEGATIONS", DELEGATIONS),
        staged(brain, roomy()) as stage,
    ):
        assert stage.run().status == "waiting"
    return stage


def test_a_plan_and_texts_without_end_are_refused() -> None:
    many, long, _ = led_through().calls("plan")
    assert "at most 50 items" in many.result
    assert "at most 20000 characters" in long.result


def test_work_is_not_delegated_without_end() -> None:
    calls = led_through().calls("delegate")
    assert [c.state for c in calls] == ["done"] * DELEGATIONS + ["failed"] * 2
    assert all(f"{DELEGATIONS} delegations were made: no more" in c.result for c in calls[-2:])
    assert len(led_through().threads("coder")) == DELEGATIONS


def test_nobody_is_asked_without_end() -> None:
    stage = led_through()
    assert len(stage.reviews("question")) == MOST_QUESTIONS
    refused = [c for c in stage.calls("ask_human") if c.state == "failed"]
    assert len(refused) == 5
    assert all("no more" in c.result for c in refused)
