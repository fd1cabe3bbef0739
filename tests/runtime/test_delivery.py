"""Does a change set reach the user's folder only as it was approved, once, and can it be taken back?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from crews import Settings, api
from crews.errors import CrewsError, Denied, Fenced, StoreError, UsageError, WorkspaceError
from crews.records import audit
from crews.records.journal import Journal
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.runtime import delivery as delivery_module
from crews.runtime.delivery import deliver, take_back
from tests.stories.players import delivery, write
from tests.stories.scenes import Stage, staged, tree

BEFORE, AFTER = {"a.txt": "one\n", "gone.txt": "x\n"}, {"a.txt": "two\n", "gone.txt": "x\n"}


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A run whose change set waits for a human, to be applied later."""
    with staged(delivery(write(content="two\n")), files=BEFORE) as made:
        assert made.run(apply=False).status == "waiting"
        yield made


@pytest.fixture
def store(stage: Stage) -> Iterator[Store]:
    with open_store(stage.settings.journal_url) as opened:
        yield opened


def approve(stage: Stage) -> None:
    assert stage.go_on("approve").status == "completed"


def test_nothing_is_applied_before_a_human_has_approved(stage: Stage, store: Store) -> None:
    with pytest.raises(Denied, match="nobody has approved") as error:
        deliver(store, stage.settings, get_run(store, stage.id))
    assert "crews inbox" in error.value.hint
    assert tree(stage.folder) == BEFORE


def test_what_was_approved_is_applied_and_the_log_says_so_first(stage: Stage, store: Store) -> None:
    approve(stage)
    assert tree(stage.folder) == BEFORE
    changes = deliver(store, stage.settings, get_run(store, stage.id))
    assert tree(stage.folder) == AFTER
    assert get_run(store, stage.id).applied_hash == changes.hash
    kinds = [e.kind for e in audit.entries(store, stage.id)]
    assert kinds[-2:] == ["apply_started", "applied"]


def test_applying_again_changes_nothing(stage: Stage, store: Store) -> None:
    approve(stage)
    for _ in range(2):
        api.apply(stage.id, store, stage.settings)
        assert tree(stage.folder) == AFTER


def test_who_has_lost_the_run_applies_nothing(stage: Stage, store: Store) -> None:
    approve(stage)
    row = get_run(store, stage.id)
    with pytest.raises(Fenced):
        deliver(store, stage.settings, row, Journal(store, row.id, row.epoch - 1))
    assert tree(stage.folder) == BEFORE


def test_what_changed_after_the_approval_is_not_applied(stage: Stage, store: Store) -> None:
    approve(stage)
    (stage.workspace / "a.txt").write_text("three\n", encoding="utf-8")
    with pytest.raises(Denied, match="not those that were approved"):
        deliver(store, stage.settings, get_run(store, stage.id))
    assert tree(stage.folder) == BEFORE


def test_the_users_own_changes_are_not_written_over(stage: Stage, store: Store) -> None:
    approve(stage)
    (stage.folder / "a.txt").write_text("mine\n", encoding="utf-8")
    with pytest.raises(WorkspaceError):
        deliver(store, stage.settings, get_run(store, stage.id))
    assert tree(stage.folder) == {**BEFORE, "a.txt": "mine\n"}
    assert not get_run(store, stage.id).applied_hash


def test_what_was_applied_can_be_taken_back_once(stage: Stage, store: Store) -> None:
    with pytest.raises(UsageError, match="nothing that could be undone"):
        take_back(store, stage.settings, get_run(store, stage.id))
    approve(stage)
    api.apply(stage.id, store, stage.settings)
    assert api.undo(stage.id, store, stage.settings) == ("a.txt",)
    assert tree(stage.folder) == BEFORE
    with pytest.raises(UsageError):
        api.undo(stage.id, store, stage.settings)
    assert [e.kind for e in audit.entries(store, stage.id)][-2:] == ["undo_started", "undone"]


def test_what_was_changed_since_is_not_taken_back(stage: Stage, store: Store) -> None:
    approve(stage)
    api.apply(stage.id, store, stage.settings)
    (stage.folder / "a.txt").write_text("mine\n", encoding="utf-8")
    with pytest.raises(CrewsError):
        api.undo(stage.id, store, stage.settings)
    assert tree(stage.folder)["a.txt"] == "mine\n"


def test_a_run_that_is_under_way_is_not_applied(stage: Stage, store: Store) -> None:
    from crews.records.runs import claim

    claim(store, stage.id)
    with pytest.raises(UsageError, match="still running"):
        api.apply(stage.id, store, stage.settings)


def test_a_run_that_changed_nothing_has_nothing_to_apply(store: Store, stage: Stage) -> None:
    (stage.workspace / "a.txt").write_text("one\n", encoding="utf-8")
    with pytest.raises(UsageError, match="has changed nothing"):
        deliver(store, stage.settings, get_run(store, stage.id))


def test_a_run_without_a_folder_cannot_be_applied() -> None:
    with staged(delivery(write("new.txt", "x\n"))) as stage:
        result = stage.run(workspace=None)
        assert result.status == "waiting"
        approve(stage)
        _refused(stage.settings, stage.id)


def _refused(settings: Settings, run: str) -> None:
    with open_store(settings.journal_url) as store, pytest.raises(UsageError) as error:
        api.apply(run, store, settings)
    assert "without a folder" in error.value.what


def test_an_outage_in_the_middle_of_it_is_not_taken_for_a_refusal() -> None:
    """The files are there, and the journal could not be told: the run goes on, and says so then."""
    with staged(delivery(write(content="two\n")), files=BEFORE) as stage:
        assert stage.run().status == "waiting"
        with pytest.MonkeyPatch.context() as patch:
            told = delivery_module._log  # pyright: ignore[reportPrivateUsage]
            away = [StoreError("the database is away", transient=True)]

            def log(*arguments: Any, **values: Any) -> None:
                if "applied" in arguments and away:
                    raise away.pop()
                told(*arguments, **values)

            patch.setattr(delivery_module, "_log", log)
            assert stage.go_on("approve").status == "completed"
        assert tree(stage.folder) == AFTER
        with open_store(stage.settings.journal_url) as store:
            row = get_run(store, stage.id)
            assert (row.reason, row.applied_hash) == ("", row.approved_hash)
            assert api.undo(stage.id, store, stage.settings) == ("a.txt",)
