"""What does a plan grant: which tools, paths, hosts and amounts? And is that more than before?

A plan that is made before anything of others was read is the ceiling of the run: a later one may shrink it, and a
human is asked about one that is wider.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from crews.records.rows import ReturnField
from crews.safety.grants import narrow, narrow_paths
from crews.safety.labels import AIMED
from crews.teams.spec import AgentSpec, TeamSpec
from crews.tools.gate import AnyTool

if TYPE_CHECKING:
    from crews.runtime.planning import Step

ANY = "any"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one step may use; never more than its agent has."""

    tools: frozenset[str]
    paths: tuple[str, ...]
    hosts: tuple[str, ...] | None
    amount: Decimal | None
    targets: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """`TOOL.ARGUMENT`, or `TOOL` -> every value that it will need; what is not there is not known yet."""
    returns: tuple[ReturnField, ...] = ()


NO_TOOLS: Mapping[str, AnyTool] = {}


def as_granted(
    names: Iterable[str], granted: Iterable[str], registered: Mapping[str, AnyTool]
) -> tuple[str, ...]:
    """The names as the team's files have them: a model knows a tool by the name that it calls itself."""
    own = {registered[name].name: name for name in granted if name in registered}
    return tuple(own.get(name, name) for name in names)


def of_step(step: Step, agent: AgentSpec, registered: Mapping[str, AnyTool] = NO_TOOLS) -> Bounds:
    """What the step asks for; `registered`: the tools, by the names that the team's files have for them.

    Raises:
        GrantExceeded: It asks for a tool or a path that its agent has not.
    """
    named = as_granted(step.tools or (), agent.tools, registered)
    return Bounds(
        tools=narrow(agent.tools, agent.tools if step.tools is None else named),
        paths=narrow_paths(
            agent.oversight.write_paths,
            agent.oversight.write_paths if step.paths is None else step.paths,
        ),
        hosts=step.hosts,
        amount=step.amount,
        targets=step.targets,
        returns=step.returns,
    )


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the steps of a plan grant together, of what leaves the run."""

    tools: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    closed: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Arguments that every step with the tool closes -> all values that they may get."""
    amount: Decimal | None = Decimal(0)
    """None: there is no bound."""

    def beyond(self, other: Ceiling) -> str:
        """What this one grants that the other does not; empty: nothing."""
        found = sorted(self.tools - other.tools)
        if ANY not in other.hosts:
            found += sorted(f"host {host}" for host in self.hosts - other.hosts)
        found += sorted(
            f"{name} beyond {', '.join(sorted(values)) or 'nothing'}"
            for name, values in other.closed.items()
            if _tool(name) in self.tools & other.tools and not self._closes(name, values)
        )
        if other.amount is not None and (self.amount is None or self.amount > other.amount):
            found.append("any amount" if self.amount is None else f"amounts up to {self.amount}")
        return ", ".join(found)

    def _closes(self, name: str, values: frozenset[str]) -> bool:
        """Is it closed here, to no more than these values?"""
        return name in self.closed and self.closed[name] <= values


def ceiling(steps: Iterable[Step], team: TeamSpec, registered: Mapping[str, AnyTool]) -> Ceiling:
    """What a plan grants. Only steps with tools that leave the run count."""
    found = [of_step(step, team.agent(step.agent), registered) for step in steps]
    uses = [(bounds, _aimed(bounds, registered)) for bounds in found]
    uses = [(bounds, aimed) for bounds, aimed in uses if aimed]
    amounts = [bounds.amount for bounds, _ in uses]
    known = [amount for amount in amounts if amount is not None]
    return Ceiling(
        tools=frozenset(tool for _, aimed in uses for tool in aimed),
        hosts=frozenset(
            h for bounds, _ in uses for h in ((ANY,) if bounds.hosts is None else bounds.hosts)
        ),
        closed=_closed(uses),
        amount=max(known, default=Decimal(0)) if len(known) == len(amounts) else None,
    )


def _aimed(bounds: Bounds, registered: Mapping[str, AnyTool]) -> frozenset[str]:
    """Tools of a step that leave the run, by the names that they call themselves."""
    found = (registered[name] for name in bounds.tools if name in registered)
    return frozenset(tool.name for tool in found if tool.effect in AIMED)


def _closed(uses: list[tuple[Bounds, frozenset[str]]]) -> dict[str, frozenset[str]]:
    names = {name for bounds, _ in uses for name in bounds.targets}
    closed: dict[str, frozenset[str]] = {}
    for name in names:
        mine = [bounds.targets.get(name) for bounds, aimed in uses if _tool(name) in aimed]
        if mine and None not in mine:
            closed[name] = frozenset(value for values in mine for value in values or ())
    return closed


def _tool(name: str) -> str:
    return name.partition(".")[0]
