"""Do independent tasks run at once, in the order that their contexts make, and let each other finish?"""

from __future__ import annotations

import pytest

from crews.errors import UsageError
from crews.runtime.tasking import ordered
from crews.teams.spec import TaskSpec
from tests.stories.players import hand_over, job, played, rule, team, write
from tests.stories.scenes import staged
from tests.support.messages_api import Request
from tests.support.reply import Reply
from tests.support.scripts import call, reply


def names(*tasks: TaskSpec) -> list[str]:
    return [t.name for t in ordered(tasks)]


def test_tasks_stay_as_declared_unless_a_context_moves_them() -> None:
    assert names(job("b"), job("a"), job("c")) == ["b", "a", "c"]
    assert names(job("b", context=("c",)), job("a"), job("c")) == ["a", "c", "b"]


def test_tasks_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="wait for each other"):
        ordered((job("a", context=("b",)), job("b", context=("a",))))


TWO = (job("ask", "Ask first", agent="coder"), job("slow", "Take time", agent="coder"))


def test_a_task_that_waits_lets_the_others_finish() -> None:
    """Cutting one off in the middle of a command would leave a call of which nobody knows whether it happened."""
    script = played(
        {
            "coder: Ask first": [write(), hand_over()],
            "coder: Take time": [
                Reply(reply(call("list_files")).blocks, delay=0.4),
                Reply(hand_over("Slow and done.").blocks, delay=0.4),
            ],
        }
    )
    careful = team(tasks=TWO, rules=[rule("careful", "ask", effect="write")])
    with staged(script, careful) as stage:
        assert stage.run().status == "waiting"
        assert {t.path: t.state for t in stage.threads()} == {"/ask": "open", "/slow": "done"}
        asked = len(stage.requests())
        assert stage.go_on("approve").status == "completed"
        assert len(stage.requests()) == asked + 1  # only what was left


def test_what_a_task_found_is_given_to_those_that_need_it() -> None:
    tasks = (
        job("look", "Look", agent="coder"),
        job("use", "Use it", agent="coder", context=("look",)),
    )

    def using(request: Request) -> Reply:
        return hand_over("Used." if "It is 42." in str(request.messages[0]) else "Nothing to use.")

    script = played({"coder: Look": [hand_over("It is 42.")], "coder: Use it": [using]})
    with staged(script, team(tasks=tasks)) as stage:
        assert stage.run().status == "completed"
        assert stage.row.summary == "Used."
