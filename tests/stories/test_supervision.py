"""What holds a supervisor to its plan, its grants and its humans? Code, whatever the model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.stories.players import (
    BOSS,
    CHANGE,
    CHECK,
    LOOK,
    READING,
    WORKING,
    agent,
    approve,
    brief,
    delegate,
    delivery,
    finish,
    hand_over,
    hearing,
    led,
    plan,
    played,
    round_of,
    rule,
    step,
    team,
    write,
)
from tests.stories.scenes import (
    staged,
    tree,
)
from tests.support.messages_api import Reply, Request
from tests.support.scripts import call, reply, task_of, text

ONE = {"a.txt": "one\n"}


# -- the plan and its order -----------------------------------------------------------------------


def test_nothing_is_delegated_before_there_is_a_plan() -> None:
    with staged(led(delegate("change"), plan(CHANGE), delegate("change"))) as stage:
        assert stage.run().exit_code == 0
        first, second = stage.calls("delegate")
        assert (first.state, first.result) == ("failed", "make a `plan` first")
        assert second.state == "done"


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        ([step("a"), step("a")], "step ids must differ: a"),
        ([step("a", "nobody")], "no agent `nobody`"),
        ([step("a", "boss")], "no agent `boss`"),
        ([step("a", "officer")], "no agent `officer`"),
        ([step("a", after=["b"])], "depends on steps that do not exist: b"),
        ([step("a", after=["b"]), step("b", after=["a"])], "wait for each other: a, b"),
        ([], "The arguments are not right"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused(steps: Any, problem: str) -> None:
    with staged(led(plan(*steps))) as stage:
        assert stage.run().exit_code == 0
        row = stage.call("plan")
        assert row.is_error
        assert problem in row.result


def test_a_step_waits_for_those_it_depends_on() -> None:
    with staged(
        led(plan(CHANGE, CHECK), delegate("check"), delegate("change"), delegate("check"))
    ) as stage:
        assert stage.run().exit_code == 0
        early, *rest = stage.calls("delegate")
        assert "step check waits for: change" in early.result
        assert [c.state for c in rest] == ["done", "done"]
        assert [t.agent for t in stage.threads()] == ["boss", "coder", "judge"]


def test_a_step_does_not_start_beside_what_it_depends_on() -> None:
    with staged(led(plan(CHANGE, CHECK), delegate("change", "check"), delegate("check"))) as stage:
        assert stage.run().exit_code == 0
        assert [c.state for c in stage.calls("delegate")] == ["done", "failed", "done"]


def test_steps_that_nothing_holds_back_are_delegated_together() -> None:
    script = led(plan(step("a"), step("b")), delegate("a"), delegate("a", "b"))
    with staged(script) as stage:
        assert stage.run().exit_code == 0
        alone, *both = stage.calls("delegate")
        assert "nothing holds back b" in alone.result
        assert [c.state for c in both] == ["done", "done"]
        first, second = stage.threads("coder")
        assert second.started_at < (first.ended_at or 0.0)


def test_a_step_that_the_plan_does_not_have() -> None:
    script = led(plan(CHANGE), delegate("chnage"), delegate("change", agent="judge"))
    with staged(script) as stage:
        assert stage.run().exit_code == 0
        unknown, other = stage.calls("delegate")
        assert "the plan has no step `chnage`; it has: change" in unknown.result
        assert "step change is coder's" in other.result
        assert not stage.threads("coder")


def test_what_a_step_depends_on_is_passed_on() -> None:
    heard: list[str] = []

    def judge(request: Request) -> Reply:
        heard.append(task_of(request))
        return LOOK

    coder = [LOOK, hand_over("I have seen a.txt.", evidence=["0.0"], open_questions=["why?"])]
    script = led(
        plan(CHANGE, CHECK),
        delegate("change"),
        delegate("check"),
        coder=coder,
        judge=[judge, approve()],
    )
    with staged(script) as stage:
        assert stage.run().exit_code == 0
        assert "I have seen a.txt." in heard[0]
        assert "open question: why?" in heard[0]


# -- beyond the plan ------------------------------------------------------------------------------


BEYOND = reply(call("delegate", agent="coder", task="more", expected_output="more"))


@pytest.mark.parametrize("level", [2, 3])
def test_work_beyond_the_plan_is_asked_about(level: int) -> None:
    with staged(led(plan(CHANGE), delegate("change"), BEYOND), team(autonomy=level)) as stage:
        stage.run()
        assert len(stage.threads("coder")) == 1
        review = stage.open_review("hand_over")
        assert review.rule == "beyond-plan"
        assert review.about["arguments"]["task"] == "more"
        result = stage.go_on("answer", reason="but quickly")
        assert result.exit_code == 0
        second = stage.threads("coder")[1]
        assert "<human>but quickly</human>" in second.brief


def test_work_beyond_the_plan_can_be_refused() -> None:
    with staged(led(plan(CHANGE), delegate("change"), BEYOND)) as stage:
        stage.run()
        assert stage.go_on("reject", reason="enough").exit_code == 0
        assert len(stage.threads("coder")) == 1
        assert "<human>enough</human>" in stage.calls("delegate")[1].result


def test_two_pieces_of_work_beyond_the_plan_know_nothing_of_each_other() -> None:
    other = reply(call("delegate", agent="judge", task="look at b", expected_output="a look"))
    script = led(
        plan(CHANGE), delegate("change"), BEYOND, other, coder=[LOOK, hand_over("a secret of mine")]
    )
    with staged(script, team(autonomy=4)) as stage:
        assert stage.run().exit_code == 0
        (judge,) = stage.threads("judge")
        assert "a secret of mine" not in judge.brief


# -- a human looks at the plan --------------------------------------------------------------------


PLANS = team(rules=[rule("show-me", "ask", tool="plan")])


def test_a_plan_can_be_put_to_a_human() -> None:
    with staged(led(plan(CHANGE), delegate("change")), PLANS) as stage:
        stage.run()
        review = stage.open_review("plan")
        assert not stage.threads("coder")
        code, shown, _ = stage.cli("inbox", "show", review.id)
        assert code == 0
        assert "do change" in shown and "coder" in shown
        assert stage.go_on("approve").exit_code == 0
        assert len(stage.threads("coder")) == 1


def test_a_human_s_plan_replaces_the_supervisor_s() -> None:
    mine = {"steps": [step("other", "judge", "look at it instead")]}
    script = led(plan(CHANGE), delegate("change"), delegate("other"))
    with staged(script, PLANS) as stage:
        stage.run()
        assert stage.go_on("edit", edit=mine).exit_code == 0
        assert "no step `change`" in stage.calls("delegate")[0].result
        assert [t.agent for t in stage.threads()] == ["boss", "judge"]


def test_a_rejected_plan_goes_back_to_the_supervisor() -> None:
    heard: list[str] = []
    again = hearing(heard, plan(CHANGE))
    with staged(
        led(plan(step("all", task="everything")), again, delegate("change")), PLANS
    ) as stage:
        stage.run()
        stage.go_on("reject", reason="smaller steps")
        assert "<human>smaller steps</human>" in heard[0]
        assert stage.go_on("approve").exit_code == 0
        assert [t.step for t in stage.threads("coder")] == ["change"]


# -- humans ---------------------------------------------------------------------------------------


def test_a_question_waits_for_its_answer() -> None:
    heard: list[str] = []
    ask = reply(call("ask_human", question="Which colour?", context="There are two."))
    with staged(led(ask, hearing(heard, plan(CHANGE)))) as stage:
        stage.run()
        review = stage.open_review("question")
        assert review.about == {"question": "Which colour?", "context": "There are two."}
        assert stage.go_on("answer", reason="blue").exit_code == 0
        assert heard == ["<human>blue</human>"]


def test_what_is_escalated_comes_with_a_brief() -> None:
    heard: list[str] = []
    raised = reply(
        call(
            "escalate",
            what="May it be deleted?",
            why="It looks used.",
            positions=["coder: yes", "judge: no"],
        )
    )
    with staged(led(raised, hearing(heard, plan(CHANGE)))) as stage:
        stage.run()
        review = stage.open_review("question")
        assert review.briefing is not None
        assert "judge: no" in review.about["context"]
        assert "May it be deleted?" in str(stage.requests("officer")[0].messages)
        assert stage.go_on("answer", reason="no").exit_code == 0
        assert heard == ["<human>no</human>"]


def test_two_questions_at_once_wait_together() -> None:
    both = reply(call("ask_human", question="one?"), call("ask_human", question="two?"))
    heard: list[str] = []
    with staged(led(both, hearing(heard, plan(CHANGE)))) as stage:
        stage.run()
        first, second = stage.reviews(state="open")
        stage.decide_one(second.id, "answer", reason="2")
        assert stage.resume().status == "waiting"
        stage.decide_one(first.id, "answer", reason="1")
        assert stage.resume().exit_code == 0
        assert heard == ["<human>1</human>", "<human>2</human>"]


# -- who can do what ------------------------------------------------------------------------------


def test_a_supervisor_has_its_own_tools_and_no_others() -> None:
    strong = agent("boss", WORKING, "supervisor")
    with staged(led(write()), team(strong)) as stage:
        assert stage.run().exit_code == 0
        offered = {t["name"] for r in stage.requests("boss") for t in r.tools}
        assert offered == {*READING, "plan", "delegate", "ask_human", "escalate", "finish"}
        assert stage.call("write_file").state == "denied"


def test_an_escalation_agent_only_reads() -> None:
    strong = agent("officer", WORKING, "escalation", max_iter=4)
    raised = reply(call("escalate", what="Is it safe?", why="unclear"))
    script = played({"boss": [raised, finish()], "officer": [write(), brief()]})
    with staged(script, team(strong)) as stage:
        stage.run()
        assert stage.open_review("question").briefing is not None
        assert stage.call("write_file").state == "denied"
        assert tree(stage.workspace) == ONE


def test_an_agent_writes_where_it_may() -> None:
    narrow = agent("coder", WORKING, write_paths=("docs/**",))
    coder = [write("docs/new.md"), write("src/new.py"), hand_over()]
    with staged(led(plan(CHANGE), delegate("change"), coder=coder), team(narrow)) as stage:
        stage.run()
        inside, outside = stage.calls("write_file")
        assert (inside.state, outside.state) == ("done", "denied")
        assert "only docs/**" in outside.result


def test_a_command_does_not_widen_where_an_agent_writes() -> None:
    narrow = agent("coder", WORKING, write_paths=("docs/**",))
    sly = reply(call("run_command", command="mkdir -p docs; echo x > docs/a.md; echo evil > a.txt"))
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK),
                *round_of("change", "check"),
                finish(),
                finish(deliver=False),
            ],
            "coder": [sly, hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script, team(narrow)) as stage:
        stage.run()
        assert (stage.workspace / "a.txt").read_text() == "one\n"


def test_a_plain_answer_in_place_of_a_call_is_pointed_out() -> None:
    coder = [reply(text("I think it is done.")), LOOK, hand_over()]
    with staged(led(plan(CHANGE), delegate("change"), coder=coder)) as stage:
        assert stage.run().exit_code == 0
        assert "You made no tool call" in str(stage.requests("coder")[1].messages[-1])


def test_the_folder_of_the_team_is_not_worked_on_by_accident(tmp_path: Path) -> None:
    with staged(delivery(write()), team(BOSS, folder=tmp_path)) as stage:
        stage.run()
        assert stage.go_on("approve").exit_code == 0
        assert list(tmp_path.iterdir()) == []
