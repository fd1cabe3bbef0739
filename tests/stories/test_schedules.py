"""Does a schedule make one run for each of its moments, however many workers there are?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews import schedules
from crews.errors import UsageError
from crews.records import audit
from crews.records.workers import living
from crews.schedules import Order
from tests.stories.chaos import Storm
from tests.stories.harbour import goal
from tests.stories.lives import wait_for
from tests.stories.pool import Pool

EVERY_TWO_SECONDS = "*/2 * * * * *"


@pytest.fixture
def storm(tmp_path: Path, pool: Pool) -> Iterator[Storm]:
    """Two workers that nobody kills."""
    with Storm(tmp_path / "storm", workers=2, lent=pool) as found:
        yield found


def order(storm: Storm, name: str = "tide") -> Order:
    return Order(
        name=name,
        goal=goal(1),
        team=str(storm.folder / "team"),
        workspace=str(storm.folder / "harbour"),
        apply=False,
    )


def test_each_moment_makes_one_run_and_a_pause_makes_none(storm: Storm) -> None:
    storm.muster()
    wait_for(lambda: len(living(storm.store)) == 2)
    schedules.add(EVERY_TWO_SECONDS, order(storm), storm.store, storm.settings)
    wait_for(lambda: len(storm.runs()) >= 3)
    schedules.change("tide", "pause", storm.store, storm.settings)
    time.sleep(3)  # whoever had been told of a moment has made its run
    made = storm.runs()
    time.sleep(5)
    assert len(storm.runs()) == len(made)
    assert {run.origin for run in made} == {"schedule:tide"}
    keys = [run.submission for run in made]
    assert len(set(keys)) == len(keys)
    assert {run.asked.started_by for run in made} == {"ada"}

    assert [one.active for one in schedules.found(storm.store, storm.settings)] == [False]
    schedules.change("tide", "remove", storm.store, storm.settings)
    assert schedules.found(storm.store, storm.settings) == ()
    kinds = [row.kind for row in audit.entries(storm.store, "")]
    assert kinds == ["schedule_added", "schedule_paused", "schedule_removed"]


def test_what_cannot_be_a_schedule_is_refused(storm: Storm) -> None:
    with pytest.raises(UsageError, match="no schedule"):
        schedules.add("every tuesday", order(storm), storm.store, storm.settings)
    with pytest.raises(UsageError, match="there is no schedule `tide`"):
        schedules.change("tide", "pause", storm.store, storm.settings)
    schedules.add("0 3 * * *", order(storm), storm.store, storm.settings)
    with pytest.raises(UsageError, match="already"):
        schedules.add("0 4 * * *", order(storm), storm.store, storm.settings)
    assert [one.cron for one in schedules.found(storm.store, storm.settings)] == ["0 3 * * *"]
