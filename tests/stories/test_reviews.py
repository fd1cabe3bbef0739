"""What becomes of each answer to a review? It holds for what was shown, once, and policy judges it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crews import Answer, CrewsError, Result, Review
from crews.errors import EXIT_DENIED, EXIT_FAILED
from tests.stories.scenes import (
    CHANGE,
    CHECK,
    LOOK,
    Stage,
    approve,
    delegate,
    delivery,
    finish,
    hand_over,
    plan,
    played,
    rule,
    staged,
    step,
    team,
    tree,
    write,
)
from tests.support.messages_api import Reply, Request
from tests.support.scripts import Script, Step, call, last_results, reply

ASKS = rule("look-first", "ask", tool="write_file")
ASKING = team(rules=[ASKS])
TWO = {"a.txt": "two\n"}
ONE = {"a.txt": "one\n"}


def told(into: list[str], answer: Reply | None = None) -> Callable[[Request], Reply]:
    """A step that keeps what its last calls returned."""

    def hear(request: Request) -> Reply:
        into.extend(r.text for r in last_results(request))
        return answer or hand_over()

    return hear


def undelivered(*work: Step) -> Script:
    """The coder works; nothing is delivered."""
    return played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(deliver=False)],
            "coder": work,
        }
    )


def assert_waits(stage: Stage, result: Result, kind: str) -> Review:
    """The run waits for one review of that kind, and has changed nothing of the user's."""
    assert (result.status, result.exit_code) == ("waiting", 3)
    (review,) = result.waiting_for
    assert review.kind == kind
    assert tree(stage.folder) == ONE
    return review


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
    with staged(undelivered(write(), write(), hand_over()), ASKING) as stage:
        stage.run()
        first = stage.open_review()
        assert stage.go_on("approve").status == "waiting"
        assert stage.open_review().id != first.id
        with pytest.raises(CrewsError, match="is decided by ann"):
            stage.decide_one(first.id, "approve")


def test_an_edited_action_happens_as_edited() -> None:
    heard: list[str] = []
    with staged(undelivered(write(), told(heard)), ASKING) as stage:
        stage.run()
        result = stage.go_on("edit", edit={"path": "b.txt", "content": "three\n"})
        assert result.exit_code == 0
        assert (stage.workspace / "a.txt").read_text() == "one\n"
        assert (stage.workspace / "b.txt").read_text() == "three\n"
        assert heard == ["created b.txt (1 lines)"]
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
    with staged(undelivered(write(), hand_over()), team(rules=[ASKS, vault])) as stage:
        stage.run()
        result = stage.go_on("edit", edit=edit)
        assert result.exit_code == 0
        row = stage.call("write_file")
        assert row.state in {"denied", "failed"}
        assert tree(stage.workspace) == ONE
        assert "write_file" in stage.shown()


def test_a_rejected_action_does_not_happen_and_its_reason_reaches_the_model() -> None:
    heard: list[str] = []
    with staged(undelivered(write(), told(heard)), ASKING) as stage:
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
    with staged(undelivered(write(), hand_over()), ASKING) as stage:
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
    with staged(undelivered(write(), hand_over()), ASKING) as stage:
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
    script = undelivered(write("login.py", "def login(password): ...\n"), hand_over())

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


# -- a change set ---------------------------------------------------------------------------------


BOTH = reply(
    call("write_file", path="a.txt", content="two\n"),
    call("write_file", path="b.txt", content="new\n"),
)


def test_an_approved_change_set_is_applied_and_can_be_taken_back() -> None:
    with staged(delivery(BOTH)) as stage:
        review = assert_waits(stage, stage.run(), "change_set")
        assert [f["path"] for f in review.about["files"]] == ["a.txt", "b.txt"]
        assert review.about["reviewed_by"] == "judge"
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == {"a.txt": "two\n", "b.txt": "new\n"}
        assert stage.cli("undo", stage.id)[0] == 0
        assert tree(stage.folder) == ONE
        assert stage.cli("undo", stage.id)[0] == 2
        assert stage.cli("apply", stage.id)[0] == 0
        assert tree(stage.folder) == {"a.txt": "two\n", "b.txt": "new\n"}


def test_a_file_that_a_human_drops_is_not_applied() -> None:
    with staged(delivery(BOTH)) as stage:
        stage.run()
        result = stage.go_on("edit", edit={"drop": ["b.txt"]})
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == TWO


def test_a_text_that_a_human_writes_is_what_is_applied() -> None:
    with staged(delivery(BOTH)) as stage:
        stage.run()
        result = stage.go_on("edit", edit={"files": {"b.txt": "a human's\n"}, "drop": ["a.txt"]})
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == {"a.txt": "one\n", "b.txt": "a human's\n"}
        assert stage.cli("diff", stage.id)[1].count("+a human's") == 1


def test_a_change_set_of_which_nothing_is_left() -> None:
    with staged(delivery(BOTH)) as stage:
        stage.run()
        result = stage.go_on("edit", edit={"drop": ["a.txt", "b.txt"]})
        assert (result.status, result.exit_code, result.reason) == ("completed", 0, "")
        assert tree(stage.folder) == ONE


@pytest.mark.parametrize(
    "edit", [{"drop": ["b.tx"]}, {"files": {"c.txt": ""}}, {"drop": ["b.txt"], "path": "b.txt"}, None]
)
def test_an_edit_of_what_is_not_there_is_refused_at_once(edit: dict[str, Any] | None) -> None:
    with staged(delivery(BOTH)) as stage:
        stage.run()
        with pytest.raises(CrewsError):
            stage.decide("edit", edit=edit)
        assert stage.open_review("change_set")


def test_a_human_s_text_is_judged_by_policy_too() -> None:
    """The supervisor finishes again, and the human is asked again."""
    edit = {"files": {"b.txt": "AKIA1234567890ABCDEF\n"}}
    key = rule("no-keys", "deny", content="secrets")
    script = played(
        {
            "boss": [plan(CHANGE, CHECK), delegate("change"), delegate("check"), finish(), finish()],
            "coder": [BOTH, hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script, team(rules=[key])) as stage:
        stage.run()
        result = stage.go_on("edit", edit=edit)
        assert_waits(stage, result, "change_set")
        assert stage.calls("finish")[0].is_error
        assert stage.go_on("approve").exit_code == 0


def checked_twice() -> Script:
    """The supervisor has the change set checked again after its first `finish`."""
    return played(
        {
            "boss": [
                plan(CHANGE, CHECK),
                delegate("change"),
                delegate("check"),
                finish(),
                delegate("check"),
                finish(),
            ],
            "coder": [BOTH, hand_over()],
            "judge": [LOOK, approve()],
        }
    )


def test_an_edit_is_void_when_the_change_set_has_changed() -> None:
    """A human who drops a file has not seen what came in meanwhile."""
    with staged(checked_twice()) as stage:
        stage.run()
        stage.decide("edit", edit={"drop": ["b.txt"]})
        (stage.workspace / "evil.txt").write_text("unseen\n", encoding="utf-8")
        stage.resume()
        assert "evil.txt" not in tree(stage.folder)
        assert stage.reviews("change_set")[0].state == "void"


def test_an_approval_is_void_when_the_change_set_has_changed() -> None:
    with staged(checked_twice()) as stage:
        stage.run()
        stage.decide("approve")
        (stage.workspace / "late.txt").write_text("late\n", encoding="utf-8")
        result = stage.resume()
        # The reviewer's approval was for the files as they stood, and so was the human's.
        review = assert_waits(stage, result, "change_set")
        assert "late.txt" in review.about["diff"]
        assert [r.state for r in stage.reviews()] == ["void", "open"]
        assert "not approved by a reviewer" in stage.calls("finish")[0].result


def test_a_rejected_change_set_is_reworked() -> None:
    heard: list[str] = []
    again = plan(step("mend"), step("recheck", "judge", after=["mend"]))
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK),
                delegate("change"),
                delegate("check"),
                finish(),
                told(heard, again),
                delegate("mend"),
                delegate("recheck"),
                finish(),
            ],
            "coder: do change": [write(), hand_over()],
            "coder: do mend": [write(content="three\n"), hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script) as stage:
        stage.run()
        result = stage.go_on("reject", reason="three is better")
        assert_waits(stage, result, "change_set")
        assert "<human>three is better</human>" in heard[0]
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == {"a.txt": "three\n"}


def test_a_rejected_change_set_that_is_given_up() -> None:
    script = played(
        {
            "boss": [
                plan(CHANGE, CHECK),
                delegate("change"),
                delegate("check"),
                finish(),
                finish("The human refused.", deliver=False),
            ],
            "coder": [write(), hand_over()],
            "judge": [LOOK, approve()],
        }
    )
    with staged(script) as stage:
        stage.run()
        result = stage.go_on("reject", reason="not at all")
        assert (result.status, result.exit_code) == ("completed", EXIT_DENIED)
        assert result.reason == "a human refused the changes"
        assert tree(stage.folder) == ONE
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED


def test_stopping_at_a_change_set() -> None:
    with staged(delivery(write())) as stage:
        stage.run()
        assert stage.go_on("stop").status == "stopped"
        assert tree(stage.folder) == ONE
        assert stage.cli("apply", stage.id)[0] == EXIT_DENIED


# -- the user's folder ----------------------------------------------------------------------------


def test_changes_are_not_applied_over_the_user_s_own() -> None:
    with staged(delivery(write())) as stage:
        stage.run()
        (stage.folder / "a.txt").write_text("the user's\n", encoding="utf-8")
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", EXIT_FAILED)
        assert "not applied" in result.reason and "a.txt" in result.reason
        assert tree(stage.folder) == {"a.txt": "the user's\n"}
        assert stage.cli("apply", stage.id)[0] == EXIT_FAILED
        (stage.folder / "a.txt").write_text("one\n", encoding="utf-8")
        assert stage.cli("apply", stage.id)[0] == 0
        assert tree(stage.folder) == TWO


def test_changes_are_not_taken_back_over_the_user_s_own() -> None:
    with staged(delivery(write())) as stage:
        stage.run()
        stage.go_on("approve")
        (stage.folder / "a.txt").write_text("the user's\n", encoding="utf-8")
        assert stage.cli("undo", stage.id)[0] == EXIT_FAILED
        assert tree(stage.folder) == {"a.txt": "the user's\n"}


def test_approved_changes_wait_for_apply_where_the_user_wants_that() -> None:
    with staged(delivery(write())) as stage:
        stage.run(apply=False)
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert tree(stage.folder) == ONE
        assert stage.cli("apply", stage.id)[0] == 0
        assert tree(stage.folder) == TWO


def test_what_was_changed_after_the_approval_is_not_applied() -> None:
    with staged(delivery(write())) as stage:
        stage.run(apply=False)
        stage.go_on("approve")
        (stage.workspace / "a.txt").write_text("sneaked in\n", encoding="utf-8")
        code, _, error = stage.cli("apply", stage.id)
        assert code == EXIT_DENIED
        assert "not those that were approved" in error
        assert tree(stage.folder) == ONE


def test_a_run_without_a_folder() -> None:
    with staged(delivery(write("new.txt", "x\n"))) as stage:
        stage.run(workspace=None)
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        assert stage.cli("apply", stage.id)[0] == 2
        assert "+x" in stage.cli("diff", stage.id)[1]
