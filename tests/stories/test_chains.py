"""Does a run whose question nobody answers end, and who may answer it until then?"""

from __future__ import annotations

import os
import pwd
from typing import Any

import pytest
from pydantic import SecretStr

from crews import Answer, Review
from crews.errors import EXIT_DENIED, EXIT_FAILED, Denied
from crews.records import outbox, tokens, users
from crews.records.chains import DEADLINE, sweep
from crews.records.store import open_store
from crews.records.users import Decider
from crews.settings import NotifyTarget
from crews.teams.spec import Chain, Rule, TeamSpec
from crews.teams.spec import Stage as Station
from tests.stories.players import (
    CHANGE,
    CHECK,
    LOOK,
    approve,
    delegate,
    delivery,
    finish,
    hand_over,
    plan,
    played,
    rule,
    team,
    worked,
    write,
)
from tests.stories.scenes import Stage, assert_waits, staged, tree
from tests.support.scripts import call, reply

ONE = {"a.txt": "one\n"}
NOBODY = Decider("nobody", frozenset(), every_role=True, signed_in="local")
ROOT = Decider("root", frozenset({"admin"}), every_role=False, signed_in="login")
LADDER = (Station(role="security", within=60), Station(role="board", within=60))


def chained(*rules: Rule, stages: tuple[Station, ...] = LADDER) -> TeamSpec:
    return team(rules=list(rules), chains=(Chain(name="default", stages=stages),))


def swept(stage: Stage, after: float) -> tuple[Review, ...]:
    with open_store(stage.settings.journal_url) as store:
        return sweep(store, stage.open_review().opened_at + after)


def person(stage: Stage, name: str, *roles: str, login: str = "") -> None:
    with open_store(stage.settings.journal_url) as store:
        users.add_user(store, name, roles=roles, login=login, by=ROOT)


def test_nobody_answers_about_the_changes_and_the_run_ends_denied() -> None:
    script = played({
        "boss": [plan(CHANGE, CHECK), delegate("change"), delegate("check"), finish(),
                 finish("Nobody wanted it.", deliver=False)],
        "coder": [write(), hand_over()],
        "judge": [LOOK, approve()],
    })  # fmt: skip
    with staged(script, chained()) as stage:
        review = assert_waits(stage, stage.run(), "change_set")
        assert (review.role, review.stages) == ("security", LADDER)
        assert [r.role for r in swept(stage, 61)] == ["board"]
        (denied,) = swept(stage, 125)
        assert (denied.decision, denied.decided_by) == ("reject", DEADLINE)
        result = stage.resume()
        assert (result.status, result.exit_code) == ("completed", EXIT_DENIED)
        assert tree(stage.folder) == ONE
        assert f"reject by {DEADLINE}" in stage.cli("inbox", "show", review.id)[1]


def test_a_question_that_knows_no_refusal_ends_the_run() -> None:
    asks = reply(call("ask_human", question="Which one?", context=""))
    script = played({"boss": [asks, finish()]})
    with staged(script, chained(stages=LADDER[1:])) as stage:
        assert_waits(stage, stage.run(), "question")
        swept(stage, 61)
        result = stage.resume()
        assert (result.status, result.exit_code) == ("stopped", EXIT_FAILED)
        assert DEADLINE in result.reason


def test_an_action_is_denied_by_its_deadline_and_the_agent_goes_on() -> None:
    look_first = rule("look-first", "ask", tool="write_file")
    with staged(worked(write(), hand_over()), chained(look_first)) as stage:
        assert_waits(stage, stage.run(), "action")
        swept(stage, 61)
        swept(stage, 125)
        assert stage.resume().status == "completed"
        assert stage.call("write_file").state == "denied"
        assert "nobody answered in time" in stage.call("write_file").result
        assert tree(stage.folder) == ONE


def test_whoever_started_a_run_finds_somebody_else_for_its_four_eyes() -> None:
    me = pwd.getpwuid(os.getuid()).pw_name
    look_first = rule("look-first", "ask", tool="write_file").model_copy(update={"four_eyes": True})
    with staged(worked(write(), hand_over()), team(rules=[look_first])) as stage:
        with open_store(stage.settings.journal_url) as store:
            users.add_user(store, "root", by=NOBODY)
        with pytest.raises(Denied, match="none of them"):
            stage.run()
        person(stage, "ann", login=me)
        result = stage.run(ask=_never)
        review = assert_waits(stage, result, "action")
        assert stage.row.asked.started_by == "ann"
        with pytest.raises(Denied, match="four eyes: `ann` started"):
            crews_decide(stage, review.id)
        (refused,) = stage.audit("decision_refused")
        assert '"by":"ann"' in refused.body
        with pytest.raises(Denied, match="cannot decide as `root`"):
            crews_decide(stage, review.id, by="root")


def _never(review: Review) -> Answer:
    raise AssertionError(f"{review.id} is not for whoever started the run")


def crews_decide(stage: Stage, review: str, **more: Any) -> Review:
    import crews

    return crews.decide(review, "approve", settings=stage.settings, **more)


def test_the_same_question_of_two_agents_is_asked_once() -> None:
    """Two delegations want the very same command; one answer is for both."""
    one, other = (replace_step(CHANGE, name) for name in ("this", "that"))
    wants = reply(call("run_command", command="make ship"))
    script = played({
        "boss": [plan(one, other), delegate("this", "that"), finish(deliver=False)],
        "coder": [wants, hand_over()],
    })  # fmt: skip
    asked: list[Review] = []

    def answer(review: Review) -> Answer:
        asked.append(review)
        return Answer("reject", "not today")

    commands = rule("commands", "ask", tool="run_command")
    with staged(script, team(rules=[commands])) as stage:
        result = stage.run(ask=answer)
        assert result.status == "completed"
        assert [r.title.endswith("(2 calls at once)") for r in asked] == [True]
        assert {(r.decision, r.answer) for r in result.reviews} == {("reject", "not today")}
        assert len(result.reviews) == 2


def replace_step(step: dict[str, Any], name: str) -> dict[str, Any]:
    return step | {"id": name, "task": f"do {name}", "depends_on": []}


def test_a_question_that_was_left_is_asked_once() -> None:
    asked: list[str] = []

    def leaves(review: Review) -> None:
        asked.append(review.id)

    look_first = rule("look-first", "ask", tool="write_file")
    with staged(worked(write(), hand_over()), team(rules=[look_first])) as stage:
        assert_waits(stage, stage.run(ask=leaves), "action")
        assert asked == [stage.open_review().id]


def test_a_human_hands_it_up_and_another_decides() -> None:
    look_first = rule("look-first", "ask", tool="write_file")
    answers = iter([Answer("escalate", "too big for me"), None])

    def hands_it_up(review: Review) -> Answer | None:
        assert "escalate" in review.choices or review.stage == 1
        return next(answers)

    with staged(worked(write(), hand_over()), chained(look_first)) as stage:
        assert_waits(stage, stage.run(ask=hands_it_up), "action")
        assert (stage.open_review().stage, stage.open_review().role) == (1, "board")
        assert stage.go_on("approve").status == "completed"
        assert stage.call("write_file").state == "done"


def test_whom_it_was_handed_to_is_told() -> None:
    """By a person's hand as well as by the clock."""
    look_first = rule("look-first", "ask", tool="write_file")
    hook = NotifyTarget(url=SecretStr("https://hook.example/x"), events=("review_handed_up",))
    with staged(worked(write(), hand_over()), chained(look_first)) as stage:
        review = assert_waits(stage, stage.run(), "action")
        stage.settings = stage.settings.model_copy(update={"notify": {"board": hook}})
        stage.decide("escalate", reason="too big for me")
        with open_store(stage.settings.journal_url) as store:
            found = outbox.list_deliveries(store)
        assert [(d.kind, d.review, d.target) for d in found] == [
            ("review_handed_up", review.id, "board")
        ]


def test_who_is_put_out_while_they_think_decides_nothing() -> None:
    look_first = rule("look-first", "ask", tool="write_file")
    with staged(worked(write(), hand_over()), team(rules=[look_first])) as stage:
        with open_store(stage.settings.journal_url) as store:
            users.add_user(store, "root", by=NOBODY)
            users.add_user(store, "ann", by=ROOT)
            token, secret = tokens.make_token(store, "ann", by=ROOT)
        stage.settings = stage.settings.model_copy(update={"token": SecretStr(secret)})

        def slow(review: Review) -> Answer:
            del review
            with open_store(stage.settings.journal_url) as store:
                tokens.revoke_token(store, token.id, by=ROOT)
            return Answer("approve")

        with pytest.raises(Denied, match="is revoked"):
            stage.run(ask=slow)
        assert stage.open_review("action").state == "open"
        assert stage.row.status == "waiting"


def test_the_changes_are_delivered_by_whom_the_chain_names() -> None:
    with staged(delivery(write()), chained()) as stage:
        review = assert_waits(stage, stage.run(), "change_set")
        with open_store(stage.settings.journal_url) as store:
            users.add_user(store, "root", by=NOBODY)
        me = pwd.getpwuid(os.getuid()).pw_name
        person(stage, "ann", "security", login=me)
        assert crews_decide(stage, review.id).signed_in == "login"
        assert stage.resume().exit_code == 0
        assert tree(stage.folder) == {"a.txt": "two\n"}
