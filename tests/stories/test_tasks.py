"""How do several tasks of a team run, and what becomes of their results?"""

from __future__ import annotations

import pytest

from crews.errors import EXIT_DENIED
from tests.stories.players import (
    CHANGE,
    CHECK,
    LOOK,
    READING,
    agent,
    approve,
    delivery,
    finish,
    hand_over,
    hearing,
    job,
    led,
    plan,
    played,
    refuse,
    round_of,
    team,
    without,
    write,
)
from tests.stories.scenes import (
    staged,
    tree,
)
from tests.support.messages_api import Reply, Request
from tests.support.scripts import agent_of, call, reply, task_of

ONE = {"a.txt": "one\n"}


def test_tasks_run_in_the_order_of_their_context() -> None:
    tasks = [
        job("last", "put together", agent="judge", context=("left", "right")),
        job("left", "look left", agent="coder"),
        job("right", "look right", agent="boss2"),
    ]
    boss2 = agent("boss2", READING)
    seen: dict[str, str] = {}

    def brain(request: Request) -> Reply:
        seen[agent_of(request)] = task_of(request)
        return Reply(LOOK.blocks, delay=0.3)

    script = played(
        {
            "coder": [brain, hand_over("The left is free.")],
            "boss2": [brain, hand_over("The right is not.")],
            "judge": [brain, approve()],
        }
    )
    with staged(script, team(boss2, tasks=tasks)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        left, right, last = (stage.threads(n)[0] for n in ("coder", "boss2", "judge"))
        assert max(left.started_at, right.started_at) < min(left.ended_at or 0, right.ended_at or 0)
        assert last.started_at >= max(left.ended_at or 0, right.ended_at or 0)
        assert "The left is free." in seen["judge"] and "The right is not." in seen["judge"]
        assert "The right" not in seen["coder"]


def test_a_task_that_waits_does_not_hold_up_another() -> None:
    tasks = [job("ask", "ask", agent=None), job("look", "look", agent="coder")]
    script = played(
        {
            "boss": [reply(call("ask_human", question="well?")), finish()],
            "coder": [LOOK, hand_over()],
        }
    )
    with staged(script, team(tasks=tasks)) as stage:
        assert stage.run().status == "waiting"
        assert stage.threads("coder")[0].state == "done"
        assert stage.go_on("answer", reason="yes").exit_code == 0


def test_an_output_file_is_part_of_what_is_delivered() -> None:
    tasks = [job(output_file="report.md")]
    with staged(delivery(write(), summary="# Report"), team(tasks=tasks)) as stage:
        stage.run()
        assert "report.md" in stage.open_review("change_set").about["diff"]
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == {"a.txt": "two\n", "report.md": "# Report\n"}


def test_a_report_alone_needs_no_reviewer() -> None:
    script = led(finish("# One", confidence=0.9))
    with staged(script, team(tasks=[job(output_file="report.md")])) as stage:
        stage.run()
        assert stage.go_on("approve").exit_code == 0
        assert tree(stage.folder) == {"a.txt": "one\n", "report.md": "# One\n"}


def test_a_refused_report_does_not_stand_in_the_way_of_the_next() -> None:
    """The reviewer's approval is for the files without the report, whatever becomes of that."""
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK),
                *round_of("change", "check"),
                finish("# First"),
                finish("# Second"),
            ],
            "coder": [write(), hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script, team(tasks=[job(output_file="report.md")])) as stage:
        stage.run()
        stage.go_on("reject", reason="a better title")
        diff = stage.open_review("change_set").about["diff"]
        assert "+# Second" in diff and "# First" not in diff
        assert stage.go_on("approve").exit_code == 0
        assert tree(stage.folder) == {"a.txt": "two\n", "report.md": "# Second\n"}


def test_a_human_s_words_in_the_report_stay() -> None:
    with staged(
        delivery(write(), summary="# Report"), team(tasks=[job(output_file="r.md")])
    ) as stage:
        stage.run()
        assert stage.go_on("edit", edit={"files": {"r.md": "# Mine\n"}}).exit_code == 0
        assert tree(stage.folder) == {"a.txt": "two\n", "r.md": "# Mine\n"}


def test_a_task_s_output_file_is_written_once() -> None:
    """What came after it stays, also when the run is taken up again."""
    tasks = [
        job("look", "look", agent="coder", output_file="found.md"),
        job("ask", "ask", context=("look",)),
    ]
    script = played(
        {
            "coder": [LOOK, hand_over("It is one.")],
            "boss": [reply(call("ask_human", question="well?")), finish(deliver=False)],
        }
    )
    with staged(script, team(tasks=tasks)) as stage:
        stage.run()
        found = stage.workspace / "found.md"
        assert found.read_text() == "It is one.\n"
        found.write_text("It is two.\n", encoding="utf-8")
        assert stage.go_on("answer", reason="yes").exit_code == 0
        assert found.read_text() == "It is two.\n"


def test_an_output_file_does_not_void_what_was_approved() -> None:
    tasks = [job(output_file="report.md")]
    with staged(delivery(write(), summary="# Report"), team(tasks=tasks)) as stage:
        stage.run(apply=False)
        assert stage.go_on("approve").exit_code == 0
        assert stage.cli("apply", stage.id)[0] == 0
        assert tree(stage.folder)["a.txt"] == "two\n"


def test_a_task_whose_result_a_human_accepts() -> None:
    heard: list[str] = []
    tasks = [job("look", "look", agent="coder", human_input=True)]
    script = played(
        {"coder": [LOOK, hand_over("It is one."), hearing(heard, hand_over("It is 1."))]}
    )
    with staged(script, team(tasks=tasks)) as stage:
        stage.run()
        assert stage.open_review("hand_over")
        stage.go_on("reject", reason="as a digit")
        assert "<human>as a digit</human>" in heard[0]
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert "It is 1." in result.report


def test_a_team_without_a_supervisor_delivers_what_a_human_approves() -> None:
    tasks = [job("change", "change it", agent="coder")]
    script = played({"coder": [write(), hand_over()]})
    with staged(script, without(team(tasks=tasks), "boss", "judge")) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("waiting", 3)
        assert "+two" in stage.open_review("change_set").about["diff"]
        assert tree(stage.folder) == ONE
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == {"a.txt": "two\n"}
        assert stage.cli("undo", stage.id)[0] == 0


def test_a_team_without_a_supervisor_whose_changes_a_human_refuses() -> None:
    tasks = [job("change", "change it", agent="coder")]
    script = played({"coder": [write(), hand_over()]})
    with staged(script, without(team(tasks=tasks), "boss", "judge")) as stage:
        stage.run()
        result = stage.go_on("reject", reason="no")
        assert (result.status, result.exit_code) == ("completed", EXIT_DENIED)
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_reviewer_s_task_counts_as_a_review(verdict: str) -> None:
    tasks = [
        job("change", "change it", agent="coder"),
        job("check", "check it", agent="judge", context=("change",)),
    ]
    judge = approve() if verdict == "approve" else refuse()
    script = played({"coder": [write(), hand_over()], "judge": [LOOK, judge]})
    with staged(script, without(team(tasks=tasks), "boss")) as stage:
        result = stage.run()
        if verdict == "approve":
            assert stage.open_review("change_set").about["reviewed_by"] == "judge"
            assert stage.go_on("approve").exit_code == 0
            return
        assert (result.status, result.exit_code) == ("completed", 1)
        assert "not approved by a reviewer" in result.reason
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED
