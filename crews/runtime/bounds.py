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
    """Tool -> every target that it will need; a tool that is not there: they are not known yet."""
    returns: tuple[ReturnField, ...] = ()


def of_step(step: Step, agent: AgentSpec) -> Bounds:
    """What the step asks for.

    Raises:
        GrantExceeded: It asks for a tool or a path that its agent has not.
    """
    return Bounds(
        tools=narrow(agent.tools, agent.tools if step.tools is None else step.tools),
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
    targets: frozenset[tuple[str, str]] = frozenset()
    """Tool and target; `ANY`: a target that is not known yet."""
    amount: Decimal | None = Decimal(0)
    """None: there is no bound."""

    def beyond(self, other: Ceiling) -> str:
        """What this one grants that the other does not; empty: nothing."""
        found = sorted(self.tools - other.tools)
        if ANY not in other.hosts:
            found += sorted(f"host {host}" for host in self.hosts - other.hosts)
        known = {tool for tool, target in other.targets if target == ANY}
        found += sorted(
            f"{tool} to {'others' if target == ANY else target}"
            for tool, target in self.targets - other.targets
            if tool in other.tools and tool not in known
        )
        if other.amount is not None and (self.amount is None or self.amount > other.amount):
            found.append("any amount" if self.amount is None else f"amounts up to {self.amount}")
        return ", ".join(found)


def ceiling(steps: Iterable[Step], team: TeamSpec, registered: Mapping[str, AnyTool]) -> Ceiling:
    """What a plan grants. Only steps with tools that leave the run count."""
    whole = Ceiling()
    for step in steps:
        bounds = of_step(step, team.agent(step.agent))
        aimed = {n for n in bounds.tools if n in registered and registered[n].effect in AIMED}
        if not aimed:
            continue
        hosts = {ANY} if bounds.hosts is None else set(bounds.hosts)
        amounts = (whole.amount, bounds.amount)
        whole = Ceiling(
            whole.tools | aimed,
            whole.hosts | hosts,
            whole.targets | {(t, v) for t in aimed for v in bounds.targets.get(t, (ANY,))},
            None if None in amounts else max(a for a in amounts if a is not None),
        )
    return whole
