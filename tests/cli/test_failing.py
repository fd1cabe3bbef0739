"""Does an error say what to do, and never show a traceback unasked?"""

from __future__ import annotations

import pytest

from crews.cli import failing
from crews.errors import Denied
from crews.settings import user_file
from tests.cli.journal import Journal


def test_what_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = Denied("not \x1b[31mthis", where="run x", hint="try\nthat")
    error.add_note("go on with: crews resume x")
    assert failing.known(error, as_json=False) == 6
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "error: run x: not this\n  try\n  that\n  go on with: crews resume x\n",
    )


def test_an_unforeseen_error_is_one_line_and_a_log_entry(journal: Journal) -> None:
    (journal.home / "crews.db").mkdir()  # no database can be there
    known = journal.run("runs")
    assert known.code == 1
    assert "the journal cannot be used" in known.err
    try:
        raise ZeroDivisionError("deep inside")
    except ZeroDivisionError as error:
        assert failing.unexpected(error, as_json=False) == 1
    log = journal.home / "logs" / "crews.log"
    text = log.read_text(encoding="utf-8")
    assert "Traceback" in text
    assert "ZeroDivisionError: deep inside" in text


def test_the_traceback_is_shown_on_request(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = ZeroDivisionError("deep inside")
    failing.unexpected(error, as_json=False)
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "error: unexpected ZeroDivisionError: deep inside" in err
    assert str(journal.home / "logs" / "crews.log") in err
    monkeypatch.setenv("CREWS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        failing.unexpected(error, as_json=False)


def test_a_wrong_setting_is_said_in_two_lines(journal: Journal) -> None:
    file = user_file()
    file.parent.mkdir(parents=True)
    file.write_text("[models.m]\nconcurrent = 0\n", encoding="utf-8")
    ran = journal.run("runs")
    assert ran.code == 2
    assert ran.err == (
        f"error: {file}: a setting cannot be used: `models.m.concurrent`: "
        "input should be greater than 0\n  correct the value\n"
    )
    assert journal.run("runs", "--json").json["where"] == str(file)
