"""Is a run that is left to the workers made once and whole, and does none stand still because leaving it failed?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import crews
from crews import work
from crews.outcome import Kickoff
from crews.records.lost import ready_runs
from crews.records.owner import home_id
from crews.records.runs import get_run, list_runs
from crews.records.store import Store, open_store
from crews.runtime.engine import Engine
from crews.tools import copying
from crews.tools.copying import open_workspace
from tests.stories.players import finish, played
from tests.stories.scenes import Stage, staged

NOTHING_DONE = played({"boss": [finish("There was nothing to do.")]})


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged(NOTHING_DONE) as made:
        yield made


@pytest.fixture
def store(stage: Stage) -> Iterator[Store]:
    with open_store(stage.settings.journal_url) as opened:
        yield opened


def request(stage: Stage, key: str | None = None) -> Kickoff:
    return Kickoff("Make it so", team=stage.team, workspace=stage.folder, submission=key)


def ready(stage: Stage, store: Store) -> list[str]:
    """The runs that a worker would take now."""
    return [row.id for row in ready_runs(store, home_id(stage.settings.home)).runs]


class SlowDisk:
    """Holds the first copy that is made until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.copying, self.go_on = threading.Event(), threading.Event()
        self.copies = 0
        self._copy = copying._fill  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(copying, "_fill", self._fill)

    def _fill(self, *arguments: object) -> object:
        made = self._copy(*arguments)  # type: ignore[arg-type]
        self.copies += 1
        if self.copies == 1:
            self.copying.set()
            assert self.go_on.wait(30)
        return made


def test_the_same_submission_made_twice_at_once_is_copied_once(
    stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(work.submit, request(stage, "key"), store, stage.settings)
        assert disk.copying.wait(30)
        again = work.submit(request(stage, "key"), store, stage.settings)
        assert ready(stage, store) == []  # it is still being copied
        disk.go_on.set()
        run = first.result(30)
    assert (again.id, disk.copies) == (run.id, 1)
    row = get_run(store, run.id)
    assert (row.status, row.owner, row.workflow) == ("queued", "", f"{run.id}@0-submitted")
    assert open_workspace(stage.settings.run_folder(run.id)).exists("a.txt")


def test_a_run_that_could_not_be_queued_is_left_to_whoever_finds_it(
    stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise ConnectionError("the database is away")

    monkeypatch.setattr(Engine, "queue_of", fails)
    with pytest.raises(ConnectionError):
        work.submit(request(stage), store, stage.settings)
    [run] = list_runs(store)
    assert ready(stage, store) == [run.id]


def test_no_worker_takes_the_run_that_a_script_is_about_to_work_on(
    stage: Stage, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = SlowDisk(monkeypatch)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(
            crews.kickoff, "Make it so", team=stage.team, workspace=stage.folder,
            settings=stage.settings,
        )  # fmt: skip
        assert disk.copying.wait(30)
        taken = ready(stage, store)
        disk.go_on.set()
        assert result.result(60).status == "completed"
    assert taken == []
