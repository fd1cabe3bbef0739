"""Which team is in a folder, and what is wrong with it?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from pydantic import JsonValue, ValidationError

from crews.errors import TeamError, UsageError
from crews.teams.inputs import (
    AGENT_TEXTS,
    GOAL,
    TASK_TEXTS,
    check_inputs,
    filled_agent,
    filled_task,
    missing,
    named,
    placeholders,
)
from crews.teams.keys import AGENT, POLICY, TASK
from crews.teams.links import Sheets, as_tables, check_links, output_file_problem
from crews.teams.nodes import parse
from crews.teams.shape import Sheet, read_named, read_plain
from crews.teams.source import Place, Problem, Source, read_source, shown, source_of
from crews.teams.spec import AgentSpec, PolicySpec, TaskSpec, TeamSpec

__all__ = ["check_team", "fill", "find_team", "load_team", "placeholders"]

AGENTS_FILE = "agents.yaml"
TASKS_FILE = "tasks.yaml"
POLICY_FILE = "policy.yaml"

_MOST_KEPT = 16


class _Kept(NamedTuple):
    """A team that was loaded, as JSON: whoever gets it again gets one of their own."""

    team: str
    warnings: tuple[Problem, ...]


_KEPT: dict[Hashable, _Kept] = {}
"""All that a team depends on -> the team: the folder, what its files are called and hold, and the known tools."""
_KEEPING = Lock()


def load_team(folder: Path, *, known_tools: frozenset[str]) -> TeamSpec:
    """Read a team.

    Args:
        folder: Holds `agents.yaml`, `tasks.yaml` and, if there is one, `policy.yaml`.
        known_tools: Names that may stand under `tools:` beside `module:Class`.

    Raises:
        TeamError: with every error of all three files in `problems`, in the order of the files.
    """
    return load_with_warnings(folder, known_tools=known_tools)[0]


def load_with_warnings(
    folder: Path, *, known_tools: frozenset[str]
) -> tuple[TeamSpec, tuple[Problem, ...]]:
    """A team, as `load_team` reads it, and what may be wrong in it all the same."""
    sources = _sources(folder)
    known = (folder, folder.resolve(), *((one.file, one.text) for one in sources), known_tools)
    if not any(one.problems for one in sources) and (kept := _KEPT.get(known)) is not None:
        return TeamSpec.model_validate_json(kept.team), kept.warnings
    sheets = _read(sources, known_tools)
    team = None if _errors(sheets) else _built(folder, sheets)
    if team is None:
        raise _wrong(folder, _errors(sheets))
    _keep(known, team, _problems(sheets))
    return team, _problems(sheets)


def _keep(known: Hashable, team: TeamSpec, warnings: tuple[Problem, ...]) -> None:
    try:
        text = team.model_dump_json()
    except ValueError:
        return  # a path or a text that is no Unicode has no JSON
    if TeamSpec.model_validate_json(text) != team:
        return  # nor has a number without end
    with _KEEPING:
        if len(_KEPT) >= _MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[known] = _Kept(text, warnings)


def check_team(
    folder: Path, inputs: Mapping[str, str] | None = None, *, known_tools: frozenset[str]
) -> tuple[Problem, ...]:
    """Every error and warning of a team, in the order of the files; empty if all is well.

    Args:
        folder: As for `load_team`.
        inputs: What a run would be given, `goal` aside, which every run has. None: not looked at.
        known_tools: As for `load_team`.
    """
    sheets = _read(_sources(folder), known_tools)
    if not _errors(sheets):
        _built(folder, sheets)
    if inputs is not None:
        given = {GOAL: "", **inputs}
        check_inputs(sheets.agents, AGENT_TEXTS, given)
        check_inputs(sheets.tasks, TASK_TEXTS, given)
    return _problems(sheets)


def fill(team: TeamSpec, inputs: Mapping[str, str]) -> TeamSpec:
    """The team with every `{placeholder}` of its text replaced. Do it once: inputs may hold braces.

    Args:
        team: As loaded.
        inputs: Value of each placeholder, `goal` among them.

    Raises:
        TeamError: An input is missing (with the place where it is used), or makes an `output_file`
            leave the workspace.
    """
    filled = team.model_copy(update={
        "agents": tuple(filled_agent(agent, inputs) for agent in team.agents),
        "tasks": tuple(filled_task(task, inputs) for task in team.tasks),
    })  # fmt: skip
    texts = (team.sources.get(name, "") for name in (AGENTS_FILE, TASKS_FILE))
    wanted = {*placeholders(team), *(name for text in texts for name in named(text))}
    files = (task.output_file for task in filled.tasks if task.output_file is not None)
    if not wanted <= inputs.keys() or any(map(output_file_problem, files)):
        _check_filled(team, filled, inputs)
    return filled


def _check_filled(team: TeamSpec, filled: TeamSpec, inputs: Mapping[str, str]) -> None:
    """Raise TeamError with the places where something is wrong with the inputs, if it is."""
    agents, tasks = _reread(team, AGENTS_FILE), _reread(team, TASKS_FILE)
    check_inputs(agents, AGENT_TEXTS, inputs)
    check_inputs(tasks, TASK_TEXTS, inputs)
    if not (agents.source.problems or tasks.source.problems):
        # A team that was made without files has no places, but its inputs are needed all the same.
        for name in set(placeholders(team)).difference(inputs):
            tasks.source.error(Place(), f"missing input '{name}'", f"give it: --input {name}=...")
    for task in filled.tasks:
        if task.output_file is not None and (wrong := output_file_problem(task.output_file)):
            place = tasks.place(task.name, "output_file")
            message = f"'output_file' {wrong}, but becomes '{task.output_file}'"
            tasks.source.error(place, message, "give another input")
    problems = (*agents.source.problems, *tasks.source.problems)
    errors = tuple(p for p in problems if p.severity == "error")
    if errors:
        raise missing(team, errors)


def find_team(explicit: Path | str | None, cwd: Path) -> Path:
    """The folder of the team that is meant.

    Args:
        explicit: A folder, its `agents.yaml`, or the name of a team in `config/teams/`. None:
            `config` in the working directory if it holds a team, else the one of the package.
        cwd: The working directory.

    Raises:
        UsageError: There is no team at `explicit`.
    """
    if explicit is None:
        own = cwd / "config"
        return own if (own / AGENTS_FILE).is_file() else bundled()
    asked = cwd / explicit
    if asked.is_file() and asked.name == AGENTS_FILE:
        return asked.parent
    name = str(explicit)
    named = [base / "teams" / name for base in (cwd / "config", bundled())]
    for folder in (asked, *(named if name == Path(name).name else ())):
        if (folder / AGENTS_FILE).exists():
            return folder
    raise UsageError(
        f"there is no team in {shown(asked)}",
        where=shown(asked / AGENTS_FILE),
        hint=f"a team is a folder that holds agents.yaml and tasks.yaml; {shown(bundled())} is one to copy",
    )


@cache
def bundled() -> Path:
    """The default team: inside the package where it was installed, else in the repository."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_config"
    return installed if installed.is_dir() else package.parent / "config"


def _sources(folder: Path) -> tuple[Source, Source, Source]:
    agents, tasks = read_source(folder / AGENTS_FILE), read_source(folder / TASKS_FILE)
    path = folder / POLICY_FILE
    # A link that leads nowhere is not an absent policy: reading it says what is wrong.
    if path.exists() or path.is_symlink() or path.with_suffix(".yml").exists():
        return agents, tasks, read_source(path)
    return agents, tasks, source_of(shown(path), "")


def _read(sources: tuple[Source, Source, Source], known_tools: frozenset[str]) -> Sheets:
    agents, tasks, policy = sources
    sheets = Sheets(
        read_named(agents, parse(agents), AGENT, "agents"),
        read_named(tasks, parse(tasks), TASK, "tasks"),
        read_plain(policy, parse(policy), POLICY),
    )
    check_links(sheets, known_tools)
    return sheets


def _reread(team: TeamSpec, file: str) -> Sheet:
    """A file of a loaded team, from its snapshot: only its places are of interest."""
    source = source_of(shown(team.folder / file), team.sources.get(file, ""))
    fields, noun = (AGENT, "agents") if file == AGENTS_FILE else (TASK, "tasks")
    sheet = read_named(source, parse(source), fields, noun)
    source.problems.clear()
    return sheet


def _problems(sheets: Sheets) -> tuple[Problem, ...]:
    return tuple(
        problem
        for sheet in sheets
        for problem in sorted(sheet.source.problems, key=lambda p: (p.line, p.column))
    )


def _errors(sheets: Sheets) -> tuple[Problem, ...]:
    return tuple(problem for problem in _problems(sheets) if problem.severity == "error")


def _wrong(folder: Path, errors: tuple[Problem, ...]) -> TeamError:
    count = len(errors)
    return TeamError(
        f"the team has {count} error{'s' if count > 1 else ''}",
        problems=errors,
        where=shown(folder),
        hint="\n".join(problem.render() for problem in errors),
    )


def _built(folder: Path, sheets: Sheets) -> TeamSpec | None:
    """The team; None, with the problem noted, if the values are not what `spec` demands."""
    files = ((AGENTS_FILE, sheets.agents), (TASKS_FILE, sheets.tasks), (POLICY_FILE, sheets.policy))
    current: Source = sheets.agents.source
    try:
        agents = tuple(AgentSpec.model_validate(v) for v in _named(sheets.agents))
        current = sheets.tasks.source
        tasks = tuple(TaskSpec.model_validate(v) for v in _named(sheets.tasks))
        current = sheets.policy.source
        policy = PolicySpec.model_validate(_policy_values(sheets.policy))
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        current.error(Place(), f"{at}: {first['msg']}", "correct the value")
        return None
    return TeamSpec(
        name=_name(folder),
        folder=folder.resolve(),
        agents=agents,
        tasks=tasks,
        policy=policy,
        sources={name: sheet.source.text for name, sheet in files if sheet.source.text},
    )


def _named(sheet: Sheet) -> list[dict[str, JsonValue]]:
    return [{**value, "name": name} for name, value in as_tables(sheet.data)]


def _policy_values(sheet: Sheet) -> dict[str, JsonValue]:
    """The file's values as the spec has them: each chain and tool knows its name."""
    chains = sheet.data.get("chains")
    named: list[JsonValue] = [
        {"name": name, "stages": stages}
        for name, stages in (chains.items() if isinstance(chains, dict) else ())
    ]
    tools = sheet.data.get("tools")
    known: list[JsonValue] = [
        {**keys, "name": name} for name, keys in as_tables(tools if isinstance(tools, dict) else {})
    ]
    return {**sheet.data, "chains": named, "tools": known}


def _name(folder: Path) -> str:
    """A team is called like its folder; the one that comes with the package is the default one."""
    place = folder.resolve()
    return "default" if place == bundled().resolve() else place.name or "team"
