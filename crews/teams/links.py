"""Do the three files agree: does every name, glob and pattern in them mean something?"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeGuard

import pathspec
from pydantic import JsonValue

from crews.teams.shape import Sheet
from crews.teams.spec import CONTENT_CATEGORIES
from crews.teams.values import Path, closest

REGEX = "regex:"
_MAX_CYCLES = 20
_DEFAULT_AUTONOMY = 2
_SINGLE = ("supervisor", "escalation")
"""Duties that one agent of a team may have."""


@dataclass(frozen=True, slots=True)
class Sheets:
    """A team's three files as read."""

    agents: Sheet
    tasks: Sheet
    policy: Sheet

    def __iter__(self) -> Iterator[Sheet]:
        yield from (self.agents, self.tasks, self.policy)


def check_links(sheets: Sheets, known_tools: frozenset[str]) -> None:
    """Note every name that leads nowhere, and every glob and pattern that is none."""
    _agents(sheets, known_tools)
    _duties(sheets)
    _tasks(sheets, known_tools)
    _cycles(sheets.tasks)
    _rules(sheets, known_tools)


def output_file_problem(path: str) -> str:
    """What is wrong with a task's `output_file`; empty if nothing is. CrewAI refuses the same."""
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or path[:1] in "\\~$":
        return "must be a path inside the workspace"
    if ".." in path or "\0" in path:
        return "must not hold '..'"
    if any(c in path for c in "|<>&;\n\r"):
        return "must not hold any of | < > & ; or a line break"
    return "" if PurePosixPath(path).name else "must name a file"


def _sub(value: JsonValue, *names: str) -> JsonValue:
    """The value below these keys; None if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _texts(value: JsonValue) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _agents(sheets: Sheets, known_tools: frozenset[str]) -> None:
    sheet = sheets.agents
    level = _sub(sheets.policy.data, "autonomy")
    team = level if _whole(level) else _DEFAULT_AUTONOMY
    for name, agent in sheet.data.items():
        _known(sheet, (name, "tools"), _sub(agent, "tools"), known_tools, "tool", free=":")
        own = _sub(agent, "oversight", "autonomy")
        if _whole(own) and own > team:
            sheet.source.warning(
                sheet.place(name, "oversight", "autonomy"),
                f"level {own} has no effect: the team's level is {team}, and the lower one holds",
                "raise `autonomy` in policy.yaml, or lower it here",
            )
        path = (name, "oversight", "write_paths")
        _globs(sheet, path, _sub(agent, "oversight", "write_paths"))


def _whole(value: JsonValue) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _known(
    sheet: Sheet, path: Path, value: JsonValue, known: Iterable[str], noun: str, free: str = ""
) -> None:
    for index, name in enumerate(_texts(value)):
        if sheet.source.full or name in known or (free and free in name):
            continue
        hint = closest(name, known) or (
            f"there are: {', '.join(sorted(known))}" if known else f"there is no {noun}"
        )
        place = sheet.place(*path, index)
        sheet.source.error(place, f"unknown {noun} '{name[:80]}'", hint)


def _duties(sheets: Sheets) -> None:
    sheet = sheets.agents
    holders: dict[str, str] = {}
    unsure = not sheet.complete
    for name, agent in sheet.data.items():
        duty = _sub(agent, "oversight", "duty")
        # A duty that was given and found wrong: it may have been meant to be the missing one.
        unsure = unsure or (duty is None and (name, "oversight", "duty") in sheet.keys)
        if duty in _SINGLE and str(duty) in holders:
            sheet.source.error(
                sheet.place(name, "oversight", "duty"),
                f"a second agent has the duty '{duty}'",
                f"'{holders[str(duty)]}' has it already; make this one a worker",
            )
        elif isinstance(duty, str):
            holders[duty] = name
    if "supervisor" not in holders and not unsure:
        _leaderless(sheets.tasks)


def _leaderless(tasks: Sheet) -> None:
    for name in tasks.data:
        if (name, "agent") not in tasks.keys:
            tasks.source.error(
                tasks.key(name),
                f"task '{name}' has no agent, and no agent has the duty 'supervisor'",
                "give the task an `agent`, or an agent `oversight: {duty: supervisor}`",
            )


def _tasks(sheets: Sheets, known_tools: frozenset[str]) -> None:
    sheet, agents = sheets.tasks, sheets.agents
    granted = {tool for agent in agents.data.values() for tool in _texts(_sub(agent, "tools"))}
    for name, task in sheet.data.items():
        agent = _sub(task, "agent")
        if agents.complete and isinstance(agent, str) and agent not in agents.data:
            hint = closest(agent, agents.data) or f"agents: {', '.join(agents.data)}"
            place = sheet.place(name, "agent")
            sheet.source.error(place, f"unknown agent '{agent[:80]}'", hint)
        _known(sheet, (name, "context"), _sub(task, "context"), sheet.data, "task")
        _known(sheet, (name, "tools"), _sub(task, "tools"), known_tools, "tool", free=":")
        if agents.complete:
            _granted(sheet, name, task, granted)
        target = _sub(task, "output_file")
        if isinstance(target, str) and (wrong := output_file_problem(target)):
            place = sheet.place(name, "output_file")
            sheet.source.error(place, f"'output_file' {wrong}", "write it like reports/result.md")


def _granted(sheet: Sheet, name: str, task: JsonValue, granted: Iterable[str]) -> None:
    errors = {(p.line, p.column) for p in sheet.source.problems}
    for index, tool in enumerate(_texts(_sub(task, "tools"))):
        place = sheet.place(name, "tools", index)
        if tool not in granted and (place.line, place.column) not in errors:
            message = f"tool '{tool}' is granted to no agent of the team"
            sheet.source.error(place, message, "grant it to an agent, or remove it here")


def _cycles(sheet: Sheet) -> None:
    waits = {
        name: {c for c in _texts(_sub(task, "context")) if c in sheet.data}
        for name, task in sheet.data.items()
    }
    for _ in range(_MAX_CYCLES):
        try:
            TopologicalSorter(waits).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]  # each waits for the next
            first, then = circle[0], circle[1]
            index = _texts(_sub(sheet.data[first], "context")).index(then)
            sheet.source.error(
                sheet.place(first, "context", index),
                f"tasks wait for each other: {' -> '.join(circle)}",
                f"remove '{then}' from the context of '{first}', or break the circle elsewhere",
            )
            waits[first].discard(then)
        else:
            return


def _rules(sheets: Sheets, known_tools: frozenset[str]) -> None:
    sheet = sheets.policy
    rules = sheet.data.get("rules")
    names: dict[str, int] = {}
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        path = ("rules", index)
        name = _sub(rule, "name")
        if isinstance(name, str) and name in names:
            sheet.source.error(sheet.place(*path, "name"), f"a second rule is named '{name}'",
                               f"the first is in line {names[name]}; rename one")  # fmt: skip
        elif isinstance(name, str):
            names[name] = sheet.place(*path, "name").line
        _effective(sheet, path, rule)
        when = (*path, "when")
        _globs(sheet, (*when, "path"), _sub(rule, "when", "path"))
        _contents(sheet, (*when, "content"), _texts(_sub(rule, "when", "content")))
        _tool_globs(sheet, (*when, "tool"), _texts(_sub(rule, "when", "tool")), known_tools)
        if sheets.agents.complete:
            known = sheets.agents.data
            _known(sheet, (*when, "agent"), _sub(rule, "when", "agent"), known, "agent")


def _effective(sheet: Sheet, path: Path, rule: JsonValue) -> None:
    """Warn of rules that say more, or less, than it seems."""
    ruling = _sub(rule, "ruling")
    if ruling == "allow" and not _sub(rule, "when") and not _given(sheet, (*path, "when")):
        place = sheet.place(*path, "ruling")
        sheet.source.warning(place, "this rule allows every action", "say `when:` it holds")
    if ruling in {"allow", "deny"}:
        for name in ("at", "role"):
            if _sub(rule, name):
                place = sheet.key(*path, name)
                message = f"'{name}' has no effect: only an `ask` is put to a human"
                sheet.source.warning(place, message, "remove it")


def _given(sheet: Sheet, path: Path) -> bool:
    """Does the file hold any key below this one, right or wrong?"""
    return any(key[: len(path)] == path and len(key) > len(path) for key in sheet.keys)


def _tool_globs(sheet: Sheet, path: Path, globs: Sequence[str], known: frozenset[str]) -> None:
    for index, glob in enumerate(globs):
        if ":" not in glob and not any(fnmatchcase(tool, glob) for tool in known):
            message = f"'{glob[:80]}' matches no tool"
            sheet.source.warning(sheet.place(*path, index), message, closest(glob, known))


def _globs(sheet: Sheet, path: Path, value: JsonValue) -> None:
    for index, glob in enumerate(_texts(value)):
        if wrong := _glob_problem(glob):
            sheet.source.error(
                sheet.place(*path, index),
                f"'{glob[:80]}' is no path glob: {wrong}",
                "write it as in .gitignore: src/**, *.py",
            )


def _glob_problem(glob: str) -> str:
    try:
        pattern = pathspec.lookup_pattern("gitignore")(glob)
    except (ValueError, re.error) as error:
        return str(error)
    return "" if pattern.include is not None else "it matches nothing"


def _contents(sheet: Sheet, path: Path, entries: Sequence[str]) -> None:
    for index, entry in enumerate(entries):
        place = sheet.place(*path, index)
        if entry.startswith(REGEX):
            if wrong := _regex_problem(entry.removeprefix(REGEX)):
                message = f"this is no regular expression: {wrong}"
                sheet.source.error(place, message, "see the syntax of Python's `re`")
        elif entry not in CONTENT_CATEGORIES:
            hint = closest(entry, CONTENT_CATEGORIES)
            hint = hint or f"one of: {', '.join(CONTENT_CATEGORIES)}, or {REGEX}PATTERN"
            sheet.source.error(place, f"unknown content category '{entry[:80]}'", hint)


def _regex_problem(pattern: str) -> str:
    if not pattern.strip():
        return "it is empty"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a pattern that Python finds ambiguous guards nothing
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError, Warning) as error:
            return str(error)
    return ""


def as_tables(data: Mapping[str, JsonValue]) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Names with their keys."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield name, value
