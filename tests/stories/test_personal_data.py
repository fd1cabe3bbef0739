"""Is personal data, where that is set, in nothing that is kept or sent for others, and true where it is needed?"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from crews import Event
from crews.records import audit
from crews.records.store import open_store
from crews.settings import NotifyTarget
from tests.notify.receiver import SECRET as SIGNED
from tests.notify.receiver import receiving
from tests.stories.players import delivery, rule, team, write
from tests.stories.scenes import staged
from tests.support.scripts import call, reply

MAIL, PHONE = "ann.lee@example.org", "+49 170 1234567"
WHO = f"{MAIL} or {PHONE}"
COMMAND = f"echo 'Dear {MAIL}' > letter.txt"
CAREFUL = team(rules=(rule("letters", "ask", tool="run_command"),))
WORK = (
    reply(call("read_file", path="people.txt")),
    reply(call("run_command", command=COMMAND)),
    write(content=f"{WHO}\n"),
)


def left_in(data: bytes) -> list[str]:
    return [value for value in (MAIL, PHONE) if value.encode() in data]


def test_it_is_in_nothing_that_is_kept_or_sent_for_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CREWS_REDACT_PERSONAL_DATA", "true")
    told: list[Event] = []
    tape, archive, log = (tmp_path / name for name in ("tape.jsonl", "run.zip", "audit.jsonl"))
    files = {"a.txt": "one\n", "people.txt": WHO}
    with receiving() as receiver, staged(delivery(*WORK), CAREFUL, files) as stage:
        hook = NotifyTarget(url=SecretStr(receiver.url), secret=SecretStr(SIGNED))
        stage.settings = stage.settings.model_copy(update={"notify": {"ops": hook}})
        stage.run(f"Write to {WHO}", on_event=told.append, record=tape)
        asked = stage.open_review()
        stage.decide("approve", reason=f"Yes, {MAIL} is who is meant")
        stage.resume()
        result = stage.go_on("approve")
        assert result.status == "completed"
        assert stage.cli("export", stage.id, "-o", str(archive))[0] == 0
        assert stage.cli("audit", "export", "--contents", "--to", str(log))[0] == 0
        assert stage.cli("audit", "verify")[0] == 0
        assert stage.cli("audit", "verify", "--file", str(log))[0] == 0
        with open_store(stage.settings.journal_url) as store:
            entries = repr(audit.told(store, stage.id))
        requests = repr([r.body for r in stage.requests()])
        written = (stage.folder / "a.txt").read_text(encoding="utf-8")
    # What works and what decides has the true values.
    assert MAIL in str(asked.subject)
    assert left_in(requests.encode()) == [MAIL, PHONE]
    assert left_in(written.encode()) == [MAIL, PHONE]
    assert left_in(result.report.encode()) == [MAIL, PHONE]
    # What is kept or sent for others has none.
    assert left_in(entries.encode()) == []
    assert "Dear [redacted:email-address]" in entries
    assert left_in(log.read_bytes()) == []
    assert left_in(tape.read_bytes()) == []
    assert left_in(repr(told).encode()) == []
    assert left_in(repr([one.body for one in receiver.received]).encode()) == []
    assert "[redacted:email-address]" in receiver.received[0].body
    with zipfile.ZipFile(archive) as found:
        assert {n for n in found.namelist() if left_in(found.read(n))} == set()
        assert b"Write to [redacted:email-address]" in found.read("report.md")


def test_a_tape_plays_again_in_a_process_with_the_same_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CREWS_REDACT_PERSONAL_DATA", "true")
    tape = tmp_path / "tape.jsonl"
    work = (WORK[0], write(content="two\n"))
    with staged(delivery(*work), files={"a.txt": "one\n", "people.txt": WHO}) as stage:
        stage.run(record=tape)
        asked = len(stage.requests())
        assert stage.run(tape=tape).status == "waiting"
        assert len(stage.requests()) == asked
        assert left_in(repr(stage.calls("read_file")).encode()) == [MAIL, PHONE]


def test_without_what_it_needs_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWS_REDACT_PERSONAL_DATA", "true")
    monkeypatch.setenv("CREWS_PERSONAL_NAMES_MODEL", "no_such_model")
    with staged(delivery(write())) as stage:
        for command in (("runs",), ("run", "Make it so"), ("audit", "export")):
            code, out, err = stage.cli(*command)
            assert (code, out) == (2, "")
            assert "no spaCy model `no_such_model`" in err
            assert "python -m spacy download" in err
        assert stage.requests() == ()
