"""Is a team right, what is in it, and what may be?"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.common import Json
from crews.errors import UsageError

if TYPE_CHECKING:
    from crews.teams.source import Problem
    from crews.teams.spec import Limits, PolicySpec, Queueing, Rule, TeamSpec


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("check")(check)
    app.command("schema")(schema)


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
    from crews.tools.registry import TOOL_NAMES

    with _without_plugins():
        from crews.teams.loader import find_team, load_with_warnings

        folder = find_team(team, Path.cwd())
        spec, warnings = load_with_warnings(folder, known_tools=TOOL_NAMES)
    if json:
        put_json(_as_json(spec, warnings))
        return
    for problem in warnings:
        say(plain(problem.render()))
    put(plain(described(spec)))


@contextmanager
def _without_plugins() -> Generator[None]:
    """Have pydantic look for no plugins: it asks every installed package, and none has a part in a team."""
    name = "PYDANTIC_DISABLE_PLUGINS"
    said = os.environ.get(name)
    os.environ[name] = "__all__"
    try:
        yield
    finally:
        if said is None:
            del os.environ[name]
        else:
            os.environ[name] = said


def schema(
    file: Annotated[str, typer.Argument(metavar="FILE", help="agents, tasks or policy.")],
    json: Json = False,
) -> None:
    """Print the JSON Schema of one of a team's files, for editors."""
    from json import dumps

    from crews.cli.output import put, put_json
    from crews.teams.schema import SCHEMAS

    name = Path(file).name.removesuffix(".yaml")
    if name not in SCHEMAS:
        raise UsageError(f"there is no schema of `{file}`", hint=", ".join(SCHEMAS))
    found = SCHEMAS[name]()
    if json:
        put_json(found)
    else:
        put(dumps(found, indent=2))


def _as_json(team: TeamSpec, problems: tuple[Problem, ...]) -> dict[str, Any]:
    declared = team.model_dump(mode="json", exclude={"sources"})
    return {"ok": True, "team": declared, "warnings": [p.as_json() for p in problems]}


def described(team: TeamSpec) -> str:
    """A team in a few lines."""
    from crews.cli.output import table

    policy = team.policy
    agents = [[a.name, a.oversight.duty, a.llm, ", ".join(a.tools) or "none"] for a in team.agents]
    tasks = [[t.name, t.agent or "the supervisor", ", ".join(t.context)] for t in team.tasks]
    rules = [[r.name, r.ruling, _decided_by(r, policy)] for r in policy.rules]
    blocks = [
        f"team {team.name} in {team.folder} is right",
        table(["agent", "duty", "model", "tools"], agents),
        table(["task", "done by", "after"], tasks),
        table(["rule", "ruling", "decided by"], rules) if rules else "no rules of its own",
        f"autonomy {_autonomy(policy.autonomy)}, sandbox {policy.sandbox}, "
        f"at most {policy.max_parallel} delegations at once",
        f"limits of a run: {_limits(policy.limits)}\n"
        f"limits of a delegation: {_limits(policy.delegation)}\n"
        f"a day: {f'${policy.daily.money}' if policy.daily.money else 'no limit'}\n"
        f"queue: {_queue(policy.queue)}",
    ]
    if policy.chains:
        blocks.insert(4, table(["chain", "asks", "within", "reminds every"], _stages(policy)))
    return "\n\n".join(blocks)


def _decided_by(rule: Rule, policy: PolicySpec) -> str:
    if rule.ruling != "ask":
        return "-"
    chain = policy.chain(rule.chain)
    who = rule.role or "anyone"
    if chain:
        named = f", as {rule.role}" if rule.role and not chain.stages[0].role else ""
        who = f"the chain {chain.name}{named}"
    return f"{who}, not who started the run" if rule.four_eyes else who


def _stages(policy: PolicySpec) -> list[list[str]]:
    return [
        [
            chain.name,
            stage.role or ("as before" if index else "whom the rule names"),
            _span(stage.within),
            _span(stage.remind) if stage.remind else "never",
        ]
        for chain in policy.chains
        for index, stage in enumerate(chain.stages)
    ]


def _span(seconds: float) -> str:
    """A time as it may be written in `policy.yaml`."""
    from crews.teams.keys import SECONDS

    if seconds != int(seconds):
        return f"{seconds:g}s"
    left, text = int(seconds), ""
    for unit, worth in sorted(SECONDS.items(), key=lambda u: -u[1]):
        count, left = divmod(left, worth)
        text += f"{count}{unit}" if count else ""
    return text


def _queue(queue: Queueing) -> str:
    runs = (
        f"at most {queue.concurrency} runs at once" if queue.concurrency else "any number of runs"
    )
    starts = f", {queue.starts} starts in {_span(queue.per)}" if queue.starts else ""
    return f"{runs}{starts}, priority {queue.priority}"


def _autonomy(level: int) -> str:
    from crews.teams.spec import LEVELS

    return f"{level} ({LEVELS[level]})"


def _limits(limits: Limits) -> str:
    found = [
        f"${value}" if key == "money" else f"{value:g} s" if key == "wall_seconds" else
        f"{value:,} {key}"
        for key, value in limits
        if value is not None
    ]  # fmt: skip
    return ", ".join(found) or "none: nothing stops its spending; write `limits:` in policy.yaml"
