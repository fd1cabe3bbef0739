"""What does a plain action, standing or rule look like, to which a test adds what it is about?"""

from __future__ import annotations

from decimal import Decimal

from pydantic import JsonValue

from crews.safety.action import Action, FileChange, Standing
from crews.teams.spec import Duty, Effect, Match, PolicySpec, Rule, Ruling


def change(path: str, before: str | None, after: str | None) -> FileChange:
    return FileChange(path, before, after)


def action(
    effect: Effect = "read",
    *,
    tool: str = "tool",
    agent: str = "ann",
    duty: Duty = "worker",
    arguments: dict[str, JsonValue] | None = None,
    paths: tuple[str, ...] = (),
    changes: tuple[FileChange, ...] = (),
    command: str = "",
    confidence: float | None = None,
    delegation: bool = False,
) -> Action:
    return Action(
        tool=tool,
        effect=effect,
        agent=agent,
        duty=duty,
        thread="/",
        arguments=arguments or {},
        paths=paths,
        changes=changes,
        command=command,
        confidence=confidence,
        delegation=delegation,
    )


def write(path: str, after: str | None = "x = 1\n", before: str | None = None) -> Action:
    return action("write", changes=(change(path, before, after),))


def standing(
    autonomy: int = 2,
    *,
    observe: bool = False,
    write_paths: tuple[str, ...] = ("**",),
    spent: Decimal = Decimal(0),
    sandbox: str = "bubblewrap",
    protected: tuple[str, ...] = (),
    granted: frozenset[str] = frozenset({"tool"}),
) -> Standing:
    return Standing(
        autonomy=autonomy,
        observe=observe,
        granted_tools=granted,
        write_paths=write_paths,
        spent=spent,
        sandbox=sandbox,
        protected=protected,
    )


def rule(name: str, ruling: Ruling, when: Match | None = None, **rest: str) -> Rule:
    return Rule.model_validate({"name": name, "ruling": ruling, "when": when or Match(), **rest})


def policy(*rules: Rule) -> PolicySpec:
    return PolicySpec(rules=rules)
