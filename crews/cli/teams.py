"""Is a team right, and what is in it?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.common import Json

if TYPE_CHECKING:
    from crews.teams.source import Problem
    from crews.teams.spec import Limits, TeamSpec


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check")(check)


def check(
    team: Annotated[
        str | None,
        typer.Argument(metavar="TEAM", help="A team. Default: ./config, else the bundled one."),
    ] = None,
    json: Json = False,
) -> None:
    """Say what is wrong in a team's files, or what they declare."""
    from crews.cli.output import put, put_json, say
    from crews.plain import plain
    from crews.teams.loader import check_team, find_team, load_team
    from crews.tools.registry import TOOL_NAMES

    folder = find_team(team, Path.cwd())
    spec = load_team(folder, known_tools=TOOL_NAMES)
    warnings = check_team(folder, known_tools=TOOL_NAMES)
    if json:
        put_json(_as_json(spec, warnings))
        return
    for problem in warnings:
        say(plain(problem.render()))
    put(plain(described(spec)))


def _as_json(team: TeamSpec, problems: tuple[Problem, ...]) -> dict[str, Any]:
    declared = team.model_dump(mode="json", exclude={"sources"})
    return {"ok": True, "team": declared, "warnings": [p.as_json() for p in problems]}


def described(team: TeamSpec) -> str:
    """A team in a few lines."""
    from crews.cli.output import table

    policy = team.policy
    agents = [[a.name, a.oversight.duty, a.llm, ", ".join(a.tools) or "none"] for a in team.agents]
    tasks = [[t.name, t.agent or "the supervisor", ", ".join(t.context)] for t in team.tasks]
    rules = [[r.name, r.ruling, r.role or "anyone"] for r in policy.rules]
    blocks = [
        f"team {team.name} in {team.folder} is right",
        table(["agent", "duty", "model", "tools"], agents),
        table(["task", "done by", "after"], tasks),
        table(["rule", "ruling", "decided by"], rules) if rules else "no rules of its own",
        f"autonomy {_autonomy(policy.autonomy)}, sandbox {policy.sandbox}, "
        f"at most {policy.max_parallel} delegations at once",
        f"limits of a run: {_limits(policy.limits)}\n"
        f"limits of a delegation: {_limits(policy.delegation)}",
    ]
    return "\n\n".join(blocks)


def _autonomy(level: int) -> str:
    from crews.safety.autonomy import name

    return f"{level} ({name(level)})"


def _limits(limits: Limits) -> str:
    found = [
        f"${value}" if key == "money" else f"{value:g} s" if key == "wall_seconds" else
        f"{value:,} {key}"
        for key, value in limits
        if value is not None
    ]  # fmt: skip
    return ", ".join(found) or "none: nothing stops its spending; write `limits:` in policy.yaml"
