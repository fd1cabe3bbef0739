"""Is work what its author says it is? Rejected, flagged and doubted work goes back, or to a human."""

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
    delegate,
    finish,
    hand_over,
    hearing,
    led,
    plan,
    played,
    refuse,
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
from tests.support.scripts import Step

ONE = {"a.txt": "one\n"}


# -- rework ---------------------------------------------------------------------------------------


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
    script = led(
        plan(CHANGE, CHECK), *round_of("change", "check"), judge=[LOOK, refuse("no"), refuse()]
    )
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
        assert [bool(r.json.get("tool_choice")) for r in stage.requests("coder")] == [
            False,
            False,
            True,
        ]


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
