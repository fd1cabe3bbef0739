"""What does a team's file say, character by character, and how is a mistake in it shown?"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Severity = Literal["error", "warning"]

MAX_BYTES = 1024 * 1024
"""Largest file that is read."""
MAX_SHOWN = 120
"""Characters of a source line that are printed."""
MAX_PROBLEMS = 200
"""Problems of one file that are kept."""
_BREAK = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
"""Line breaks as YAML 1.1 counts them."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a file."""

    line: int = 1
    """1-based."""
    column: int = 1
    """1-based, in characters."""
    length: int = 1
    """Characters on that line that are meant."""
    start: int = 0
    """Index of the first character in the file's text."""
    end: int = 0
    """Index behind the last character."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or surprising, in a team's files."""

    file: str
    """Path as it should be shown: relative to the working directory if it lies inside."""
    line: int
    column: int
    severity: Severity
    message: str
    source_line: str = ""
    suggestion: str = ""
    """What to do about it; empty if there is nothing to say."""
    length: int = 1
    """Characters from `column` on that are meant."""

    @property
    def where(self) -> str:
        """`file:line:column`, as editors and terminals understand it."""
        return f"{self.file}:{self.line}:{self.column}"

    def render(self) -> str:
        """The problem as a compiler would print it: message, source line, caret, help."""
        rows = [f"{self.where}: {self.severity}: {_plain(self.message)}"]
        if self.source_line.strip():
            rows += self._excerpt()
        if self.suggestion:
            rows.append(f"help: {_plain(self.suggestion)}")
        return "\n".join(rows)

    def as_json(self) -> dict[str, str | int]:
        """The problem for machines."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "length": self.length,
            "severity": self.severity,
            "message": self.message,
            "source_line": self.source_line,
            "hint": self.suggestion,
        }

    def _excerpt(self) -> list[str]:
        at = self.column - 1
        first = max(0, at - MAX_SHOWN // 2) if len(self.source_line) > MAX_SHOWN else 0
        shown = _plain(self.source_line[first : first + MAX_SHOWN])
        lead = "".join(_blank(c) for c in shown[: at - first])
        carets = "^" * max(1, min(self.length, len(shown) - (at - first)))
        gutter = str(self.line)
        return [f"  {gutter} | {shown}", f"  {' ' * len(gutter)} | {lead}{carets}"]


@dataclass(frozen=True, slots=True)
class Source:
    """A file as read. Problems are collected here while it is being understood."""

    file: str
    text: str
    problems: list[Problem] = field(default_factory=list[Problem])
    lines: tuple[str, ...] = ()

    def error(self, place: Place, message: str, suggestion: str = "") -> None:
        """Note an error."""
        self._note(place, "error", message, suggestion)

    def warning(self, place: Place, message: str, suggestion: str = "") -> None:
        """Note a warning."""
        self._note(place, "warning", message, suggestion)

    @property
    def full(self) -> bool:
        """Are there so many problems that no further one is kept? Looking on would be in vain."""
        return len(self.problems) > MAX_PROBLEMS

    def _note(self, place: Place, severity: Severity, message: str, suggestion: str) -> None:
        if self.full:
            return
        if len(self.problems) == MAX_PROBLEMS:
            # An error, not a warning: what was not looked at must not pass for right.
            severity, suggestion = "error", "correct those above first"
            message = f"more than {MAX_PROBLEMS} problems in this file; the rest is not shown"
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        problem = Problem(
            self.file, place.line, place.column, severity, message, line, suggestion, place.length
        )
        if problem not in self.problems:  # an anchor's value is seen once for each alias
            self.problems.append(problem)


def source_of(file: str, text: str) -> Source:
    """A source from text that is at hand, such as a snapshot's."""
    return Source(file, text, lines=lines_of(text))


def lines_of(text: str) -> tuple[str, ...]:
    """The text's lines, at least one, broken where YAML breaks them."""
    return tuple(_BREAK.split(text))


def read_source(path: Path) -> Source:
    """Read a file; whatever prevents that is a problem of the source, never an exception."""
    name = shown(path)
    if not path.is_file():
        return _unreadable(name, *_absence(path))
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return _unreadable(name, f"the file cannot be read: {error.strerror or error}", "")
    if len(data) > MAX_BYTES:
        return _unreadable(name, f"the file is larger than {MAX_BYTES // 1024} KiB", "shorten it")
    return _decoded(name, data)


def shown(path: Path) -> str:
    """The path as it is shown to people: relative to the working directory if it lies inside."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


def _absence(path: Path) -> tuple[str, str]:
    if path.exists():
        return "this is not a regular file", "a team is a folder that holds agents.yaml, tasks.yaml"
    other = path.with_suffix(".yml")
    if other.is_file():
        return f"there is no {path.name}", f"rename {other.name} to {path.name}"
    return f"there is no {path.name}", "a team is a folder that holds agents.yaml and tasks.yaml"


def _decoded(name: str, data: bytes) -> Source:
    try:
        return source_of(name, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        # Positions of utf-8-sig do not count a byte order mark, so ask plain UTF-8 again.
        start = _first_bad(data, error.start)
    source = source_of(name, data.decode("utf-8", errors="replace"))
    before = lines_of(data[:start].decode("utf-8", errors="replace"))
    place = Place(len(before), len(before[-1]) + 1, 1, 0, 0)
    source.error(place, f"the file is not UTF-8: byte 0x{data[start]:02x}", "save it as UTF-8")
    return source


def _first_bad(data: bytes, start: int) -> int:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return start


def _unreadable(name: str, message: str, suggestion: str) -> Source:
    source = source_of(name, "")
    source.error(Place(), message, suggestion)
    return source


def _plain(text: str) -> str:
    """Text without control characters: a file must not be able to steer the terminal."""
    return "".join(
        c if c == "\t" or unicodedata.category(c) not in {"Cc", "Cf", "Cs"} else "\ufffd"
        for c in text
    )


def _blank(character: str) -> str:
    """White space as wide as the character."""
    if character == "\t":
        return "\t"
    if unicodedata.category(character) in {"Mn", "Me"}:
        return ""
    return "  " if unicodedata.east_asian_width(character) in {"W", "F"} else " "
