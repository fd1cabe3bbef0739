"""What do the changed lines of a file touch: by their words and patterns, and where it is Python, by what they call?

A file is read as Python if all of it is Python, and as text if not. To be certain of that costs more than all the
rest; where both ways say the same of a change, it need not be known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from crews.safety.action import FileChange, Finding
from crews.safety.changed import LineDiff, around, headers
from crews.safety.content_rules import PATTERNS
from crews.safety.pattern_search import Lines, Table, by_pattern
from crews.safety.python_code import PythonCode, read
from crews.safety.python_findings import by_syntax
from crews.safety.python_parts import Parsed, glance_at, parse_at
from crews.safety.wording import BESIDE, CHANGED, HEADER, Place, by_words, says_nothing

CONTEXT = 3
"""Lines around a changed one in which words count."""

_PYTHON = (".py", ".pyi")
_PATTERNS = Table.of(PATTERNS)


def in_code(change: FileChange, diff: LineDiff, new: tuple[str, ...]) -> tuple[Finding, ...]:
    """Findings in the changed lines of the new file, whose lines are `new`, and in what was removed beside them."""
    near = around(diff.added, CONTEXT, len(new)) | around(diff.seams, CONTEXT - 1, len(new))
    text = _Reading.as_text(diff, new, near)
    likely = _python(change, near, glance_at)
    if likely is not None and not any(by_syntax(change.path, likely)):
        code = _Reading.as_code(likely, diff, new, near)
        found = code.found(change.path)
        if code == text or found == text.found(change.path):
            return found
    code = _python(change, near, parse_at)
    if code is None:
        return text.found(change.path)
    found = _Reading.as_code(code, diff, new, near).found(change.path)
    return (*found, *by_syntax(change.path, code))


def _python(
    change: FileChange,
    near: frozenset[int],
    parsed_at: Callable[[str, frozenset[int]], Parsed | None],
) -> PythonCode | None:
    if not change.after or not near or not change.path.lower().endswith(_PYTHON):
        return None
    parsed = parsed_at(change.after, near)
    return read(parsed, near) if parsed is not None else None


@dataclass(frozen=True, slots=True)
class _Reading:
    """Which lines count, and for how much."""

    exact: Lines
    """Changed ones that do something."""
    places: tuple[Place, ...]

    @classmethod
    def as_text(cls, diff: LineDiff, new: tuple[str, ...], near: frozenset[int]) -> _Reading:
        """Of a file of which nothing is known but its lines."""
        return cls._of(diff, new, near, headers(new, diff.added | diff.seams), frozenset())

    @classmethod
    def as_code(
        cls, code: PythonCode, diff: LineDiff, new: tuple[str, ...], near: frozenset[int]
    ) -> _Reading:
        """Of a file of Python."""
        return cls._of(diff, new, near, code.lines, code.docstrings)

    @classmethod
    def _of(
        cls,
        diff: LineDiff,
        new: tuple[str, ...],
        near: frozenset[int],
        around_it: frozenset[int],
        idle: frozenset[int],
    ) -> _Reading:
        exact = diff.added - idle
        removed = ((-n, text) for n, text in diff.removed if not says_nothing(text))
        places = (
            Place(CHANGED, (*_pairs(new, exact), *removed)),
            Place(HEADER, _pairs(new, around_it - near - idle)),
            Place(BESIDE, _pairs(new, near - diff.added - idle)),
        )
        return cls(_numbered(new, exact), places)

    def found(self, path: str) -> tuple[Finding, ...]:
        """What their words and patterns say."""
        return (*by_words(path, self.places), *by_pattern(path, self.exact, _PATTERNS))


def _pairs(lines: tuple[str, ...], numbers: Iterable[int]) -> tuple[tuple[int, str], ...]:
    """Those of the lines that say anything, so that two readings are equal if they differ in the others only."""
    found = ((n, lines[n - 1]) for n in sorted(numbers) if n <= len(lines))
    return tuple((n, line) for n, line in found if not says_nothing(line))


def _numbered(lines: tuple[str, ...], numbers: Iterable[int]) -> Lines:
    return {n: _code_part(lines[n - 1]) for n in sorted(numbers) if n <= len(lines)}


def _code_part(line: str) -> str:
    """The line without a comment that fills it: it explains, and does nothing."""
    text = line.lstrip()
    return "" if text.startswith("#") and not text.startswith("#[") else line
