"""What becomes of a model that asks for too much? It is refused with a clear reason, and the run goes on."""

from __future__ import annotations

from typing import Any

from crews.safety.bounds import MOST_QUESTIONS
from crews.teams.spec import TeamSpec
from tests.stories.players import (
    LOOK,
    finish,
    hand_over,
    led,
    plan,
    step,
    team,
    worked,
    write,
)
from tests.stories.scenes import staged
from tests.support.scripts import call, reply


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
    with staged(worked(write("big.txt", "a" * 200_000), hand_over()), team()) as stage:
        result = stage.run()
        assert result.status == "waiting"
        assert "an answer of more than 1000 tokens had no end" in stage.open_review("model").reason
        assert len(stage.requests("coder")) == 1


def test_arguments_without_measure_are_refused_unread() -> None:
    coder = (
        reply(call("read_file", path="a.txt", more=deep(60))),
        reply(call("read_file", path="a.txt", start=10**400)),
        reply(call("search", pattern="x", more=list(range(20_001)))),
        LOOK,
        hand_over(),
    )
    with staged(worked(*coder), roomy()) as stage:
        assert stage.run().status == "completed"
        first, second, *_ = stage.calls("read_file", "coder")
        (third,) = stage.calls("search", "coder")
        assert [c.state for c in (first, second, third)] == ["denied"] * 3
        assert "nested deeper than" in first.result
        assert "number of more than" in second.result
        assert "values" in third.result
        assert len(first.arguments + second.arguments + third.arguments) < 1000


def test_an_edit_that_would_make_gigabytes_is_refused_before_it_does() -> None:
    coder = (
        write("big.txt", "a" * 100_000),
        reply(call("edit_file", path="big.txt", old="a", new="b" * 100_000, replace_all=True)),
        hand_over(),
    )
    with staged(worked(*coder), roomy()) as stage:
        assert stage.run().status == "completed"
        assert "would be larger than" in stage.call("edit_file").result


def test_a_plan_and_texts_without_end_are_refused() -> None:
    steps = [step(f"s{n}", "coder") for n in range(10_000)]
    brain = led(plan(*steps[:1000]), plan(step("one", "coder") | {"task": "x" * 30_000}))
    with staged(brain, roomy()) as stage:
        assert stage.run().status == "completed"
        many, long = stage.calls("plan")
        assert "at most 50 items" in many.result
        assert "at most 20000 characters" in long.result


def test_nobody_is_asked_without_end() -> None:
    ask = reply(*(call("ask_human", question=f"Shall I {n}?") for n in range(MOST_QUESTIONS + 5)))
    with staged(led(ask, finish(deliver=False)), team()) as stage:
        stage.run()
        questions = stage.reviews("question")
        assert len(questions) == MOST_QUESTIONS
        refused = [c for c in stage.calls("ask_human") if c.state == "failed"]
        assert len(refused) == 5
        assert all("no more" in c.result for c in refused)
