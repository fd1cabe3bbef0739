"""Is a script told what is wrong, before anything is begun that could not end?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import update

import crews
from crews import Event, Settings
from crews.errors import KeyMissing, TeamError, UsageError, WorkspaceError
from crews.records.runs import claim, list_runs
from crews.records.store import open_store
from crews.records.tables import runs
from tests.records.builders import child
from tests.stories.players import (
    delivery,
    finish,
    job,
    played,
    team,
    write,
)
from tests.stories.scenes import Stage, staged

NOTHING_DONE = played({"boss": [finish("There was nothing to do.")]})


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A team that changes `a.txt` and asks before it applies the change."""
    with staged(delivery(write(content="two\n"))) as made:
        yield made


def refused(error: type[Exception], match: str, goal: str = "Go", **options: Any) -> None:
    settings = Settings(api_key=SecretStr("key"), base_url="http://127.0.0.1:9")
    given: dict[str, Any] = {"team": team(), **options}
    with pytest.raises(error, match=match):
        crews.kickoff(goal, settings=settings, **given)


@pytest.mark.parametrize("goal", ["", "  \n"])
def test_an_empty_goal_is_refused(goal: str) -> None:
    refused(UsageError, "goal is empty", goal)


def test_a_team_that_does_not_exist_is_refused() -> None:
    refused(UsageError, "no-such-team", team="no-such-team")
    refused(UsageError, "nowhere", team=Path("nowhere"))


def test_a_team_with_mistakes_names_all_of_them() -> None:
    folder = Path("bad")
    folder.mkdir()
    (folder / "agents.yaml").write_text("ann: {role: r, gaol: g, backstory: b}\n", encoding="utf-8")
    (folder / "tasks.yaml").write_text("do: {description: d}\n", encoding="utf-8")
    with pytest.raises(TeamError) as error:
        crews.kickoff("Go", team=folder)
    assert len(error.value.problems) >= 2


def test_a_missing_input_is_named() -> None:
    refused(TeamError, "who", team=team(tasks=[job(description="{goal} for {who}")]))


def test_a_folder_that_is_not_there_is_refused_and_the_run_is_not_left_behind() -> None:
    refused(WorkspaceError, "not a folder", workspace="nowhere")
    with open_store(Settings().journal_url) as store:
        [run] = list_runs(store)
    assert run.status == "failed"
    assert "not a folder" in run.reason


def test_without_a_key_nothing_is_begun() -> None:
    with pytest.raises(KeyMissing):
        crews.kickoff("Go", team=team())
    with open_store(Settings().journal_url) as store:
        assert list_runs(store) == ()


def test_an_option_that_does_not_exist_is_refused() -> None:
    refused(TypeError, "autonmy", autonmy=3)


@pytest.mark.parametrize("level", [-1, 5, 99])
def test_a_level_that_does_not_exist_is_refused(level: int) -> None:
    refused(UsageError, f"no autonomy level {level}", autonomy=level)


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("sandbox", "x", "no sandbox `x`"),
        ("sandbox", ["none"], "no sandbox"),
        ("model", None, "`model` must be a name"),
        ("priority", -1, "no priority -1"),
        ("priority", 1001, "no priority 1001"),
        ("priority", "high", "no priority 'high'"),
    ],
)
def test_a_value_that_does_not_exist_is_refused(option: str, value: Any, what: str) -> None:
    refused(UsageError, what, **{option: value})
    with open_store(Settings().journal_url) as store:
        assert list_runs(store) == ()


def test_a_tape_that_is_not_there_is_named() -> None:
    refused(UsageError, "cannot be read", tape="nowhere.jsonl")


def test_what_is_unknown_is_said_to_be() -> None:
    with pytest.raises(UsageError, match="there is no run `nope`"):
        crews.resume("nope")
    with pytest.raises(UsageError, match="there is no review `nope-1`"):
        crews.decide("nope-1", "approve")


def test_a_run_that_is_over_is_not_run_again() -> None:
    with staged(NOTHING_DONE) as stage:
        stage.run()
        with pytest.raises(UsageError, match="has ended: completed"):
            stage.resume()


OWNER = """
import sys
from crews.records.runs import claim
from crews.records.tables import runs
from crews.records.store import open_store
from crews.records.tables import runs
with open_store(sys.argv[1]) as store:
    claim(store, sys.argv[2])
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_another_process_works_on_is_left_to_it(stage: Stage) -> None:
    stage.run()
    owner = child(OWNER, stage.settings.journal_url, stage.id)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "mine\n"
    try:
        with pytest.raises(UsageError, match="is being worked on"):
            stage.resume()
    finally:
        owner.kill()
        owner.communicate()
    assert stage.go_on("approve").status == "completed"


def test_a_run_that_is_taken_over_meanwhile_is_an_error_and_no_signal(stage: Stage) -> None:
    def steal(event: Event) -> None:
        if event.kind == "thread_started" and event.agent == "coder":
            with open_store(stage.settings.journal_url) as store:
                claim(store, event.run)
                with store.writing() as connection:
                    connection.execute(update(runs).values(owner="elsewhere.example/1/1"))

    with pytest.raises(UsageError, match="taken .* over"):
        stage.run(on_event=steal)
