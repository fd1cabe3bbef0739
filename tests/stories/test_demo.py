"""Does the demo do what it says, and only what a human allowed?"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crews import api
from crews.demo import play
from crews.outcome import Result
from crews.records import audit, inbox
from crews.records.journal import Journal
from crews.records.runs import list_threads
from crews.records.store import Store, open_store
from crews.settings import Settings, load
from tests.support.brake import clean


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file's content hash."""
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def crews(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user runs it where there is no terminal."""
    command = [sys.executable, "-m", "crews", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@dataclass(frozen=True, slots=True)
class Played:
    """The demo where it waits for a human."""

    base: Path
    saved: Path
    result: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The sample project that it works on."""
        return self.base / "shop"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The demo, played up to its question once; each test goes on from there."""
    base = tmp_path_factory.mktemp("demo") / "base"
    home = base / "home"
    home.mkdir(parents=True)
    command = [sys.executable, "-m", "crews", "demo", "--folder", str(base / "shop"), "--json"]
    first = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=home,
        env=clean(os.environ, home),
    )  # fmt: skip
    assert first.returncode == 3, first.stderr
    saved = base.with_name("saved")
    shutil.copytree(base, saved, symlinks=True)
    return Played(base, saved, json.loads(first.stdout.splitlines()[-1]))


@pytest.fixture
def waiting(once: Played, monkeypatch: pytest.MonkeyPatch) -> Played:
    """The demo as it waits, whatever the test before has made of it."""
    shutil.rmtree(once.base)
    shutil.copytree(once.saved, once.base, symlinks=True)
    monkeypatch.setenv("CREWS_HOME", str(once.base / "home" / "crews"))
    return once


@pytest.fixture
def settings(waiting: Played) -> Settings:
    del waiting
    return load()


def played(choice: play.Choice, waiting: Played, settings: Settings) -> Result:
    """The demo to its end, with a played human."""
    return api.resume(waiting.result["run_id"], ask=play.decider(choice), settings=settings)


def test_without_a_terminal_it_waits_and_the_printed_command_decides(waiting: Played) -> None:
    folder, result = waiting.folder, waiting.result
    assert result["status"] == "waiting"
    review = result["reviews"][-1]["id"]
    before = fingerprint(folder)
    assert before == fingerprint(Path(play.__file__).parent / "shop")
    assert not play.tests_of(folder)[0]

    second = crews("inbox", "approve", review, "--resume")
    assert second.returncode == 0, second.stderr
    assert play.tests_of(folder)[0]
    changed = {p for p, digest in fingerprint(folder).items() if before.get(p) != digest}
    assert "shop/auth/login.py" in changed

    undone = crews("undo", result["run_id"])
    assert undone.returncode == 0, undone.stderr
    assert fingerprint(folder) == before


def test_the_team_works_as_it_should(waiting: Played, settings: Settings) -> None:
    result = played("approve", waiting, settings)
    assert (result.status, result.exit_code) == ("completed", 0)
    with open_store(settings.journal_url) as store:
        _two_overlapped(store, result.run_id)
        _rejected_once_and_reworked(store, result.run_id)
        _escalated_with_a_brief(store, result.run_id)
        assert audit.first_break(store) is None
    assert result.cost is not None
    assert result.cost > 0
    assert "0.25" in result.report
    assert play.tests_of(waiting.folder)[0]


def _two_overlapped(store: Store, run: str) -> None:
    spans = [
        (t.started_at, t.ended_at)
        for t in list_threads(store, run)
        if t.kind == "delegation" and t.ended_at
    ]
    overlaps = [(a, b) for a in spans for b in spans if a != b and a[0] < b[0] < a[1]]
    assert len(overlaps) >= 2


def _rejected_once_and_reworked(store: Store, run: str) -> None:
    threads = list_threads(store, run)
    verdicts = [t.outcome.verdict for t in threads if t.outcome and t.outcome.verdict]
    assert verdicts == ["reject", "approve"]
    steps = [t.step for t in threads if t.agent == "coder"]
    assert len(steps) == 3
    assert len(set(steps)) == 2
    reworked = threads[[t.step for t in threads].index("storefront")]
    again = next(t for t in threads if t.step == reworked.step and t.path != reworked.path)
    assert "direction" in again.brief


def _escalated_with_a_brief(store: Store, run: str) -> None:
    reviews = inbox.list_reviews(store, run=run, state=None)
    assert [r.kind for r in reviews] == ["change_set"]
    assert reviews[0].briefing is not None
    assert "shop/auth/login.py" in reviews[0].findings
    journal = Journal(store, run, 0)
    decided = reviews[0].decided_at
    applied = [e for e in audit.entries(store, run) if e.kind == "apply_started"]
    assert decided is not None
    assert len(applied) == 1
    assert applied[0].at > decided
    assert journal.row().applied_hash == reviews[0].content_hash


def test_a_refusal_changes_nothing(waiting: Played, settings: Settings) -> None:
    folder = waiting.folder
    result = played("reject", waiting, settings)
    assert (result.status, result.exit_code) == ("completed", 6)
    assert fingerprint(folder) == fingerprint(Path(play.__file__).parent / "shop")
    assert not play.tests_of(folder)[0]


def test_a_human_may_edit_the_change(waiting: Played, settings: Settings) -> None:
    folder = waiting.folder
    result = played("edit", waiting, settings)
    assert (result.status, result.exit_code) == ("completed", 0)
    assert "# Read and accepted line by line." in (folder / "shop/auth/login.py").read_text(
        encoding="utf-8"
    )
    assert play.tests_of(folder)[0]


def test_the_tape_says_that_it_was_written_by_hand() -> None:
    from crews.records.tape import load_tape

    tape = load_tape(Path(play.__file__).parent / "tape.yaml")
    assert "written by hand" in tape.note
    assert not tape.strict
