"""Do the three files agree: does every name, glob and pattern in them mean something?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import PurePosixPath, PureWindowsPath
from typing import TypeGuard

from pydantic import JsonValue

from crews.teams.names import check_globs, check_known, sub, texts
from crews.teams.rules import check_policy
from crews.teams.shape import Sheet
from crews.teams.values import closest

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
    check_policy(sheets.policy, sheets.agents, known_tools)


def output_file_problem(path: str) -> str:
    """What is wrong with a task's `output_file`; empty if nothing is. CrewAI refuses the same."""
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or path[:1] in "\\~$":
        return "must be a path inside the workspace"
    if ".." in path or "\0" in path:
        return "must not hold '..'"
    if any(c in path for c in "|<>&;\n\r"):
        return "must not hold any of | < > & ; or a line break"
    return "" if PurePosixPath(path).name else "must name a file"


def _agents(sheets: Sheets, known_tools: frozenset[str]) -> None:
    sheet = sheets.agents
    level = sub(sheets.policy.data, "autonomy")
    team = level if _whole(level) else _DEFAULT_AUTONOMY
    for name, agent in sheet.data.items():
        check_known(sheet, (name, "tools"), sub(agent, "tools"), known_tools, "tool", free=":")
        own = sub(agent, "oversight", "autonomy")
        if _whole(own) and own > team:
            sheet.source.warning(
                sheet.place(name, "oversight", "autonomy"),
                f"level {own} has no effect: the team's level is {team}, and the lower one holds",
                "raise `autonomy` in policy.yaml, or lower it here",
            )
        path = (name, "oversight", "write_paths")
        check_globs(sheet, path, sub(agent, "oversight", "write_paths"))


def _whole(value: JsonValue) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _duties(sheets: Sheets) -> None:
    sheet = sheets.agents
    holders: dict[str, str] = {}
    unsure = not sheet.complete
    for name, agent in sheet.data.items():
        duty = sub(agent, "oversight", "duty")
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
    granted = {tool for agent in agents.data.values() for tool in texts(sub(agent, "tools"))}
    for name, task in sheet.data.items():
        agent = sub(task, "agent")
        if agents.complete and isinstance(agent, str) and agent not in agents.data:
            hint = closest(agent, agents.data) or f"agents: {', '.join(agents.data)}"
            place = sheet.place(name, "agent")
            sheet.source.error(place, f"unknown agent '{agent[:80]}'", hint)
        check_known(sheet, (name, "context"), sub(task, "context"), sheet.data, "task")
        check_known(sheet, (name, "tools"), sub(task, "tools"), known_tools, "tool", free=":")
        if agents.complete:
            _granted(sheet, name, task, granted)
        target = sub(task, "output_file")
        if isinstance(target, str) and (wrong := output_file_problem(target)):
            place = sheet.place(name, "output_file")
            sheet.source.error(place, f"'output_file' {wrong}", "write it like reports/result.md")


def _granted(sheet: Sheet, name: str, task: JsonValue, granted: Iterable[str]) -> None:
    errors = {(p.line, p.column) for p in sheet.source.problems}
    for index, tool in enumerate(texts(sub(task, "tools"))):
        place = sheet.place(name, "tools", index)
        if tool not in granted and (place.line, place.column) not in errors:
            message = f"tool '{tool}' is granted to no agent of the team"
            sheet.source.error(place, message, "grant it to an agent, or remove it here")


def _cycles(sheet: Sheet) -> None:
    waits = {
        name: {c for c in texts(sub(task, "context")) if c in sheet.data}
        for name, task in sheet.data.items()
    }
    for _ in range(_MAX_CYCLES):
        try:
            TopologicalSorter(waits).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]  # each waits for the next
            first, then = circle[0], circle[1]
            index = texts(sub(sheet.data[first], "context")).index(then)
            sheet.source.error(
                sheet.place(first, "context", index),
                f"tasks wait for each other: {' -> '.join(circle)}",
                f"remove '{then}' from the context of '{first}', or break the circle elsewhere",
            )
            waits[first].discard(then)
        else:
            return


def as_tables(data: Mapping[str, JsonValue]) -> Iterator[tuple[str, dict[str, JsonValue]]]:
    """Names with their keys."""
    for name, value in data.items():
        if isinstance(value, dict):
            yield name, value
