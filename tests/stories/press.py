"""What do the models of the press answer? Scripts that keep no state and judge by what their tools return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.stories.teams import REVIEWER, SUPERVISOR, WORKER
from tests.support.reply import Reply, ToolUse, Usage
from tests.support.request import Request
from tests.support.scripts import (
    Script,
    Step,
    call,
    last_results,
    reply,
    scripted,
    task_of,
    text,
    thinking,
    turn_of,
)

USAGE = Usage(100, 20)
"""The same for every answer: reports of two runs can then be compared."""
STEPS = (
    {
        "id": "soup",
        "agent": WORKER,
        "task": "Set recipes/soup.md in metric units.",
        "expected_output": "The recipe, set.",
    },
    {
        "id": "bread",
        "agent": WORKER,
        "task": "Set recipes/bread.md in metric units.",
        "expected_output": "The recipe, set.",
    },
    {
        "id": "proof",
        "agent": REVIEWER,
        "task": "Read the proofs of both recipes.",
        "expected_output": "A verdict.",
        "depends_on": ["soup", "bread"],
    },
)
QUESTION = "Is a cup of the house 240 ml?"


def press(
    *, delay: float = 0.0, commands: bool = False, question: bool = False, pause: float = 0.15
) -> Script:
    """The models of the press.

    Args:
        delay: Seconds of an answer; the workers of parallel steps take different times.
        commands: Whether the typist also runs a command that leaves a line in `log/STEP.txt`.
        question: Whether the editor asks a human before it delegates.
        pause: Seconds that a command takes before it leaves its line, and after.
    """

    def typist(request: Request) -> Reply:
        steps = _typist(task_of(request), commands, pause)
        step = steps[turn_of(request)]
        return step if isinstance(step, Reply) else step(request)

    models = scripted({SUPERVISOR: _editor(question), WORKER: [typist] * 9, REVIEWER: _PROOF})

    def answer(request: Request) -> Reply:
        slow = 2.0 if "bread" in task_of(request) else 1.0
        return replace(models(request), delay=delay * slow, usage=USAGE)

    return answer


def marker(command: str) -> str:
    """Path of the file in which a command of the typist leaves its line."""
    return command.partition(">> ")[2].partition(";")[0]


def _editor(question: bool) -> Sequence[Step]:
    asking = [reply(text("One thing first."), call("ask_human", question=QUESTION))]
    return [
        reply(thinking("What is there?"), call("list_files"), call("read_file", path="style.md")),
        reply(text("Two to set, one to read."), call("plan", steps=STEPS)),
        *(asking if question else []),
        reply(
            call("delegate", step="soup"), call("delegate", step="bread", note="Flour by weight")
        ),
        reply(call("delegate", step="proof")),
        reply(thinking("Back to the typist."), call("delegate", step="bread")),
        reply(call("delegate", step="proof", context=["bread"])),
        reply(
            call(
                "finish",
                summary="Both recipes are in **metric** units; the second proof was clean.",
                confidence=0.9,
                open_questions=["Print the onion's accent?"],
            )
        ),
    ]


def _typist(task: str, commands: bool, pause: float) -> Sequence[Step]:
    if "recipes/soup.md" in task.partition("</task>")[0]:
        return _soup(commands, pause)
    return _rework() if "verdict: reject" in task else _bread(commands, pause)


def _log(step: str, pause: float) -> ToolUse:
    line = f"mkdir -p log; sleep {pause}; echo {step} >> log/{step}.txt; sleep {pause}"
    return call("run_command", command=line, timeout_seconds=30)


def _soup(commands: bool, pause: float) -> Sequence[Step]:
    return [
        reply(thinking("Read, then set."), call("read_file", path="recipes/soup.md")),
        reply(
            text("Setting – naïvely."),
            call("edit_file", path="recipes/soup.md", old="2 cups stock", new="480 ml stock"),
            # The policy of the house refuses this one.
            call("write_file", path="style.md", content="Cups are fine.\n"),
        ),
        *([reply(_log("soup", pause))] if commands else []),
        reply(_handed_over("Soup is set; the style sheet was not mine to change.", "1.0")),
    ]


def _bread(commands: bool, pause: float) -> Sequence[Step]:
    return [
        reply(call("read_file", path="recipes/bread.md")),
        reply(call("edit_file", path="recipes/bread.md", old="3 cups", new="390 g")),
        *([reply(_log("bread", pause))] if commands else []),
        reply(_handed_over("Bread is set.", "1.0")),
    ]


def _rework() -> Sequence[Step]:
    return [
        reply(call("read_file", path="recipes/bread.md"), call("search", pattern="cup")),
        reply(call("edit_file", path="recipes/bread.md", old="1 cup water", new="240 ml water")),
        reply(_handed_over("The water is set too.", "1.0")),
    ]


def _handed_over(summary: str, evidence: str) -> ToolUse:
    return call(
        "hand_over", summary=summary, changes=["set"], evidence=[evidence], confidence=0.875
    )


def _verdict(request: Request) -> Reply:
    """By what the search has found in the recipes, and nothing else."""
    found = [line for line in last_results(request)[0].text.splitlines() if "cup" in line]
    cups = [line for line in found if "recipes/" in line]
    verdict, summary = "approve", "No cup is left in either recipe."
    if cups:
        verdict, summary = "reject", f"A kitchen would measure in cups here: {cups[0]}"
    return reply(
        call("hand_over", summary=summary, verdict=verdict, evidence=["0.0"], confidence=0.9)
    )


_PROOF: Sequence[Step] = [reply(call("search", pattern=r"\bcup")), _verdict]
