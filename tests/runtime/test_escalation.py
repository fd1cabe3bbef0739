"""Is a human briefed on what is asked now, and asked all the same where nobody can brief?"""

from __future__ import annotations

from collections.abc import Sequence

from tests.stories.players import (
    LOOK,
    brief,
    delegate,
    finish,
    hand_over,
    plan,
    played,
    rule,
    step,
    team,
)
from tests.stories.scenes import Stage, staged
from tests.support.messages_api import Request, failure
from tests.support.reply import Reply
from tests.support.scripts import Script, Step, agent_of, call, reply, task_of

EDIT = reply(call("edit_file", path="a.txt", old="token", new="key"))
RULES = (rule("careful", "ask", effect="write", role="security"),)
SECRET = "AKIAIOSFODNN7EXAMPLE"


def story(officer: Sequence[Step], coder: Sequence[Step] = (EDIT, hand_over())) -> Script:
    return played(
        {
            "boss": [plan(step("change")), delegate("change"), finish(deliver=False)],
            "coder": coder,
            "officer": officer,
        }
    )


def briefs(stage: Stage) -> list[str]:
    return [t.path for t in stage.threads("officer")]


def test_the_brief_goes_with_the_question() -> None:
    with staged(
        story([LOOK, brief(risk="high")]), team(rules=RULES), {"a.txt": "token\n"}
    ) as stage:
        [review] = stage.run().waiting_for
        assert review.briefing is not None
        assert review.briefing.risk == "high"
        assert briefs(stage) == ["/1.0/0.0!"]
        assert stage.go_on("approve").status == "completed"


def test_what_is_asked_anew_is_briefed_anew() -> None:
    """An approval is void when the file has changed; the old brief is about the old question."""

    def officer(request: Request) -> Reply:
        return brief(what="It is longer." if "and more" in task_of(request) else "It is short.")

    with staged(story([officer]), team(rules=RULES), {"a.txt": "token\n"}) as stage:
        [first] = stage.run().waiting_for
        assert first.briefing is not None
        assert first.briefing.what == "It is short."
        (stage.workspace / "a.txt").write_text("token and more\n", encoding="utf-8")
        [second] = stage.go_on("approve").waiting_for
        assert second.briefing is not None
        assert second.briefing.what == "It is longer."
        assert [r.state for r in stage.reviews()] == ["void", "open"]
        assert briefs(stage) == ["/1.0/0.0!", "/1.0/0.0!2"]
        assert stage.go_on("approve").status == "completed"


def test_who_cannot_brief_does_not_hold_the_question_back() -> None:
    def brain(request: Request) -> Reply:
        return failure(400, "no officer today") if agent_of(request) == "officer" else rest(request)

    rest = story([])
    with staged(brain, team(rules=RULES), {"a.txt": "token\n"}) as stage:
        [review] = stage.run().waiting_for
        assert review.kind == "action"
        assert review.briefing is None
        assert "no officer today" in review.brief_note
        assert stage.go_on("approve").status == "completed"


def test_neither_the_human_nor_the_officer_is_shown_a_secret() -> None:
    push = reply(call("run_command", command=f"deploy --key {SECRET}"))
    rules = (rule("careful", "ask", effect="execute", role="security"),)
    script = story([brief()], [push, hand_over()])
    with staged(script, team(rules=rules, sandbox="none")) as stage:
        [review] = stage.run().waiting_for
        asked = stage.requests("officer")
    for text in (review.title, review.subject, review.reason, review.findings):
        assert SECRET not in text
    assert "deploy --key" in review.title
    assert asked
    assert not any(SECRET in r.body.decode() for r in asked)
