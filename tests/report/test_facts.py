"""Are a report's facts those of the rows?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.errors import UsageError
from crews.records.questions import Brief
from crews.records.rows import HandOver
from crews.records.store import Store, open_store
from crews.report import report, timeline
from crews.report.facts import covered, most_at_once
from tests.support.written import begun, worked


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        yield store


def test_who_did_what(store: Store) -> None:
    lead, coder, reader = report(store, worked(store).id).work
    assert (lead.agent, lead.state, lead.handover) == ("lead", "open", None)
    assert [(e.address, e.tool, e.state) for e in coder.evidence] == [
        ("/0.0:0.0", "read_file", "done"),
        ("7.7", "", None),
    ]
    assert coder.flags == ("it says that tests passed, but no call ran them",)
    assert str(reader.money) == "unknown"


def test_what_was_asked_decided_and_refused(store: Store) -> None:
    found = report(store, worked(store).id)
    rejected, waiting = found.asked
    assert (rejected.decision, rejected.by, rejected.waited) == ("reject", "ada", 60.0)
    assert (waiting.decision, waiting.state, waiting.waited) == (None, "open", None)
    by_human, by_policy = found.refusals
    assert (by_human.rule, by_human.by, by_human.reason) == (
        "commands-are-asked",
        "ada",
        "not today",
    )
    assert (by_policy.rule, by_policy.by) == ("secrets-stay-out", "")


def test_what_it_took(store: Store) -> None:
    took = report(store, worked(store).id).took
    assert (took.turns, took.calls, took.tokens) == (3, 5, 3_300)
    assert str(took.money) == "$0.0030 + unknown"
    assert (took.working_seconds, took.waiting_seconds) == (14.5, 60.0)
    assert (took.delegations, took.at_once) == (2, 2)


def test_the_change_set_and_its_fate(store: Store) -> None:
    run = worked(store)
    found = report(store, run.id)
    assert [(f.path, f.kind, f.additions, f.deletions) for f in found.files] == [
        ("app.py", "modified", 1, 1)
    ]
    assert found.delivery == "not approved"
    run.journal.set_run(approved_hash="c" * 64)
    assert report(store, run.id).delivery == "approved, not applied"
    run.journal.set_run(applied_hash="c" * 64)
    assert report(store, run.id).delivery == "applied"


def test_a_question_is_open_once(store: Store) -> None:
    run = begun(store)
    for path in ("/", "/0.0"):
        run.thread(path, "lead", 1)
        run.end(path, 2, HandOver(summary="x", open_questions=("Why?", " Why? ", "When?")))
    assert report(store, run.id).open_questions == ("Why?", "When?")


def test_a_run_that_nobody_has_begun_has_a_report(store: Store) -> None:
    found = report(store, begun(store).id)
    assert (found.work, found.asked, found.files, found.delivery) == ((), (), (), "")
    assert str(found.took.money) == "$0.0000"


def test_an_unknown_run_is_said_to_be_unknown(store: Store) -> None:
    with pytest.raises(UsageError, match="there is no run `nothing`"):
        report(store, "nothing")


def test_time_that_overlaps_counts_once() -> None:
    assert covered([(0, 10), (5, 12), (20, 21), (2, 3)]) == 13
    assert covered([]) == 0


def test_one_that_ends_as_another_begins_is_not_at_once() -> None:
    assert most_at_once([(0, 1), (1, 2)]) == 1
    assert most_at_once([(0, None), (1, 2), (1.5, 3)]) == 3
    assert most_at_once([]) == 0


def test_a_brief_is_told_in_words_below_the_call_that_it_is_about(store: Store) -> None:
    run = begun(store)
    run.thread("/", "lead", 1, "task")
    run.turn("/", 0, 2, run.call("/", 0, 0, "finish"))
    run.thread("/0.0!", "escalation", 3, "brief")
    brief = Brief(what="It ships.", why="A rule.", risk="low", recommendation="yes", unknown=("x",))
    run.end("/0.0!", 4, HandOver(summary=brief.model_dump_json()))
    said = report(store, run.id).work[1].said
    assert said.split("\n\n") == [
        "It ships.", "A rule.", "Risk: low. Recommends: yes", "Could not know: x",
    ]  # fmt: skip
    assert [(m.kind, m.depth) for m in timeline(store, run.id)] == [
        ("thread", 0), ("turn", 1), ("call", 2), ("thread", 3), ("hand_over", 4),
    ]  # fmt: skip
