"""What holds a supervisor to its plan, its reviewers and its humans? Code, whatever the model says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crews.errors import EXIT_DENIED
from tests.stories.scenes import (
    BOSS,
    CHANGE,
    CHECK,
    LOOK,
    READING,
    WORKING,
    Stage,
    agent,
    approve,
    brief,
    delegate,
    delivery,
    finish,
    hand_over,
    job,
    plan,
    played,
    refuse,
    rule,
    staged,
    step,
    team,
    tree,
    write,
)
from tests.support.messages_api import Reply, Request
from tests.support.scripts import Script, Step, agent_of, call, last_results, reply, task_of, text

ONE = {"a.txt": "one\n"}


def led(*steps: Step, coder: Sequence[Step] = (), judge: Sequence[Step] = ()) -> Script:
    """What the supervisor does; its agents look and hand over."""
    return played(
        {
            "boss": [*steps, finish(deliver=False)],
            "coder": coder or [LOOK, hand_over()],
            "judge": judge or [LOOK, approve()],
            "officer": [brief()],
        }
    )


def hearing(into: list[str], answer: Reply) -> Callable[[Request], Reply]:
    """A step that keeps what its last calls returned."""

    def hear(request: Request) -> Reply:
        into.extend(r.text for r in last_results(request))
        return answer

    return hear


def delegated(stage: Stage) -> list[tuple[str, str]]:
    """State and first words of each delegation."""
    return [(c.state, c.result.partition("\n")[0]) for c in stage.calls("delegate")]


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
    with staged(led(plan(CHANGE, CHECK), delegate("check"), delegate("change"), delegate("check"))) as stage:
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
    script = led(plan(CHANGE, CHECK), delegate("change"), delegate("check"), coder=coder, judge=[judge, approve()])
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
    script = led(plan(CHANGE), delegate("change"), BEYOND, other, coder=[LOOK, hand_over("a secret of mine")])
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
    with staged(led(plan(step("all", task="everything")), again, delegate("change")), PLANS) as stage:
        stage.run()
        stage.go_on("reject", reason="smaller steps")
        assert "<human>smaller steps</human>" in heard[0]
        assert stage.go_on("approve").exit_code == 0
        assert [t.step for t in stage.threads("coder")] == ["change"]


# -- rework ---------------------------------------------------------------------------------------


def round_of(*names: str) -> list[Reply]:
    return [delegate(name) for name in names]


def test_a_rejection_goes_back_to_the_author_with_its_reasons() -> None:
    judged = {"verdicts": 0}

    def judge(request: Request) -> Reply:
        del request
        judged["verdicts"] += 1
        return refuse("a.txt: two is wrong, write three") if judged["verdicts"] == 1 else approve()

    script = led(
        plan(CHANGE, CHECK),
        *round_of("change", "check", "change", "check"),
        coder=[write(), hand_over()],
        judge=[LOOK, judge],
    )
    with staged(script) as stage:
        assert stage.run().exit_code == 0
        second = stage.threads("coder")[1]
        assert "a.txt: two is wrong, write three" in second.brief
        assert not stage.reviews()


def test_too_many_rejections_go_to_a_human() -> None:
    script = led(
        plan(CHANGE, CHECK),
        *round_of("change", "check", "change", "check", "change", "check"),
        coder=[write(), hand_over()],
        judge=[LOOK, refuse()],
    )
    with staged(script, team(max_rework=1)) as stage:
        stage.run()
        review = stage.open_review("hand_over")
        assert review.rule == "max_rework"
        assert review.about["rounds"] == 2
        assert len(stage.threads("coder")) == 2
        result = stage.go_on("answer", reason="write three")
        assert result.status == "completed"
        assert "<human>write three</human>" in stage.threads("coder")[2].brief


def test_a_human_can_end_the_rework() -> None:
    script = led(
        plan(CHANGE, CHECK),
        *round_of("change", "check", "change"),
        coder=[write(), hand_over()],
        judge=[LOOK, refuse()],
    )
    with staged(script, team(max_rework=0)) as stage:
        stage.run()
        result = stage.go_on("reject", reason="leave it")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert len(stage.threads("coder")) == 1
        assert tree(stage.folder) == ONE


def test_a_rejection_without_a_reason_is_not_taken() -> None:
    script = led(plan(CHANGE, CHECK), *round_of("change", "check"), judge=[LOOK, refuse("no"), refuse()])
    with staged(script) as stage:
        assert stage.run().exit_code == 0
        hand_overs = stage.calls("hand_over", "judge")
        assert [c.is_error for c in hand_overs] == [True, False]


# -- what a hand-over claims ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coder", "flag"),
    [
        ([hand_over("All is changed.")], "without one successful tool call"),
        ([LOOK, hand_over(changes=["a.txt"], evidence=["0.0"])], "claims changes"),
        ([LOOK, hand_over(evidence=["7.3"])], "calls that do not exist: 7.3"),
        ([write("../x"), hand_over()], "without one successful tool call"),
    ],
)
def test_a_claim_that_no_call_bears_out_is_flagged(coder: list[Step], flag: str) -> None:
    with staged(led(plan(CHANGE), delegate("change"), coder=coder)) as stage:
        result = stage.run()
        assert flag in stage.threads("coder")[0].flags
        assert "FLAGGED" in stage.call("delegate").result and flag in stage.call("delegate").result
        assert flag in result.report
        assert flag in stage.shown()


def test_an_honest_hand_over_is_not_flagged() -> None:
    coder = [write(), hand_over(changes=["a.txt"], evidence=["0.0"])]
    with staged(led(plan(CHANGE), delegate("change"), coder=coder)) as stage:
        stage.run()
        assert stage.threads("coder")[0].flagged == ()


def test_an_approval_without_a_look_is_flagged() -> None:
    script = led(plan(CHANGE, CHECK), *round_of("change", "check"), judge=[approve()])
    with staged(script) as stage:
        stage.run()
        assert "it approved without having looked at anything" in stage.threads("judge")[0].flagged


def test_low_confidence_is_asked_about() -> None:
    unsure = rule("unsure", "ask", confidence_below=0.6)
    heard: list[str] = []
    coder = [LOOK, hand_over(confidence=0.3), hearing(heard, hand_over(confidence=0.8))]
    with staged(led(plan(CHANGE), delegate("change"), coder=coder), team(rules=[unsure])) as stage:
        stage.run()
        assert stage.open_review().rule == "unsure"
        assert stage.go_on("reject", reason="look again").exit_code == 0
        assert "<human>look again</human>" in heard[0]
        assert len(stage.reviews()) == 1


def test_an_agent_that_never_hands_over_is_ended() -> None:
    idle = agent("coder", READING, max_iter=3)
    with staged(led(plan(CHANGE), delegate("change"), coder=[LOOK] * 3), team(idle)) as stage:
        assert stage.run().exit_code == 0
        # Two turns of its own; in the third it had to end, and this one does as it is made to.
        assert [bool(r.json.get("tool_choice")) for r in stage.requests("coder")] == [False, False, True]


# -- the reviewer's approval ----------------------------------------------------------------------


def test_a_change_after_the_review_voids_the_approval() -> None:
    late = step("late", after=["check"])
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK, late),
                *round_of("change", "check", "late"),
                finish(),
                delegate("check"),
                finish(),
            ],
            "coder: do change": [write(), hand_over()],
            "coder: do late": [write("b.txt"), hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script) as stage:
        stage.run()
        early, last = stage.calls("finish")
        assert "not approved by a reviewer" in early.result
        assert last.state == "waiting"
        assert stage.go_on("approve").exit_code == 0


def test_a_review_that_runs_beside_the_change_does_not_count() -> None:
    script = played(
        {
            "boss": [
                plan(step("change"), step("check", "judge")),
                delegate("change", "check"),
                finish(),
                finish(deliver=False),
            ],
            "coder": [Reply(LOOK.blocks, delay=0.1), write(), hand_over()],
            "judge": [LOOK, Reply(LOOK.blocks, delay=0.6), approve()],
        }
    )
    with staged(script) as stage:
        assert stage.run().exit_code == 0
        assert "not approved by a reviewer" in stage.calls("finish")[0].result
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED


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
        call("escalate", what="May it be deleted?", why="It looks used.", positions=["coder: yes", "judge: no"])
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


# -- several tasks --------------------------------------------------------------------------------


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
    with staged(delivery(write(), summary="# Report"), team(tasks=[job(output_file="r.md")])) as stage:
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
    script = played({"coder": [LOOK, hand_over("It is one."), hearing(heard, hand_over("It is 1."))]})
    with staged(script, team(tasks=tasks)) as stage:
        stage.run()
        assert stage.open_review("hand_over")
        stage.go_on("reject", reason="as a digit")
        assert "<human>as a digit</human>" in heard[0]
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert "It is 1." in result.report


def without(*names: str, **more: Any) -> Any:
    """The team without these agents."""
    found = team(**more)
    agents = tuple(a for a in found.agents if a.name not in names)
    return found.model_copy(update={"agents": agents})


def test_a_team_without_a_supervisor_delivers_what_a_human_approves() -> None:
    tasks = [job("change", "change it", agent="coder")]
    script = played({"coder": [write(), hand_over()]})
    with staged(script, without("boss", "judge", tasks=tasks)) as stage:
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
    with staged(script, without("boss", "judge", tasks=tasks)) as stage:
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
    with staged(script, without("boss", tasks=tasks)) as stage:
        result = stage.run()
        if verdict == "approve":
            assert stage.open_review("change_set").about["reviewed_by"] == "judge"
            assert stage.go_on("approve").exit_code == 0
            return
        assert (result.status, result.exit_code) == ("completed", 1)
        assert "not approved by a reviewer" in result.reason
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED


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
            "boss": [plan(CHANGE, CHECK), *round_of("change", "check"), finish(), finish(deliver=False)],
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
