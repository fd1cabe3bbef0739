"""What may each agent of a team do, by which arguments is it aimed, and what does policy say of it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.common import Json
from crews.errors import UsageError

if TYPE_CHECKING:
    from crews.safety.action import Action, Verdict
    from crews.safety.known import Declared
    from crews.teams.spec import AgentSpec, Effect, TeamSpec


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("explain")(explain)


def explain(
    team: Annotated[
        str | None,
        typer.Argument(metavar="TEAM", help="A team. Default: ./config, else the bundled one."),
    ] = None,
    tool: Annotated[
        str | None, typer.Option("--tool", metavar="NAME", help="Only this tool.")
    ] = None,
    json: Json = False,
) -> None:
    """Say what each tool does, what its arguments decide, and what would be asked about.

    Nothing is run or loaded: of a tool from outside only what policy.yaml declares is known.
    """
    from crews.cli.output import put, put_json
    from crews.plain import plain
    from crews.teams.loader import find_team, load_team
    from crews.tools.registry import TOOL_NAMES

    spec = load_team(find_team(team, Path.cwd()), known_tools=TOOL_NAMES)
    tools = tuple(_tools(spec))
    if tool is not None:
        known = ", ".join(found.name for found in tools) or "none"
        tools = tuple(found for found in tools if found.name == tool)
        if not tools:
            raise UsageError(f"no agent has the tool `{tool}`", hint=f"there are: {known}")
    uses = tuple(use for found in tools for use in _uses(spec, found))
    if json:
        put_json({"team": spec.name, "tools": [_tool_json(t) for t in tools], "uses": list(uses)})
        return
    put(plain(_described(spec, tools, uses)))


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    effect: Effect
    declared: Declared
    arguments: tuple[str, ...]
    """Those that are known."""
    outside: bool


@dataclass(frozen=True, slots=True)
class Use:
    """What policy says of a tool in an agent's hands."""

    agent: str
    tool: str
    effect: str
    named: str
    """Where every target and amount is named by somebody who is trusted."""
    read: str
    """Where one is not, and the agent has read what others wrote."""


def _tools(team: TeamSpec) -> Iterator[_Tool]:
    from crews.safety.known import UNDECLARED, declared_by
    from crews.tools.registry import build

    own = build(_no_results)
    for name in sorted({t for a in team.agents for t in a.tools}):
        if (tool := own.get(name)) is not None:
            fields = tuple(tool.args.model_fields)
            yield _Tool(name, tool.effect, tool.declared, fields, outside=False)
            continue
        # A tool's own name is known only once it is loaded: a declaration by that name is shown as it is.
        spec = team.policy.declared(name)
        declared = declared_by(spec) if spec else UNDECLARED
        effect = (spec.effect if spec else None) or "external"
        yield _Tool(name, effect, declared, tuple(declared.roles), outside=True)
    named = {t for a in team.agents for t in a.tools}
    for spec in team.policy.tools:
        if spec.name not in named:
            declared = declared_by(spec)
            effect = spec.effect or "external"
            yield _Tool(spec.name, effect, declared, tuple(declared.roles), outside=True)


def _no_results(thread: str, turn: int, place: int) -> None:
    del thread, turn, place


def _uses(team: TeamSpec, tool: _Tool) -> Iterator[Use]:
    for agent in team.agents:
        if tool.name in agent.tools:
            rulings = [_ruling(team, agent, tool, exposed=exposed) for exposed in (False, True)]
            yield Use(agent.name, tool.name, tool.effect, *rulings)


def _ruling(team: TeamSpec, agent: AgentSpec, tool: _Tool, *, exposed: bool) -> str:
    """What policy says of a call about which nothing else is known."""
    from crews.safety.action import Standing
    from crews.safety.grants import narrow_level
    from crews.safety.policy import judge

    standing = Standing(
        autonomy=narrow_level(team.policy.autonomy, agent.oversight.autonomy),
        granted_tools=frozenset({tool.name}),
        write_paths=agent.oversight.write_paths,
        sandbox="none" if team.policy.sandbox == "none" else "any",
    )
    return _in_words(judge(team.policy, _example(agent, tool, exposed=exposed), standing))


def _example(agent: AgentSpec, tool: _Tool, *, exposed: bool) -> Action:
    from crews.safety.action import Action, FileChange
    from crews.safety.labels import AIMED, AIMING, Origin, Provenance

    named = tool.arguments or ("its arguments",)
    roles = tool.declared.roles
    aims = tuple(
        Origin(a, roles.get(a, "target"), "...", grounded=not exposed)
        for a in named
        if tool.effect in AIMED and roles.get(a, "target") in AIMING
    )
    globs = [g for g in agent.oversight.write_paths if not g.startswith("!")]
    path = (globs or ["x"])[0].replace("**", "x").replace("*", "x").lstrip("/")
    changes = (FileChange(path, None, "x\n"),) if tool.effect == "write" else ()
    return Action(
        tool=tool.name,
        effect=tool.effect,
        agent=agent.name,
        duty=agent.oversight.duty,
        thread="/",
        arguments={},
        changes=changes,
        command="true" if tool.effect == "execute" else "",
        provenance=Provenance("untrusted" if exposed else "trusted", aims),
    )


def _in_words(verdict: Verdict) -> str:
    when = " with the changes" if verdict.deferred else ""
    return f"{verdict.ruling}{when} ({', '.join(verdict.asking or (verdict.rule,))})"


def _described(team: TeamSpec, tools: tuple[_Tool, ...], uses: tuple[Use, ...]) -> str:
    from crews.cli.output import table

    if not tools:
        return f"no agent of team {team.name} has a tool, beside those that plan, delegate and hand over"
    declared = [[t.name, t.effect, _arguments(t), _result(t)] for t in tools]
    rulings = [[u.agent, u.tool, u.effect, u.named, u.read] for u in uses]
    blocks = [
        table(["tool", "effect", "arguments", "result"], declared),
        table(["agent", "tool", "effect", "aimed by you", "aimed by what it read"], rulings),
        "A rule may say more of a certain path, content or amount; `crews check` lists the rules.",
    ]
    return "\n\n".join(blocks)


def _arguments(tool: _Tool) -> str:
    roles = tool.declared.roles
    said = [f"{name}: {roles.get(name, 'target')}" for name in tool.arguments]
    if tool.outside:
        said.append("any other: target" if said else "every one: target")
    return ", ".join(said)


def _result(tool: _Tool) -> str:
    declared = tool.declared
    if declared.fields:
        return f"{declared.result}, but {', '.join(declared.fields)}: trusted"
    return declared.result


def _tool_json(tool: _Tool) -> dict[str, Any]:
    roles = {name: tool.declared.roles.get(name, "target") for name in tool.arguments}
    return {
        "name": tool.name,
        "effect": tool.effect,
        "arguments": roles,
        "others": "target" if tool.outside else None,
        "result": tool.declared.result,
        "trusted_fields": list(tool.declared.fields),
        "outside": tool.outside,
    }
