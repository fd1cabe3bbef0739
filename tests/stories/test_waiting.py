"""What do ten thousand runs that wait for a human cost, and does deciding one wake it?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from crews import api
from crews.records import audit
from crews.records.inbox import list_reviews
from crews.records.runs import get_run
from crews.records.store import Store
from crews.records.workers import living
from tests.stories.chaos import Storm
from tests.stories.crowd import multiply
from tests.stories.lives import wait_for
from tests.stories.pool import Pool

WAITING = 10_000


@pytest.fixture
def crowd(database: str, tmp_path: Path, pool: Pool) -> Iterator[tuple[Storm, list[str]]]:
    """A worker, and ten thousand runs that wait in the middle of a delegation."""
    url = database if database.startswith("postgresql") else ""
    with Storm(tmp_path / "storm", url, workers=1, lent=pool) as storm:
        storm.muster()
        run = storm.submit()
        wait_for(lambda: get_run(storm.store, run.id).status == "waiting")
        yield storm, multiply(storm.store, run.id, WAITING)


def test_ten_thousand_waiting_runs_are_only_rows(crowd: tuple[Storm, list[str]]) -> None:
    storm, names = crowd
    worker = storm.alive[0]
    threads = threads_of(worker.pid)
    time.sleep(3)
    assert len(list_reviews(storm.store)) == WAITING + 1
    assert under_way(storm.store) == 0
    assert threads_of(worker.pid) <= threads
    assert [one.kind for one in living(storm.store)] == ["worker"]

    chosen = names[len(names) // 2]
    review = next(r for r in list_reviews(storm.store, run=chosen))
    decided = time.time()
    api.decide(review.id, "approve", settings=storm.settings)
    wait_for(lambda: get_run(storm.store, chosen).epoch > 1)
    claimed = [r.at for r in audit.entries(storm.store, chosen) if r.kind == "run_claimed"]
    assert claimed[-1] - decided < 5.0  # the figure itself is for the benchmark
    # A copy has the rows of another's files: what was approved is not what it finds, so it asks again.
    wait_for(lambda: get_run(storm.store, chosen).status == "waiting")
    asked = list_reviews(storm.store, run=chosen, state=None)
    assert [r.state for r in asked] == ["void", "open"]
    assert get_run(storm.store, names[0]).epoch == 1


def under_way(store: Store) -> int:
    """Activations that are queued, delayed or running."""
    schema = "dbos." if store.engine.dialect.name == "postgresql" else ""
    query = (
        f"SELECT count(*) FROM {schema}workflow_status "
        "WHERE status IN ('ENQUEUED', 'DELAYED', 'PENDING')"
    )
    with store.reading() as connection:
        return int(connection.execute(text(query)).scalar_one())


def threads_of(pid: int) -> int:
    """Threads of a process."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
