"""Is personal data looked for before anybody has to wait for the journal?"""

from __future__ import annotations

import functools

import pytest

from crews.errors import StoreError
from crews.records.deciding import decide
from crews.records.journal import Journal
from crews.records.rows import RunOptions
from crews.records.runs import claim, new_run
from crews.records.store import open_store
from crews.safety import personal
from crews.safety.personal import Personal
from crews.safety.redact import Redactor
from tests.records.builders import team
from tests.records.persons import asked_of, decider


def test_no_transaction_waits_for_what_takes_seconds(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would keep all others out, heartbeats too, and they would lose their runs."""
    looked: list[str] = []
    held: list[str] = []
    with (
        open_store(url, outward=Redactor({}, Personal())) as store,
        open_store(url, patience=0) as other,
    ):

        @functools.cache
        def slow(kind: str, window: str) -> tuple[tuple[str, int, int], ...]:
            looked.append(f"{kind}: {window}")
            try:
                with other.writing():
                    pass
            except StoreError:
                held.append(window)
            return ()

        monkeypatch.setattr(personal, "_in_window", slow)
        goal = "call +49 170 7654321 at once"
        run = new_run(store, goal=goal, inputs={}, team=team(), options=RunOptions())
        review = asked_of(Journal(store, run.id, claim(store, run.id)), kind="question")
        decide(store, review.id, "answer", by=decider("ann"), answer="rather +49 170 7654322")
    assert {"at once" in window for window in looked} == {True, False}
    assert not held
