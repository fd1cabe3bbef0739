"""Does a worker find every run that has lost its owner or its place in the queue, however many there are?"""

from __future__ import annotations

from sqlalchemy import update

from crews.records.lost import ready_runs
from crews.records.owner import this_process
from crews.records.store import Store
from crews.records.tables import runs as table
from tests.records.builders import run_of


def test_runs_that_are_ready_are_found_page_by_page_whatever_stands_before_them(
    store: Store,
) -> None:
    runs = [run_of(store).id for _ in range(5)]
    keep_for_this_process(store, runs[1])
    page = ready_runs(store, "", limit=2)
    found = [row.id for row in page.runs]
    while page.more:
        page = ready_runs(store, "", limit=2, after=page.more)
        found += [row.id for row in page.runs]
    assert found == [runs[0], *runs[2:]]


def keep_for_this_process(store: Store, run: str) -> None:
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.id == run).values(owner=this_process()))
