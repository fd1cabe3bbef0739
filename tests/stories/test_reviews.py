"""What becomes of each answer to a question about one call? It holds for what was shown, once, and is judged again."""

from __future__ import annotations

import pytest

from crews import Answer, CrewsError, Review
from crews.errors import EXIT_FAILED
from tests.stories.players import (
    delegate,
    delivery,
    finish,
    hand_over,
    hearing,
    plan,
    played,
    rule,
    step,
    team,
    worked,
    write,
)
from tests.stories.scenes import (
    assert_waits,
    staged,
    tree,
)
from tests.support.messages_api import Reply, Request
from tests.support.scripts import call, reply

ASKS = rule("look-first", "ask", tool="write_file")
ASKING = team(rules=[ASKS])
TWO = {"a.txt": "two\n"}
ONE = {"a.txt": "one\n"}


# -- an action ------------------------------------------------------------------------------------


def test_an_approved_action_happens_once_and_as_shown() -> None:
    with staged(delivery(write()), ASKING) as stage:
        review = assert_waits(stage, stage.run(), "action")
        assert review.about["arguments"] == {"path": "a.txt", "content": "two\n"}
        assert "-one\n+two" in review.about["diff"]
        assert (review.rule, review.agent) == ("look-first", "coder")
        assert not (stage.workspace / "a.txt").read_text().startswith("two")
        result = stage.go_on("approve")
        assert_waits(stage, result, "change_set")
        assert (stage.workspace / "a.txt").read_text() == "two\n"
        assert stage.call("write_file").state == "done"
        assert stage.go_on("approve").exit_code == 0
        assert tree(stage.folder) == TWO


def test_an_approval_is_for_one_call() -> None:
    with staged(worked(write(), write(), hand_over()), ASKING) as stage:
        stage.run()
        first = stage.open_review()
        assert stage.go_on("approve").status == "waiting"
        assert stage.open_review().id != first.id
        with pytest.raises(CrewsError, match="is decided by ann"):
            stage.decide_one(first.id, "approve")


def test_an_edited_action_happens_as_edited() -> None:
    heard: list[str] = []
    with staged(worked(write(), hearing(heard, hand_over())), ASKING) as stage:
        stage.run()
        result = stage.go_on("edit", edit={"path": "b.txt", "content": "three\n"})
        assert result.exit_code == 0
        assert (stage.workspace / "a.txt").read_text() == "one\n"
        assert (stage.workspace / "b.txt").read_text() == "three\n"
        said, result_text = heard[0].split("\n")
        assert said.startswith("A human changed the arguments: <human>")
        assert result_text == "created b.txt (1 lines)"
        assert stage.call("write_file").args == {"path": "b.txt", "content": "three\n"}


@pytest.mark.parametrize(
    "edit",
    [
        {"path": "vault/key.txt", "content": "x"},
        {"path": "../outside.txt", "content": "x"},
        {"path": "a.txt"},
        {"path": "a.txt", "content": "x", "mode": "777"},
    ],
)
def test_an_edited_action_is_judged_again(edit: dict[str, str]) -> None:
    vault = rule("vault", "deny", path="vault/**")
    with staged(worked(write(), hand_over()), team(rules=[ASKS, vault])) as stage:
        stage.run()
        result = stage.go_on("edit", edit=edit)
        assert result.exit_code == 0
        row = stage.call("write_file")
        assert row.state in {"denied", "failed"}
        assert tree(stage.workspace) == ONE
        assert "write_file" in stage.shown()


def test_a_rejected_action_does_not_happen_and_its_reason_reaches_the_model() -> None:
    heard: list[str] = []
    with staged(worked(write(), hearing(heard, hand_over())), ASKING) as stage:
        stage.run()
        with pytest.raises(CrewsError, match="needs a reason"):
            stage.decide("reject")
        result = stage.go_on("reject", reason="a.txt stays as it is")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert len(heard) == 1
        assert "<human>a.txt stays as it is</human>" in heard[0]
        assert stage.call("write_file").state == "denied"
        assert tree(stage.workspace) == ONE
        assert "a.txt stays as it is" in stage.shown()


def test_stopping_at_an_action_ends_the_run() -> None:
    with staged(delivery(write()), ASKING) as stage:
        stage.run()
        sent = len(stage.server.requests)
        result = stage.go_on("stop")
        assert (result.status, result.exit_code) == ("stopped", EXIT_FAILED)
        assert "ann" in result.reason
        assert len(stage.server.requests) == sent
        assert tree(stage.workspace) == ONE


def test_stop_holds_for_what_another_review_has_approved() -> None:
    """Two wait; one is approved, one says stop: nothing more happens."""
    script = played(
        {
            "boss": [plan(step("a"), step("b")), delegate("a", "b"), finish(deliver=False)],
            "coder: do a": [write("a.txt"), hand_over()],
            "coder: do b": [write("b.txt"), hand_over()],
        }
    )
    with staged(script, ASKING) as stage:
        stage.run()
        first, second = stage.reviews(state="open")
        stage.decide_one(first.id, "approve")
        stage.decide_one(second.id, "stop")
        assert stage.resume().status == "stopped"
        assert tree(stage.workspace) == ONE


def test_an_approval_is_void_when_the_file_has_changed() -> None:
    with staged(worked(write(), hand_over()), ASKING) as stage:
        stage.run()
        first = stage.open_review()
        stage.decide("approve")
        (stage.workspace / "a.txt").write_text("meanwhile\n", encoding="utf-8")
        result = stage.resume()
        assert result.status == "waiting"
        again = stage.open_review()
        assert again.id != first.id
        assert "-meanwhile\n+two" in again.about["diff"]
        assert [r.state for r in stage.reviews()] == ["void", "open"]
        assert "void" in stage.shown()
        assert len(stage.audit("review_void")) == 1
        assert stage.go_on("approve").exit_code == 0
        assert (stage.workspace / "a.txt").read_text() == "two\n"


def test_a_decision_is_refused_for_what_was_not_shown() -> None:
    with staged(worked(write(), hand_over()), ASKING) as stage:
        stage.run()
        with pytest.raises(CrewsError, match="not about what you were shown"):
            stage.decide("approve", content_hash="0" * 64)
        assert stage.open_review()


def test_reviews_can_be_put_to_a_callable() -> None:
    asked: list[str] = []

    def ask(review: Review) -> Answer:
        asked.append(review.kind)
        return Answer("approve")

    with staged(delivery(write()), ASKING) as stage:
        result = stage.run(ask=ask)
        assert (result.status, result.exit_code) == ("completed", 0)
        assert asked == ["action", "change_set"]
        assert tree(stage.folder) == TWO


# -- the brief ------------------------------------------------------------------------------------


def test_a_sensitive_action_comes_with_a_brief() -> None:
    login = 'def login(password: str) -> bool:\n    return password == "x"\n'
    auth = rule("auth", "ask", content="auth")
    with staged(delivery(write("login.py", login)), team(rules=[auth])) as stage:
        stage.run()
        review = stage.open_review("action")
        assert review.briefing is not None
        assert review.briefing.recommendation == "Approve it."
        (officer,) = stage.threads("officer")
        assert officer.kind == "brief"
        told_to = stage.requests("officer")[0]
        assert "login.py" in str(told_to.messages)


def test_a_brief_is_written_anew_for_what_is_asked_anew() -> None:
    auth = rule("auth", "ask", content="auth")
    script = worked(write("login.py", "def login(password): ...\n"), hand_over())

    def officer(request: Request) -> Reply:
        if not request.system.startswith("You are officer"):
            return script(request)
        changed = "meanwhile" in str(request.messages)
        what = "It replaces what came meanwhile." if changed else "It adds a file."
        words = {"what": what, "why": "auth", "risk": "low", "recommendation": "Look."}
        return reply(call("brief", **words))

    with staged(officer, team(rules=[auth])) as stage:
        stage.run()
        stage.decide("approve")
        (stage.workspace / "login.py").write_text("meanwhile\n", encoding="utf-8")
        stage.resume()
        first, second = stage.reviews()
        assert first.briefing is not None and first.briefing.what == "It adds a file."
        assert second.briefing is not None
        assert second.briefing.what == "It replaces what came meanwhile."
