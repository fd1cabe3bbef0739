"""Does a rule speak of this action?

Restricting and loosening are read differently, each the careful way. A rule that asks or denies
holds as soon as *any* path, finding or text matches, and paths match in every spelling. A rule that
allows holds only if *all* of them match: every path is covered as written, every finding is of a
listed category, it has every label, and a `regex:` covers the whole command, every changed line or the arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from crews.safety.action import Action, FileChange, Finding, Standing
from crews.safety.changed import changed_lines, lines_of
from crews.safety.paths import covered
from crews.teams.spec import CONTENT_CATEGORIES, Effect, Match, Rule

REGEX = "regex:"
MAX_LINE = 2_000
"""Characters that a pattern sees at once: a pattern that backtracks is bounded, not cured."""
OVERLAP = 200
MAX_TEXT = 1_000_000
"""Characters after which text is not searched any more, but taken to match (a restricting rule)."""


def speaking(
    rules: Iterable[Rule], action: Action, standing: Standing, findings: tuple[Finding, ...]
) -> tuple[Rule, ...]:
    """The rules of which every condition holds. The cheap ones are asked first.

    Raises:
        ValueError: A glob, pattern or category of a rule is none.
        re.error: A pattern cannot be compiled.
    """
    text = _Text(action)
    return tuple(rule for rule in rules if _matches(rule, action, standing, findings, text))


def _matches(
    rule: Rule, action: Action, standing: Standing, findings: tuple[Finding, ...], text: _Text
) -> bool:
    loosens = rule.ruling == "allow"
    return (
        _who_and_what(rule.when, action, loosens=loosens)
        and _labels(rule.when, action, loosens=loosens)
        and _figures(rule.when, action, standing, loosens=loosens)
        and _paths(rule.when, action, loosens=loosens)
        and _owners(rule.when, action, standing, loosens=loosens)
        and _content(rule.when, action, findings, text, loosens=loosens)
    )


def touched(action: Action) -> tuple[str, ...]:
    """Every path that the action names or changes, once."""
    return tuple(dict.fromkeys((*action.paths, *(change.path for change in action.changes))))


def _who_and_what(when: Match, action: Action, *, loosens: bool) -> bool:
    return (
        (not when.tool or any(fnmatchcase(action.tool, glob) for glob in when.tool))
        and (not when.effect or _effects(when.effect, action, loosens=loosens))
        and (not when.agent or action.agent in when.agent)
        and (not when.duty or action.duty in when.duty)
    )


def _effects(named: tuple[Effect, ...], action: Action, *, loosens: bool) -> bool:
    """To restrict, one of its effects is enough; to allow, all of them must be named."""
    return action.effects.issubset(named) if loosens else not action.effects.isdisjoint(named)


def _labels(when: Match, action: Action, *, loosens: bool) -> bool:
    if not when.labels:
        return True
    held = action.provenance.labels
    return held.issuperset(when.labels) if loosens else not held.isdisjoint(when.labels)


def _figures(when: Match, action: Action, standing: Standing, *, loosens: bool) -> bool:
    if when.cost_above is not None and not standing.spent > when.cost_above:
        return False
    if when.confidence_below is None:
        return True
    if loosens:  # what an agent says of itself opens nothing
        return False
    # Written so that a confidence which is no number counts as a low one.
    return action.confidence is not None and not action.confidence >= when.confidence_below


def _owners(when: Match, action: Action, standing: Standing, *, loosens: bool) -> bool:
    """Does one of the globs name an owner of a path; where it loosens, of each path?"""
    if not when.owners:
        return True
    globs = [glob.casefold() for glob in when.owners]
    held = [
        any(fnmatchcase(o.casefold(), glob) for o in standing.owners.of(path) for glob in globs)
        for path in touched(action)
    ]
    return bool(held) and (all(held) if loosens else any(held))


def _paths(when: Match, action: Action, *, loosens: bool) -> bool:
    if not when.path:
        return True
    paths = touched(action)
    if loosens:
        return bool(paths) and all(covered(when.path, path) for path in paths)
    return any(covered(when.path, path, loosely=True) for path in paths)


def _content(
    when: Match, action: Action, findings: tuple[Finding, ...], text: _Text, *, loosens: bool
) -> bool:
    if not when.content:
        return True
    categories = {entry for entry in when.content if not entry.startswith(REGEX)}
    patterns = tuple(e.removeprefix(REGEX) for e in when.content if e.startswith(REGEX))
    if unknown := categories.difference(CONTENT_CATEGORIES):
        raise ValueError(f"There is no content category {', '.join(sorted(unknown))}.")
    found = {finding.category for finding in findings}
    if loosens:
        seen = any(not finding.stated for finding in findings)
        named = seen and found <= categories
        return named or any(_covers(pattern, action) for pattern in patterns)
    return bool(found & categories) or any(text.holds(pattern) for pattern in patterns)


@dataclass(slots=True)
class _Text:
    """The command, the changed lines and the arguments, laid out once for all patterns."""

    action: Action
    _parts: list[str] | None = None
    _is_long: bool = False
    """Is there more than is looked through? Then every pattern is taken to match."""

    def holds(self, pattern: str) -> bool:
        """Is the pattern anywhere in it?"""
        search = _compiled(pattern).search
        return any(search(part) for part in self._laid_out()) or self._is_long

    def _laid_out(self) -> list[str]:
        if self._parts is None:
            self._parts, seen = [], 0
            for text in _texts(self.action):
                seen += len(text)
                if seen > MAX_TEXT:
                    self._is_long = True
                    break
                self._parts += _windows(text)
        return self._parts


def _covers(pattern: str, action: Action) -> bool:
    """Does the pattern match all there is to see, to the last character?"""
    texts = tuple(_whole(action))
    if sum(map(len, texts)) > MAX_TEXT or any(len(text) > MAX_LINE for text in texts):
        return False
    return bool(texts) and all(_compiled(pattern).fullmatch(text) for text in texts)


def _whole(action: Action) -> Iterator[str]:
    if action.command:
        yield action.command
    elif action.changes:
        yield from _changed_text(action.changes)
    else:
        yield _as_json(action)


def _texts(action: Action) -> Iterator[str]:
    if action.command:
        yield action.command
        yield from lines_of(action.command)
    yield from _changed_text(action.changes)
    yield _as_json(action)
    yield from _strings(action.arguments.values())


def _changed_text(changes: Iterable[FileChange]) -> Iterator[str]:
    for change in changes:
        diff = changed_lines(change.before, change.after)
        new = lines_of(change.after)
        yield from (new[number - 1] for number in sorted(diff.added))
        yield from (text for _, text in diff.removed)


def _as_json(action: Action) -> str:
    return json.dumps(dict(action.arguments), ensure_ascii=False, sort_keys=True, default=str)


def _strings(values: Iterable[object]) -> Iterator[str]:
    """String arguments as they are, line by line: JSON would hide a line's start and its quotes."""
    for value in values:
        if isinstance(value, str):
            yield from lines_of(value)


def _windows(text: str) -> Iterator[str]:
    for start in range(0, max(1, len(text)), MAX_LINE - OVERLAP):
        yield text[start : start + MAX_LINE]


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
