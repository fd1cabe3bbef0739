"""Does a rule speak of this action?

Restricting and loosening are read differently, each the careful way. A rule that asks or denies
holds as soon as *any* path, finding or text matches, and paths match in every spelling. A rule that
allows holds only if *all* of them match: every path is covered as written, every finding is of a
listed category, it has every label, and a `regex:` covers the whole command, every changed line or the arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache, partial

from crews.safety.action import Action, FileChange, Finding, Standing
from crews.safety.changed import changed_lines, lines_of
from crews.safety.paths import covered
from crews.safety.same import Same
from crews.teams.spec import CONTENT_CATEGORIES, Duty, Effect, Match, Rule

REGEX = "regex:"
MAX_LINE = 2_000
"""Characters that a pattern sees at once: a pattern that backtracks is bounded, not cured."""
OVERLAP = 200
MAX_TEXT = 1_000_000
"""Characters after which text is not searched any more, but taken to match (a restricting rule)."""


_Check = Callable[["_Seen"], bool]
"""A condition of a rule."""


def speaking(
    rules: tuple[Rule, ...], action: Action, standing: Standing, findings: tuple[Finding, ...]
) -> tuple[Rule, ...]:
    """The rules of which every condition holds. The cheap ones are asked first.

    Raises:
        ValueError: A glob, pattern or category of a rule is none.
        re.error: A pattern cannot be compiled.
    """
    seen = _Seen(action, standing, findings)
    found: list[Rule] = []
    for rule, checks in _addressed(
        Same(rules), action.tool, action.effects, action.agent, action.duty
    ):
        for check in checks:
            if not check(seen):
                break
        else:
            found.append(rule)
    return tuple(found)


@lru_cache(maxsize=1_024)
def _addressed(
    rules: Same[tuple[Rule, ...]], tool: str, effects: frozenset[Effect], agent: str, duty: Duty
) -> tuple[tuple[Rule, tuple[_Check, ...]], ...]:
    """Those that speak of such a call at all: of the tool, its effects, and whose it is; and what else must hold."""
    return tuple(
        (rule, tuple(_checks(rule.when, loosens=rule.ruling == "allow")))
        for rule in rules.value
        if _who_and_what(rule.when, tool, effects, agent, duty, loosens=rule.ruling == "allow")
    )


def _checks(when: Match, *, loosens: bool) -> Iterator[_Check]:
    if when.labels:
        yield partial(_labels, when, loosens)
    if when.cost_above is not None or when.confidence_below is not None:
        yield partial(_figures, when, loosens)
    if when.path:
        yield partial(_all_paths if loosens else _any_path, when.path)
    if when.owners:
        yield partial(_owners, tuple(glob.casefold() for glob in when.owners), loosens)
    if when.content:
        yield partial(_content_loosens if loosens else _content, when.content)


def touched(action: Action) -> tuple[str, ...]:
    """Every path that the action names or changes, once."""
    return tuple(dict.fromkeys((*action.paths, *(change.path for change in action.changes))))


def _who_and_what(
    when: Match,
    tool: str,
    effects: frozenset[Effect],
    agent: str,
    duty: Duty,
    *,
    loosens: bool,
) -> bool:
    return (
        (not when.tool or any(fnmatchcase(tool, glob) for glob in when.tool))
        and (not when.effect or _effects(when.effect, effects, loosens=loosens))
        and (not when.agent or agent in when.agent)
        and (not when.duty or duty in when.duty)
    )


def _effects(named: tuple[Effect, ...], effects: frozenset[Effect], *, loosens: bool) -> bool:
    """To restrict, one of its effects is enough; to allow, all of them must be named."""
    return effects.issubset(named) if loosens else not effects.isdisjoint(named)


def _labels(when: Match, loosens: bool, seen: _Seen) -> bool:
    held = seen.action.provenance.labels
    return held.issuperset(when.labels) if loosens else not held.isdisjoint(when.labels)


def _figures(when: Match, loosens: bool, seen: _Seen) -> bool:
    if when.cost_above is not None and not seen.standing.spent > when.cost_above:
        return False
    if when.confidence_below is None:
        return True
    if loosens:  # what an agent says of itself opens nothing
        return False
    # Written so that a confidence which is no number counts as a low one.
    stated = seen.action.confidence
    return stated is not None and not stated >= when.confidence_below


def _owners(globs: tuple[str, ...], loosens: bool, seen: _Seen) -> bool:
    """Does one of the globs name an owner of a path; where it loosens, of each path?"""
    named = [
        bool(owners) and any(fnmatchcase(o, glob) for o in owners for glob in globs)
        for owners in seen.owners
    ]
    return bool(named) and (all(named) if loosens else any(named))


def _all_paths(globs: tuple[str, ...], seen: _Seen) -> bool:
    return bool(seen.paths) and all(covered(globs, path) for path in seen.paths)


def _any_path(globs: tuple[str, ...], seen: _Seen) -> bool:
    for path in seen.paths:  # noqa: SIM110 - asked of every rule: a generator would cost more than the look
        if covered(globs, path, loosely=True):
            return True
    return False


def _content_loosens(content: tuple[str, ...], seen: _Seen) -> bool:
    categories, patterns = _sorted_out(content)
    stands = any(not finding.stated for finding in seen.findings)
    named = stands and seen.categories <= categories
    return named or any(_covers(pattern, seen.action) for pattern in patterns)


def _content(content: tuple[str, ...], seen: _Seen) -> bool:
    categories, patterns = _sorted_out(content)
    if categories and not categories.isdisjoint(seen.categories):
        return True
    return bool(patterns) and any(map(seen.holds, patterns))


@lru_cache(maxsize=512)
def _sorted_out(content: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Categories, and patterns. Raises ValueError for a category that is none."""
    categories = frozenset(entry for entry in content if not entry.startswith(REGEX))
    if unknown := categories.difference(CONTENT_CATEGORIES):
        raise ValueError(f"There is no content category {', '.join(sorted(unknown))}.")
    return categories, tuple(e.removeprefix(REGEX) for e in content if e.startswith(REGEX))


class _Seen:
    """An action, with what several rules ask of it worked out once, and only if one asks."""

    def __init__(self, action: Action, standing: Standing, findings: tuple[Finding, ...]) -> None:
        self.action = action
        self.standing = standing
        self.findings = findings

    @cached_property
    def categories(self) -> frozenset[str]:
        """The kinds of what was found."""
        return frozenset(finding.category for finding in self.findings)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """Every path that it touches."""
        return touched(self.action)

    @cached_property
    def owners(self) -> tuple[tuple[str, ...], ...]:
        """The owners of each path, without case."""
        of = self.standing.owners.of
        return tuple(tuple(owner.casefold() for owner in of(path)) for path in self.paths)

    def holds(self, pattern: str) -> bool:
        """Is the pattern anywhere in the command, the changed lines or the arguments?"""
        search = _compiled(pattern).search
        parts, is_long = self._laid_out
        return is_long or any(map(search, parts))

    @cached_property
    def _laid_out(self) -> tuple[tuple[str, ...], bool]:
        """Their text in pieces; and is there more than is looked through, so that every pattern is taken to match?"""
        parts: list[str] = []
        seen = 0
        for text in _texts(self.action):
            seen += len(text)
            if seen > MAX_TEXT:
                return (), True
            parts += _windows(text)
        return tuple(dict.fromkeys(parts)), False


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
