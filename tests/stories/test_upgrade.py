"""Does a run that one version of the package has begun go on under the next one?"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import crews
from crews.errors import EXIT_OK, EXIT_WAITING
from crews.records import audit
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.runs import list_runs
from crews.records.store import open_store
from tests.records.builders import ROOT
from tests.records.older import RUN, old_journal
from tests.stories.press import press
from tests.stories.teams import GOAL, PRINTED, SUPERVISOR, WORKER, a_press
from tests.support.messages_api import MessagesServer
from tests.support.scripts import agent_of


def answer(review: crews.Review) -> crews.Answer:
    """Be the human."""
    if review.kind == "question":
        return crews.Answer("answer", "Yes.")
    assert review.kind == "change_set", review
    return crews.Answer("approve")


def test_a_run_of_an_older_journal_is_decided_and_ends(database: str, tmp_path: Path) -> None:
    team = a_press(tmp_path)
    old_journal(database, tmp_path)
    with MessagesServer(press(question=True)) as server:
        settings = crews.Settings(
            home=tmp_path / "home", base_url=server.url, user="ada", database_url=database
        )
        with open_store(database) as store:
            (waiting,) = list_reviews(store)
            before = Journal(store, RUN, 0).turns("/")
        crews.decide(waiting.id, "answer", reason="Yes.", settings=settings)
        result = crews.resume(RUN, ask=answer, settings=settings)
        assert (result.status, result.exit_code) == ("completed", 0)
        asked = [request.sha256 for request in server.requests]
    assert team.files == PRINTED
    assert len(asked) == len(set(asked))
    with open_store(database) as store:
        assert audit.first_break(store) is None
        turns = Journal(store, RUN, 0).turns("/")
        assert turns[: len(before)] == before
        assert not {turn.request_hash for turn in before} & set(asked)


NEXT = """
import sys
from pathlib import Path
import crews
from tests.stories.test_upgrade import answer
folder, base_url, run = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
assert Path(crews.__file__).is_relative_to(folder), crews.__file__
assert crews.__version__ == "99.0.0"
settings = crews.Settings(home=folder / "home", base_url=base_url, user="ada")
sys.exit(crews.resume(run, ask=answer, settings=settings).exit_code)
"""
CHANGES = {
    "__init__.py": ('__version__ = "', '__version__ = "99.0.0"  # was "'),
    "runtime/prompts.py": ("Paths are relative to", "As of late paths are relative to"),
}


def next_version(folder: Path) -> None:
    """A copy of the package in which a prompt and the version differ."""
    shutil.copytree(ROOT / "crews", folder / "crews", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "config", folder / "config")
    for name, (old, new) in CHANGES.items():
        path = folder / "crews" / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_run_goes_on_under_a_changed_package(tmp_path: Path) -> None:
    team = a_press(tmp_path)
    next_version(tmp_path)
    with MessagesServer(press(question=True)) as server:
        settings = crews.Settings(home=tmp_path / "home", base_url=server.url, user="ada")
        result = crews.kickoff(GOAL, team=team.team, workspace=team.folder, settings=settings)
        assert result.exit_code == EXIT_WAITING
        waited_after = len(server.requests)
        ran = subprocess.run(
            [sys.executable, "-c", NEXT, tmp_path, server.url, result.run_id],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
            capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == EXIT_OK, ran.stderr
        requests = list(server.requests)
    assert team.files == PRINTED
    assert len(requests) > waited_after
    assert len(requests) == len({request.sha256 for request in requests})
    changed = {
        agent: {"As of late" in str(r.json["system"]) for r in requests if agent_of(r) == agent}
        for agent in (SUPERVISOR, WORKER)
    }
    assert changed == {SUPERVISOR: {False}, WORKER: {True}}  # a thread stays as it was begun
    with open_store(settings.journal_url) as store:
        assert audit.first_break(store) is None
        assert [run.status for run in list_runs(store)] == ["completed"]
