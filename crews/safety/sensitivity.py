"""What in this change should a human know of before it happens?

Says which sensitive things a change *touches*, by path and by content; the tables are `path_rules`,
`content_rules` and `secret_shapes`. It does not find vulnerabilities, and silence is no clearance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from pydantic import JsonValue

from crews.safety import check_rules
from crews.safety.action import FileChange, Finding
from crews.safety.changed import LineDiff, around, changed_lines, headers, lines_of
from crews.safety.content_rules import (
    CALLS,
    COMMANDS,
    PATTERNS,
    SQL_TEXT,
    CallRule,
    PatternRule,
)
from crews.safety.named_tests import named_tests
from crews.safety.path_rules import PROSE, categories
from crews.safety.paths import folded
from crews.safety.python_code import PythonCode, read
from crews.safety.python_parts import parse_at
from crews.safety.secret_shapes import shaped
from crews.safety.wording import BESIDE, CHANGED, HEADER, Place, by_words
from crews.teams.spec import CONTENT_CATEGORIES

CATEGORIES = CONTENT_CATEGORIES
CONTEXT = 3
"""Lines around a changed one in which words count."""
PER_CATEGORY = 5
"""Findings of one category in one file that are kept, the first ones."""
MAX_CHARS = 2_000
"""Characters of one line that a pattern sees at once."""

_PYTHON = (".py", ".pyi")
_ARGUMENT_CATEGORIES = frozenset({"sql", "secrets"})

Lines = Mapping[int, str]


def findings(
    changes: tuple[FileChange, ...],
    command: str = "",
    arguments: Mapping[str, JsonValue] | None = None,
) -> tuple[Finding, ...]:
    """Everything sensitive that the changes, the command and the arguments touch, each once.

    Arguments are looked through for secrets, and for SQL where there is no change and no command,
    whose text they would only repeat. A finding without a file has an empty path.
    """
    found = [finding for change in changes for finding in _in_file(change)]
    found += _removed_tests(changes)
    found += _of_command(command)
    found += _of_arguments(arguments or {}, secrets_only=bool(changes or command))
    return tuple(_bounded(found))


def _bounded(found: Iterable[Finding]) -> Iterator[Finding]:
    counts: dict[tuple[str, str], int] = {}
    for finding in dict.fromkeys(found):
        key = (finding.category, finding.path)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= PER_CATEGORY:
            yield finding


@lru_cache(maxsize=64)
def _in_file(change: FileChange) -> tuple[Finding, ...]:
    """A change is judged when it is made, when it is decided on, and with the change set."""
    return tuple(_of_change(change))


def _of_change(change: FileChange) -> Iterator[Finding]:
    path, diff = change.path, changed_lines(change.before, change.after)
    for category in categories(path):
        yield Finding(category, path, 0, f"the path is one of {_PATH_WORDS[category]}")
    new = lines_of(change.after)
    added = {number: new[number - 1] for number in sorted(diff.added)}
    removed = dict(diff.removed)
    yield from _secrets(path, added)
    if folded(path).endswith(PROSE):
        return
    yield from _of_code(change, diff, new)
    yield from _by_pattern(path, removed, PATTERNS, note="removed: ", but="tests_removed")
    yield from _by_pattern(path, added, check_rules.ADDED)
    yield from _taken_away(path, added, removed)


_PATH_WORDS = {
    "auth": "authentication",
    "ci": "continuous integration",
    "crypto": "keys and certificates",
    "dependencies": "dependencies",
    "infrastructure": "infrastructure",
    "migration": "database migrations",
    "permissions": "permissions",
    "secrets": "secrets",
    "team_files": "the agents' own instructions",
}


def _of_code(change: FileChange, diff: LineDiff, new: tuple[str, ...]) -> Iterator[Finding]:
    """Findings in the changed lines of the new file, and in what was removed beside them."""
    near = around(diff.added, CONTEXT, len(new)) | around(diff.seams, CONTEXT - 1, len(new))
    code = _python(change, near)
    idle = frozenset[int]() if code is None else code.docstrings
    exact = diff.added - idle
    around_it = headers(new, diff.added | diff.seams) if code is None else code.lines
    yield from by_words(
        change.path,
        (
            Place(CHANGED, (*_pairs(new, exact), *((-n, text) for n, text in diff.removed))),
            Place(HEADER, _pairs(new, around_it - near - idle)),
            Place(BESIDE, _pairs(new, near - diff.added - idle)),
        ),
    )
    yield from _by_pattern(change.path, _numbered(new, exact), PATTERNS)
    if code is not None:
        yield from _by_syntax(change.path, code, _statements_of(code, diff))


def _pairs(lines: tuple[str, ...], numbers: Iterable[int]) -> tuple[tuple[int, str], ...]:
    return tuple((n, lines[n - 1]) for n in sorted(numbers) if n <= len(lines))


def _python(change: FileChange, near: frozenset[int]) -> PythonCode | None:
    if not change.after or not near or not change.path.lower().endswith(_PYTHON):
        return None
    parsed = parse_at(change.after, near)
    return read(parsed, near) if parsed is not None else None


def _statements_of(code: PythonCode, diff: LineDiff) -> frozenset[int]:
    return diff.added | frozenset(n for n in diff.seams if n in code.lines)


def _numbered(lines: tuple[str, ...], numbers: Iterable[int]) -> Lines:
    return {n: _code_part(lines[n - 1]) for n in sorted(numbers) if n <= len(lines)}


def _code_part(line: str) -> str:
    """The line without a comment that fills it: it explains, and does nothing."""
    text = line.lstrip()
    return "" if text.startswith("#") and not text.startswith("#[") else line


def _by_pattern(
    path: str, lines: Lines, rules: tuple[PatternRule, ...], *, note: str = "", but: str = ""
) -> Iterator[Finding]:
    text = "\n".join(lines.values()).lower()
    live = [rule for rule in rules if rule.category != but and _possible(rule, text)]
    for number, line in lines.items():
        lower = line.lower()
        for rule in live:
            if _possible(rule, lower) and _in_line(rule, line):
                yield Finding(rule.category, path, number, note + rule.detail)


def _taken_away(path: str, added: Lines, removed: Lines) -> Iterator[Finding]:
    """Checks that are gone: a kind of which more lines went than came."""
    for rule in check_rules.REMOVED:
        gone = tuple(_by_pattern(path, removed, (rule,)))
        if gone and len(gone) > sum(1 for _ in _by_pattern(path, added, (rule,))):
            yield from gone


def _possible(rule: PatternRule, lower: str) -> bool:
    return not rule.needles or any(needle in lower for needle in rule.needles)


def _in_line(rule: PatternRule, line: str) -> bool:
    parts = range(0, max(1, len(line)), MAX_CHARS // 2)
    return any(rule.pattern.search(line[at : at + MAX_CHARS]) for at in parts)


def _by_syntax(path: str, code: PythonCode, exact: frozenset[int]) -> Iterator[Finding]:
    for line, name in code.calls:
        for rule in (*CALLS, *check_rules.CALLS):
            if _names(rule, name):
                yield Finding(rule.category, path, line, f"{rule.detail}: `{name}`")
    for line, text in code.built:
        if SQL_TEXT.search(text[:MAX_CHARS]):
            yield Finding("sql", path, line, "builds a query from parts")


def _names(rule: CallRule, name: str) -> bool:
    return any(name == n or (n.endswith(".") and name.startswith(n)) for n in rule.names)


def _secrets(path: str, lines: Lines) -> Iterator[Finding]:
    """Secret-shaped text in new lines; it may run over several of them."""
    text = "\n".join(lines.values())
    numbers = tuple(lines)
    for spot in shaped(text):
        number = numbers[text.count("\n", 0, spot.start)]
        yield Finding("secrets", path, number, f"looks like a secret: {spot.name}")


def _removed_tests(changes: tuple[FileChange, ...]) -> Iterator[Finding]:
    """Tests that are in no file any more, wherever they were moved to."""
    before = [(change.path, test) for change in changes for test in named_tests(change.before)]
    kept = {name for change in changes if before for name, _ in named_tests(change.after)}
    for path, (name, line) in before:
        if name not in kept:
            yield Finding("tests_removed", path, line, f"the test `{name}` is gone")


def _of_command(command: str) -> Iterator[Finding]:
    lines = dict(enumerate(lines_of(command), 1))
    yield from _by_pattern("", lines, COMMANDS)
    yield from _secrets("", lines)


def _of_arguments(arguments: Mapping[str, JsonValue], *, secrets_only: bool) -> Iterator[Finding]:
    for text in _strings(list(arguments.values())):
        yield from (
            Finding("secrets", "", 0, f"looks like a secret: {s.name}") for s in shaped(text)
        )
        if not secrets_only:
            rules = tuple(rule for rule in PATTERNS if rule.category in _ARGUMENT_CATEGORIES)
            yield from _by_pattern("", {0: text.replace("\n", " ")}, rules)


def _strings(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _strings(item)
        case dict():
            for key, item in value.items():
                yield key
                yield from _strings(item)
        case _:
            return
