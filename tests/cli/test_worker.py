"""Do the commands that leave work to workers do what they say, as real processes?"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from crews.records.runs import list_runs
from crews.records.workers import living
from tests.cli.journal import Journal
from tests.cli.test_run import chooses_a_port
from tests.stories.lives import wait_for
from tests.support.messages_api import MessagesServer


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[MessagesServer]:
    """A model that asks one question, then ends."""
    with MessagesServer(chooses_a_port) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


@pytest.fixture
def worker(journal: Journal) -> Iterator[subprocess.Popen[str]]:
    """`crews worker`, at work."""
    command = [sys.executable, "-m", "crews", "worker", "--concurrency", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        with journal.store() as store:
            wait_for(lambda: bool(living(store)))
        yield process
        process.kill()


def test_nobody_works_where_no_worker_was_started(journal: Journal) -> None:
    shown = journal.run("workers")
    assert shown.code == 0
    assert "crews worker" in shown.out
    assert json.loads(journal.run("workers", "--json").out) == []


def test_a_detached_run_waits_for_a_worker(journal: Journal) -> None:
    ran = journal.process("run", "choose a port", "--detach")
    assert ran.code == 0, ran.err
    with journal.store() as store:
        assert [run.id for run in list_runs(store)] == [ran.out.strip()]
        assert list_runs(store)[0].status == "queued"
    assert "crews worker" in ran.err


def test_a_delay_needs_somebody_else_to_wait(journal: Journal) -> None:
    refused = journal.run("run", "choose a port", "--delay", "2h")
    assert refused.code == 2
    assert "--detach" in refused.err


def test_where_a_worker_runs_the_command_looks_on(
    journal: Journal, worker: subprocess.Popen[str], model: MessagesServer
) -> None:
    ran = journal.process("run", "choose a port", "--json")
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert ran.code == 3, ran.err
    assert lines[-1]["status"] == "waiting"
    kinds = [line["kind"] for line in lines[:-1]]
    assert kinds[0] == "run_started"
    assert {"thread_started", "turn_ended", "review_opened", "run_waiting"} <= set(kinds)
    with journal.store() as store:
        run = list_runs(store)[0]
    review = lines[-1]["reviews"][0]["id"]
    decided = journal.process("inbox", "answer", review, "8080")
    assert f"crews watch {run.id}" in decided.err
    watched = journal.process("watch", run.id, "--json")
    last = json.loads(watched.out.splitlines()[-1])
    assert (watched.code, last["status"]) == (0, "completed")
    assert len(model.requests) == 2  # the one that answers was the worker's

    worker.send_signal(signal.SIGTERM)
    out, err = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert out == ""
    assert err.splitlines()[-1] == "drained"
    assert "dbos" not in err.lower()
    assert "Traceback" not in err


def test_schedules_are_kept_and_listed(journal: Journal) -> None:
    assert "No schedules" in journal.run("schedules").err
    added = journal.run("schedules", "add", "nightly", "0 3 * * *", "choose a port")
    assert added.code == 0, added.err
    listed = json.loads(journal.run("schedules", "list", "--json").out)
    assert [(one["name"], one["cron"], one["active"]) for one in listed] == [
        ("nightly", "0 3 * * *", True)
    ]
    assert listed[0]["order"]["goal"] == "choose a port"
    bad = journal.run("schedules", "add", "weekly", "soon", "choose a port")
    assert bad.code == 2
    assert "five fields" in bad.err
    assert journal.run("schedules", "remove", "nightly").code == 0
    assert journal.run("schedules", "remove", "nightly").code == 2
