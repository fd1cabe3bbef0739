"""Can a human read the log, prove it here and elsewhere, and see at once where it was changed?"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from crews import notify
from crews.records.sealing import open_journal
from crews.safety.action import Verdict
from crews.settings import Settings, load
from tests.cli.journal import Journal
from tests.support.written import worked


@pytest.fixture
def run(journal: Journal) -> str:
    """A run that has ended, with a decision; its log is signed."""
    with open_journal(Settings(home=journal.home)) as store:
        done = worked(store)
        call, *_ = done.journal.calls()
        verdict = Verdict("ask", "careful", "it could hurt")
        done.journal.rule_call(call, verdict, "coder", '{"path":"a.py"}', labels=["untrusted"])
        done.journal.release("failed", reason="it broke", exit_code=1)
        return done.id


def test_an_empty_log_is_told_of_kindly(journal: Journal) -> None:
    assert journal.run("audit", "show").out == "The audit log has no such entry yet.\n"
    assert journal.run("audit", "show", "--json").json == []
    assert "Nothing has been signed yet" in journal.run("audit", "keys").out
    assert journal.run("audit", "keys", "--json").json == []
    assert journal.run("audit", "verify").code == 0
    assert journal.run("audit", "show", "nobody").code == 2


def test_who_did_what_by_which_rule_is_shown(journal: Journal, run: str) -> None:
    shown = journal.run("audit", "show", run)
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0].split() == ["entry", "when", "run", "kind", "who", "what"]
    assert any("run created" in line and "goal: " in line for line in lines)
    verdicts = journal.run("audit", "show", run, "--kind", "verdict", "--json").json
    (verdict,) = verdicts
    assert (verdict["kind"], verdict["body"]["rule"], verdict["body"]["ruling"]) == (
        "verdict", "careful", "ask",
    )  # fmt: skip
    assert verdict["body"]["labels"] == ["untrusted"]
    assert verdict["contents"] == {"arguments": '{"path":"a.py"}', "reason": "it could hurt"}
    assert any("rule careful" in line and "coder" in line for line in lines)
    assert len(journal.run("audit", "show", "--last", "2", "--json").json) == 2


def test_a_whole_log_holds_and_a_changed_one_says_where(journal: Journal, run: str) -> None:
    ran = journal.run("audit", "verify")
    assert (ran.code, ran.out.startswith("the audit log holds: ")) == (0, True)
    with closing(sqlite3.connect(journal.home / "crews.db")) as connection:
        connection.execute("UPDATE audit SET body = '{}' WHERE sequence = 3")
        connection.commit()
    ran = journal.run("audit", "verify")
    assert ran.code == 1
    assert "does NOT hold, from entry 3 on" in ran.out
    ran = journal.run("audit", "verify", "--json")
    assert (ran.code, ran.json["holds"], ran.json["breaks"][0]["sequence"]) == (1, False, 3)


def test_an_export_is_proved_without_the_journal(
    journal: Journal, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    assert journal.run("audit", "export", "--to", str(whole)).code == 0
    assert journal.run("audit", "export", "--run", run, "--to", str(part), "--json").json["entries"]
    assert journal.run("audit", "export", "--to", str(whole)).code == 2  # it is there already
    exported = journal.run("audit", "show", "--kind", "audit_exported", "--json").json
    assert [(e["run"], e["body"]["by"]) for e in exported] == [("", "grace"), (run, "grace")]
    key = tmp_path / "key.txt"
    key.write_text(journal.run("audit", "keys", "--json").json[0]["verifier"])
    monkeypatch.setenv("CREWS_HOME", str(tmp_path / "elsewhere"))
    for file in (whole, part):
        assert "Do it" not in file.read_text()
        assert journal.run("audit", "verify", "--file", str(file)).code == 0
        assert journal.run("audit", "verify", "--file", str(file), "--key", str(key)).code == 0
        lines = file.read_text().splitlines()
        places = [n for n, line in enumerate(lines) if json.loads(line)["line"] == "entry"]
        changed = json.loads(lines[places[2]]) | {"kind": "note"}
        lines[places[2]] = json.dumps(changed)
        bad = tmp_path / "bad.jsonl"
        bad.write_text("\n".join(lines))
        ran = journal.run("audit", "verify", "--file", str(bad), "--json")
        assert (ran.code, ran.json["breaks"][0]["sequence"]) == (1, changed["sequence"])
    cut = whole.read_text().splitlines()[:-2]
    bad.write_text("\n".join(cut))
    assert "the log was cut" in journal.run("audit", "verify", "--file", str(bad)).out
    bad.write_text("no log")
    assert journal.run("audit", "verify", "--file", str(bad)).code == 2
    other = tmp_path / "other.txt"
    other.write_text("A" * 43 + "=")
    assert journal.run("audit", "verify", "--file", str(whole), "--key", str(other)).code == 1


def test_with_contents_it_holds_them_without_secrets(
    journal: Journal, run: str, tmp_path: Path
) -> None:
    file = tmp_path / "out.jsonl"
    journal.run("audit", "export", "--run", run, "--contents", "--to", str(file))
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert any("goal" in entry.get("contents", {}) for entry in entries)
    assert journal.run("audit", "verify", "--file", str(file)).code == 0


def test_a_purged_run_is_shown_as_erased_and_the_log_holds(journal: Journal, run: str) -> None:
    assert journal.run("purge", run, "--erase").out == f"{run}\n"
    shown = journal.run("audit", "show", run)
    assert "goal: " not in shown.out
    assert "erased" in shown.out
    ran = journal.run("audit", "verify")
    assert (ran.code, "the contents of 1 runs were erased" in ran.out) == (0, True)
    assert journal.run("purge", "--erase").code == 2
    assert journal.run("purge", "--erase", "--older-than", "1d").code == 2


def test_a_copy_that_was_kept_outside_is_compared(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "copies.jsonl"
    setting = {"copies": [{"kind": "file", "path": str(copies)}]}
    monkeypatch.setenv("CREWS_AUDIT", json.dumps(setting))
    for name in ("ann", "bob"):
        journal.run("users", "add", name, "--role", "admin", "--login", "root")
    settings = load()
    with open_journal(settings) as store:
        # What a slow disk kept the commands from copying in the seconds that they wait for it.
        asyncio.run(notify.send_due(store, settings, time.time() + 120))
    assert copies.read_text().count("\n") >= 1
    assert journal.run("audit", "verify", "--checkpoint", str(copies)).code == 0
    note = tmp_path / "note"
    note.write_text(json.loads(copies.read_text().splitlines()[0])["checkpoint"])
    assert journal.run("audit", "verify", "--checkpoint", str(note)).code == 0
    with closing(sqlite3.connect(journal.home / "crews.db")) as connection:
        for statement in ("DELETE FROM audit", "DELETE FROM checkpoints", "DELETE FROM audit_keys"):
            connection.execute(statement)
        connection.commit()
    assert journal.run("audit", "verify").code == 0  # nothing in it can tell
    ran = journal.run("audit", "verify", "--checkpoint", str(copies))
    assert (ran.code, "entry 1" in ran.out) == (1, True)


def test_a_key_whose_file_others_can_read_is_refused_with_what_to_do(
    journal: Journal, run: str
) -> None:
    key = journal.home / "keys" / "audit.pem"
    key.chmod(0o644)
    ran = journal.run("audit", "export")
    assert (ran.code, f"chmod 600 {key}" in ran.err) == (1, True)


def test_the_commands_do_without_the_frameworks(journal: Journal, run: str) -> None:
    code = (
        "import sys\nfrom crews.cli.app import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'crewai', 'anthropic', 'dbos'} & sys.modules.keys()), file=sys.stderr)"
    )
    for words in (("verify",), ("show",), ("keys",), ("export", "--run", run)):
        done = subprocess.run(
            [sys.executable, "-c", code, "audit", *words],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.splitlines()[-1] == "[]", words
