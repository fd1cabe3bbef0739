"""Do the commands show what runs did, and take their work over and back?"""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.records.runs import get_run
from crews.records.workers import beat
from crews.settings import load
from crews.tools.copying import make_workspace, open_workspace
from tests.cli.journal import Journal
from tests.support.written import Written, begun, worked


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "app.py").write_text("x = 1\n", encoding="utf-8")
    return folder


def changed(journal: Journal, shop: Path) -> Written:
    """A run that has changed `app.py` in its copy."""
    with journal.store() as store:
        run = begun(store, source=str(shop))
        folder = load().run_folder(run.id)
        make_workspace(shop, folder, 10)
        open_workspace(folder).write_text("app.py", "x = 2\n")
        run.journal.release("completed", exit_code=0)
        return run


def test_no_runs_is_a_friendly_line(journal: Journal) -> None:
    assert journal.run("runs").out == 'There are no runs yet. Start one: crews run "..."\n'
    assert journal.run("runs", "--json").json == []


def test_runs_are_listed(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    head, line = journal.run("runs").out.splitlines()
    assert head.split()[:2] == ["run", "status"]
    assert line.split("  ")[:2] == [run.id, "waiting"]
    assert "$0.0030 + unknown" in line
    found = journal.run("runs", "--json").json[0]
    assert (found["id"], found["status"], found["cost_usd"]) == (run.id, "waiting", None)
    assert journal.run("runs", "--status", "failed", "--json").json == []
    assert journal.run("runs", "--status", "lost").code == 2


def test_a_run_whose_process_is_gone_is_shown_as_interrupted(journal: Journal) -> None:
    with journal.store() as store:
        begun(store).journal.set_run(owner="there/999999999/1")
        beat(store, "there/999999999/1", kind="worker", home="there")
    assert "running" in journal.run("runs").out  # a process of another host, by its heartbeat
    with journal.store() as store:
        from crews.records.owner import this_process

        host = this_process().partition("/")[0]
        begun(store).journal.set_run(owner=f"{host}/999999999/1")
    assert "interrupted" in journal.run("runs").out


def test_the_timeline_and_the_report(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    shown = journal.run("runs", "show", run.id).out
    assert "run_command command=make ship -> denied [ask by commands-are-asked]" in shown
    timeline = journal.run("runs", "show", run.id, "--json").json["timeline"]
    assert {m["kind"] for m in timeline} == {
        "thread", "turn", "call", "review", "hand_over", "flag",
    }  # fmt: skip
    text = journal.run("runs", "report", run.id).out
    assert text.startswith(f"# Run `{run.id}`: Make it faster\n")
    facts = journal.run("runs", "report", run.id, "--json").json
    assert facts["markdown"] == text
    assert facts["report"]["refusals"][0]["by"] == "ada"


def test_a_patch_goes_out_byte_for_byte(journal: Journal, shop: Path) -> None:
    run = changed(journal, shop)
    ran = journal.process("diff", run.id)
    assert ran.out.startswith("diff --git a/app.py b/app.py\n")
    assert "-x = 1\n+x = 2\n" in ran.out
    found = journal.run("diff", run.id, "--json").json
    assert found["diff"] == ran.out
    assert found["files"][0]["path"] == "app.py"
    assert journal.run("diff", "nothing").code == 2


def test_only_what_was_approved_is_applied_and_it_can_be_undone(
    journal: Journal, shop: Path
) -> None:
    run = changed(journal, shop)
    refused = journal.run("apply", run.id)
    assert refused.code == 6
    assert "nobody has approved" in refused.err
    assert (shop / "app.py").read_text(encoding="utf-8") == "x = 1\n"
    with journal.store() as store:
        assert get_run(store, run.id).applied_hash == ""
        approved = journal.run("diff", run.id, "--json").json["hash"]
        Written(store, run.journal.__class__(store, run.id, 1)).journal.set_run(
            approved_hash=approved
        )
    applied = journal.run("apply", run.id)
    assert (applied.code, applied.out) == (0, "modified  app.py\n")
    assert (shop / "app.py").read_text(encoding="utf-8") == "x = 2\n"
    undone = journal.run("undo", run.id)
    assert (undone.code, undone.out) == (0, "app.py\n")
    assert (shop / "app.py").read_text(encoding="utf-8") == "x = 1\n"
    assert journal.run("undo", run.id).code == 2


def test_a_run_that_was_left_waits_for_nobody(journal: Journal) -> None:
    with journal.store() as store:
        run = begun(store)
        run.journal.set_run(status="queued", reason="interrupted")
    assert "interrupted" in journal.run("runs").out


def test_a_run_that_has_ended_is_not_said_to_go_on(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    with journal.store() as store:
        run = begun(store)
        run.journal.set_run(status="completed")
    said = journal.run("resume", run.id)
    assert said.code == 2
    assert "has ended: completed" in said.err
    assert "go on with" not in said.err


def test_a_run_is_stopped_once(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    assert journal.run("stop", run.id).err == f"run {run.id} is stopped\n"
    again = journal.run("stop", run.id)
    assert again.code == 2
    assert "has ended already" in again.err


def test_one_that_is_worked_on_stops_at_its_next_step(journal: Journal) -> None:
    with journal.store() as store:
        run = begun(store)
    assert "will stop at its next step" in journal.run("stop", run.id).err
