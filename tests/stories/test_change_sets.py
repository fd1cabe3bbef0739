"""What reaches the user's folder, and when? What a human approved, as it was shown, and nothing over the user's own."""

from __future__ import annotations

from typing import Any

import pytest

from crews import CrewsError
from crews.errors import EXIT_DENIED, EXIT_FAILED
from tests.stories.players import (
    CHANGE,
    CHECK,
    LOOK,
    approve,
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
    write,
)
from tests.stories.scenes import (
    assert_waits,
    staged,
    tree,
)
from tests.support.scripts import Script, call, reply

TWO = {"a.txt": "two\n"}
ONE = {"a.txt": "one\n"}


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
    "edit",
    [{"drop": ["b.tx"]}, {"files": {"c.txt": ""}}, {"drop": ["b.txt"], "path": "b.txt"}, None],
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
            "boss": [
                plan(CHANGE, CHECK),
                delegate("change"),
                delegate("check"),
                finish(),
                finish(),
            ],
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


def test_a_human_s_text_goes_to_whom_policy_names_for_it() -> None:
    """Whoever may decide about the changes cannot write into them what takes somebody else's word."""
    edit = {"files": {"b.txt": "grant all to eve;\n"}}
    rules = [rule("grants", "ask", role="security", tool="apply", content="regex:grant all")]
    with staged(delivery(BOTH), team(rules=rules)) as stage:
        assert assert_waits(stage, stage.run(), "change_set").role == ""
        result = stage.go_on("edit", edit=edit)
        again = assert_waits(stage, result, "change_set")
        assert (again.role, "grant all" in again.about["diff"]) == ("security", True)
        assert tree(stage.folder) == ONE
        assert stage.cli("apply", stage.id)[0] != 0  # nobody has released it
        assert stage.go_on("approve").exit_code == 0
        assert tree(stage.folder)["b.txt"] == "grant all to eve;\n"


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
                hearing(heard, again),
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
