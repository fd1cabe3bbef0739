"""Does every review come with the people whom the policy names, and with every question that was put off?"""

from __future__ import annotations

import json

from crews import Review
from crews.teams.spec import Chain, Match, Rule, Stage, TeamSpec
from tests.stories.players import agent, delivery, hand_over, limits, rule, team, worked, write
from tests.stories.scenes import assert_waits, staged
from tests.support.messages_api import failure
from tests.support.scripts import call, reply

USUAL = (Stage(role="lead", within=60.0), Stage(role="head", within=90.0))
OPS = (Stage(role="ops", within=30.0),)
CHAINS = (Chain(name="default", stages=USUAL), Chain(name="night", stages=OPS))
LATER = Rule(
    name="later", when=Match(path=("a.txt",)), ruling="ask", at="change_set", role="owner",
    chain="night", four_eyes=True,
)  # fmt: skip


def asked(*rules: Rule) -> TeamSpec:
    return team(rules=rules, chains=CHAINS)


def people(review: Review) -> tuple[list[str], bool, str]:
    return [s.role for s in review.stages], review.four_eyes, review.role


def test_an_action_is_asked_of_its_rule_s_chain() -> None:
    now = Rule(name="now", when=Match(tool=("write_file",)), ruling="ask", chain="night")
    with staged(delivery(write()), asked(now)) as stage:
        review = assert_waits(stage, stage.run(), "action")
        assert people(review) == (["ops"], False, "ops")
        assert review.due_at is not None


def test_every_rule_that_asks_has_a_say() -> None:
    """What is asked now is not asked again at the end: those who ask at the end are asked now."""
    now = rule("now", "ask", tool="write_file", role="boss")
    with staged(delivery(write()), asked(now, LATER)) as stage:
        review = assert_waits(stage, stage.run(), "action")
        assert (review.rule, review.about["rules"]) == ("now", ["now", "later"])
        assert people(review) == (["ops"], True, "ops")


def test_what_was_put_off_is_asked_with_the_change_set_of_everybody() -> None:
    also = rule("also", "ask", at="change_set", tool="write_file", role="boss")
    with staged(delivery(write(), write("b.txt")), asked(also, LATER)) as stage:
        review = assert_waits(stage, stage.run(), "change_set")
        assert [c["rule"] for c in review.about["collected"]] == ["also", "also"]
        assert {"also", "later"} <= set(review.about["rules"])
        assert people(review) == (["ops"], True, "ops")


def test_without_chains_every_role_must_agree() -> None:
    also = rule("also", "ask", at="change_set", tool="write_file", role="boss")
    careful = rule("careful", "ask", at="change_set", path="a.txt", role="owner")
    with staged(delivery(write()), team(rules=(also, careful))) as stage:
        review = assert_waits(stage, stage.run(), "change_set")
        stages, _, roles = people(review)
        assert (stages, set(roles.split(", "))) == ([], {"boss", "owner"})


def test_a_wall_is_asked_of_the_usual_people() -> None:
    walled = team(chains=CHAINS, limits=limits(turns=1))
    with staged(delivery(write()), walled) as stage:
        review = assert_waits(stage, stage.run(), "budget")
        assert people(review) == (["lead", "head"], False, "lead")


def test_an_outage_is_asked_of_the_usual_people() -> None:
    with staged(lambda _: failure(529, "Overloaded", retry_after=0.01), asked()) as stage:
        review = assert_waits(stage, stage.run(), "model")
        assert people(review) == (["lead", "head"], False, "lead")


# -- questions that were put off ------------------------------------------------------------------


def test_a_command_that_was_cut_off_may_have_changed_something() -> None:
    """It wrote before its time was over: the rule that asks about it is asked, and it is an author."""
    slow = call("run_command", command="echo two > a.txt; sleep 30", timeout_seconds=1)
    careful = rule("careful", "ask", at="change_set", tool="run_command")
    with staged(delivery(reply(slow)), team(rules=(careful,))) as stage:
        review = assert_waits(stage, stage.run(), "change_set")
        row = stage.call("run_command")
        assert (row.state, row.is_error) == ("failed", True)
        assert [c["call"] for c in review.about["collected"]] == [row.address]
        assert "careful" in review.rule


def test_a_command_is_approved_for_the_files_that_it_was_to_find() -> None:
    now = rule("now", "ask", tool="run_command")
    step = reply(call("run_command", command="cat a.txt"))
    with staged(worked(step, hand_over()), team(rules=(now,))) as stage:
        first = assert_waits(stage, stage.run(), "action")
        stage.decide("approve")
        (stage.workspace / "a.txt").write_text("changed since\n", encoding="utf-8")
        second = assert_waits(stage, stage.resume(), "action")
        assert second.content_hash != first.content_hash
        assert [r.state for r in stage.reviews("action")] == ["void", "open"]
        assert stage.call("run_command").started_at is None


def test_an_approval_for_the_run_holds_for_what_follows() -> None:
    now = rule("now", "ask", tool="write_file")
    steps = [write("b.txt"), write("c.txt"), hand_over()]
    with staged(worked(*steps), team(agent("coder", ("write_file",)), rules=(now,))) as stage:
        review = assert_waits(stage, stage.run(), "action")
        result = stage.go_on("approve", scope="run")
        assert (result.status, result.exit_code) == ("completed", 0)
        bodies = [json.loads(e.body) for e in stage.audit("verdict")]
        stood = [b for b in bodies if b.get("standing")]
        assert [(b["ruling"], b["rule"], b["standing"]) for b in stood] == [
            ("allow", "now", review.id)
        ]
