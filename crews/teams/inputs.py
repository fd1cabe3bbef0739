"""Which `{placeholders}` does a team's text hold, and what does it say once they are filled?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from crews.errors import TeamError
from crews.teams.shape import Sheet
from crews.teams.source import Place, Problem, lines_of
from crews.teams.spec import AgentSpec, TaskSpec, TeamSpec
from crews.teams.values import Path, closest

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)}")
"""As in crewai 1.15.30, `utilities/string_utils.py`: braces of JSON are left as they are."""

GOAL = "goal"
"""The input that every run brings."""

AGENT_TEXTS = (("role",), ("goal",), ("backstory",))
TASK_TEXTS = (("description",), ("expected_output",), ("output_file",), ("oversight", "acceptance"))


def placeholders(team: TeamSpec) -> tuple[str, ...]:
    """Names of the inputs that the team's text asks for, sorted; with `goal`, if it is used."""
    return tuple(sorted({name for text in _all_texts(team) for name in named(text)}))


def named(text: str) -> tuple[str, ...]:
    """Names in braces, as a placeholder has them."""
    return tuple(PLACEHOLDER.findall(text))


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
    """Note every placeholder of the sheet that no input fills, once for each text."""
    for path, text in _texts(sheet, texts):
        for name in dict.fromkeys(PLACEHOLDER.findall(text)):
            if name not in given and not sheet.source.full:
                _missing_input(sheet, _place_of(sheet, path, name), name, given)


def _missing_input(sheet: Sheet, place: Place, name: str, given: Mapping[str, str]) -> None:
    where = f"{sheet.source.file}:{place.line}:{place.column}"
    flag = "the goal" if name == GOAL else f"--input {name}=..."
    near = closest(name, given)
    hint = f"give it with {flag}" + (f"; {near}" if near else "")
    sheet.source.error(place, f"missing input '{name}' used in {where}", hint)


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


def _texts(sheet: Sheet, texts: tuple[tuple[str, ...], ...]) -> Iterator[tuple[Path, str]]:
    for name, table in sheet.data.items():
        for keys in texts:
            value: JsonValue = table
            for key in keys:
                value = value.get(key) if isinstance(value, dict) else None
            if isinstance(value, str):
                yield (name, *keys), value


def _place_of(sheet: Sheet, path: Path, name: str) -> Place:
    """Where a placeholder first stands in the text; the text itself if escapes hide it."""
    whole, written = sheet.place(*path), f"{{{name}}}"
    start = sheet.source.text.find(written, whole.start, whole.end)
    if start < 0:
        return whole
    before = lines_of(sheet.source.text[:start])
    end = start + len(written)
    return Place(len(before), len(before[-1]) + 1, len(written), start, end)
