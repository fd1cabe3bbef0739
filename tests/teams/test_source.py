"""Is a file read as it is, and a mistake in it shown as a compiler would?"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crews.teams.source import (
    MAX_BYTES,
    MAX_PROBLEMS,
    Place,
    Problem,
    read_source,
    shown,
    source_of,
)


def test_a_problem_reads_like_a_compilers() -> None:
    source = source_of("agents.yaml", "lead:\n  rol: Lead\n")
    source.error(Place(2, 3, 3), "unknown key 'rol'", "did you mean 'role'?")
    assert source.problems[0].render() == (
        "agents.yaml:2:3: error: unknown key 'rol'\n"
        "  2 |   rol: Lead\n"
        "    |   ^^^\n"
        "help: did you mean 'role'?"
    )


def test_a_problem_for_machines() -> None:
    problem = Problem("a.yaml", 1, 2, "warning", "odd", " x", "write y")
    assert json.loads(json.dumps(problem.as_json())) == {
        "file": "a.yaml", "line": 1, "column": 2, "length": 1, "severity": "warning",
        "message": "odd", "source_line": " x", "hint": "write y",
    }  # fmt: skip
    assert problem.where == "a.yaml:1:2"


@pytest.mark.parametrize(
    ("line", "column", "carets"),
    [
        ("\tx", 2, "\t^"),
        ("日本 x", 4, "     ^"),
        ("e\u0301 x", 4, "  ^"),
        ("abc", 9, "         ^"),
    ],
)
def test_the_caret_stands_under_the_character(line: str, column: int, carets: str) -> None:
    rows = Problem("f", 1, column, "error", "m", line).render().splitlines()
    if column > len(line):
        assert rows[2].endswith("^")
    else:
        assert rows[2] == "    | " + carets


def test_a_file_cannot_steer_the_terminal() -> None:
    text = Problem("f", 1, 1, "error", "bad \x1b[2J", "a\x1b]0;x\x07\u202e", "\x9b").render()
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(text)


def test_a_long_line_is_shown_in_part() -> None:
    rows = Problem("f", 1, 5001, "error", "m", "a" * 5000 + "X" + "b" * 5000).render().splitlines()
    assert len(rows[1]) < 140
    assert rows[1][rows[2].index("^")] == "X"


def test_problems_are_counted_and_said_once() -> None:
    source = source_of("f", "\n" * 500)
    for _ in range(2):
        source.error(Place(1, 1), "the same")
    assert len(source.problems) == 1
    for line in range(1, 400):
        source.warning(Place(line, 1), f"number {line}")
    assert len(source.problems) == MAX_PROBLEMS + 1
    assert source.problems[-1].severity == "error"


def test_text_is_read_without_mark_and_with_every_line_end(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\rc: \xc3\xa9\n")
    source = read_source(file)
    assert source.problems == []
    assert source.lines == ("a: 1", "b: 2", "c: é", "")


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_a_file_that_is_not_utf8(tmp_path: Path, start: bytes) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(start + b"a: 1\nb: caf\xe9\n")
    (problem,) = read_source(file).problems
    assert (problem.line, problem.column) == (2, 7)
    assert problem.message == "the file is not UTF-8: byte 0xe9"
    assert problem.suggestion == "save it as UTF-8"


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"#" * (MAX_BYTES + 1))
    (problem,) = read_source(file).problems
    assert problem.message == "the file is larger than 1024 KiB"
    file.write_bytes(b"#" * MAX_BYTES)
    assert read_source(file).problems == []


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "other.yml").touch()
    for name, message in (
        ("pipe.yaml", "this is not a regular file"),
        ("folder.yaml", "this is not a regular file"),
        ("other.yaml", "there is no other.yaml"),
    ):
        (problem,) = read_source(tmp_path / name).problems
        assert problem.message == message
        assert problem.suggestion
    assert "rename other.yml" in read_source(tmp_path / "other.yaml").problems[0].suggestion


def test_paths_are_shown_as_they_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "config" / "agents.yaml") == str(Path("config", "agents.yaml"))
    assert shown(tmp_path.parent / "agents.yaml") == str(tmp_path.parent / "agents.yaml")
