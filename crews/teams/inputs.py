"""Which `{placeholders}` does a team's text hold, and what does it say once they are filled?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pydantic import JsonValue

from crews.errors import TeamError
from crews.teams.shape import Sheet
from crews.teams.source import Place, Problem, Source, lines_of
from crews.teams.spec import AgentSpec, TaskSpec, TeamSpec
from crews.teams.values import Path, closest

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)}")
"""As in crewai 1.15.30, `utilities/string_utils.py`: braces of JSON are left as they are."""

GOAL = "goal"
"""The input that every run brings."""

AGENT_TEXTS = (("role",), ("goal",), ("backstory",))
TASK_TEXTS = (("description",), ("expected_output",), ("output_file",), ("oversight", "acceptance"))


@dataclass(frozen=True, slots=True)
class Use:
    """One placeholder in a file."""

    name: str
    place: Place


def placeholders(team: TeamSpec) -> tuple[str, ...]:
    """Names of the inputs that the team's text asks for, sorted; with `goal`, if it is used."""
    return tuple(sorted({name for text in _all_texts(team) for name in PLACEHOLDER.findall(text)}))


def filled_text(text: str, inputs: Mapping[str, str]) -> str:
    """The text with every placeholder replaced that has an input.

    Unlike CrewAI's, an input's own braces are never filled in turn: a goal that speaks of
    `{name}` is taken as it was written.
    """
    return PLACEHOLDER.sub(lambda found: str(inputs.get(found[1], found[0])), text)


def filled_agent(agent: AgentSpec, inputs: Mapping[str, str]) -> AgentSpec:
    """The agent with its texts filled."""
    texts = {name: filled_text(getattr(agent, name), inputs) for (name,) in AGENT_TEXTS}
    return agent.model_copy(update=texts)


def filled_task(task: TaskSpec, inputs: Mapping[str, str]) -> TaskSpec:
    """The task with its texts filled."""
    file = None if task.output_file is None else filled_text(task.output_file, inputs)
    acceptance = filled_text(task.oversight.acceptance, inputs)
    return task.model_copy(update={
        "description": filled_text(task.description, inputs),
        "expected_output": filled_text(task.expected_output, inputs),
        "output_file": file,
        "oversight": task.oversight.model_copy(update={"acceptance": acceptance}),
    })  # fmt: skip


def check_inputs(
    sheet: Sheet, texts: tuple[tuple[str, ...], ...], given: Mapping[str, str]
) -> None:
    """Note every placeholder of the sheet that no input fills."""
    for use in _uses(sheet, texts):
        if use.name not in given:
            near = closest(use.name, given)
            place = use.place
            where = f"{sheet.source.file}:{place.line}:{place.column}"
            flag = "the goal" if use.name == GOAL else f"--input {use.name}=..."
            sheet.source.error(
                place,
                f"missing input '{use.name}' used in {where}",
                f"give it with {flag}" + (f"; {near}" if near else ""),
            )


def missing(team: TeamSpec, problems: tuple[Problem, ...]) -> TeamError:
    """The error of a team whose inputs do not fit."""
    count = len(problems)
    return TeamError(
        f"{count} problem{'s' if count > 1 else ''} with the inputs of team '{team.name}'",
        problems=problems,
        where=str(team.folder),
        hint="\n".join(problem.render() for problem in problems),
    )


def _all_texts(team: TeamSpec) -> Iterator[str]:
    for agent in team.agents:
        yield from (agent.role, agent.goal, agent.backstory)
    for task in team.tasks:
        yield from (task.description, task.expected_output, task.oversight.acceptance)
        yield task.output_file or ""


def _uses(sheet: Sheet, texts: tuple[tuple[str, ...], ...]) -> Iterator[Use]:
    for name, table in sheet.data.items():
        for keys in texts:
            value: JsonValue = table
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str):
                yield from _uses_of(sheet, (name, *keys), value)


def _uses_of(sheet: Sheet, path: Path, text: str) -> Iterator[Use]:
    """Each placeholder of one text, once, at its first occurrence in the file."""
    place = sheet.place(*path)
    for name in dict.fromkeys(PLACEHOLDER.findall(text)):
        start = sheet.source.text.find(f"{{{name}}}", place.start, place.end)
        at = place if start < 0 else _place_at(sheet.source, start, len(name) + 2)
        yield Use(name, at)


def _place_at(source: Source, start: int, length: int) -> Place:
    before = lines_of(source.text[:start])
    place = Place(len(before), len(before[-1]) + 1, length)
    return replace(place, start=start, end=start + length)
