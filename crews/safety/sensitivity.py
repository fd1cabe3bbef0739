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
from crews.safety.changed import changed_lines, lines_of
from crews.safety.content_rules import COMMANDS, PATTERNS
from crews.safety.named_tests import named_tests
from crews.safety.path_rules import PROSE, categories
from crews.safety.paths import folded
from crews.safety.pattern_search import Lines, Table, by_pattern, secrets_in
from crews.teams.spec import CONTENT_CATEGORIES

CATEGORIES = CONTENT_CATEGORIES
PER_CATEGORY = 5
"""Findings of one category in one file that are kept, the first ones."""
_REMOVED = Table.of(rule for rule in PATTERNS if rule.category != "tests_removed")
_ARGUMENTS = Table.of(rule for rule in PATTERNS if rule.category in {"sql", "secrets"})
_COMMANDS = Table.of(COMMANDS)
_WEAKENED = Table.of(check_rules.ADDED)
_CHECKS = tuple(Table.of((rule,)) for rule in check_rules.REMOVED)


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
    from crews.safety.reading import in_code  # most runs begin by reading, and its tables are large

    yield from in_code(change, diff, new)
    yield from by_pattern(path, removed, _REMOVED, note="removed: ")
    yield from by_pattern(path, added, _WEAKENED)
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


def _taken_away(path: str, added: Lines, removed: Lines) -> Iterator[Finding]:
    """Checks that are gone: a kind of which more lines went than came."""
    for check in _CHECKS:
        gone = tuple(by_pattern(path, removed, check))
        if gone and len(gone) > sum(1 for _ in by_pattern(path, added, check)):
            yield from gone


def _secrets(path: str, lines: Lines) -> Iterator[Finding]:
    """Secret-shaped text in new lines; it may run over several of them."""
    text = "\n".join(lines.values())
    numbers = tuple(lines)
    for spot in secrets_in(text):
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
    yield from by_pattern("", lines, _COMMANDS)
    yield from _secrets("", lines)


def _of_arguments(arguments: Mapping[str, JsonValue], *, secrets_only: bool) -> Iterator[Finding]:
    for text in _strings(list(arguments.values())):
        yield from (
            Finding("secrets", "", 0, f"looks like a secret: {s.name}") for s in secrets_in(text)
        )
        if not secrets_only:
            yield from by_pattern("", {0: text.replace("\n", " ")}, _ARGUMENTS)


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
