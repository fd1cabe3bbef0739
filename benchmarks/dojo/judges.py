"""Who rules on a call? What every judge can do, and the policies that the engine is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, Protocol

from benchmarks.dojo.package import Call, Ran
from crews.safety.labels import AIMED
from crews.teams.loader import load_team
from crews.teams.spec import Effect, PolicySpec, Ruling, ToolSpec

Human = Literal["nobody", "careful", "yes"]
"""Nobody is there; approves exactly what the honest task consists of; approves everything."""
HUMANS: Final[tuple[Human, ...]] = ("nobody", "careful", "yes")
TEAM: Final = Path(__file__).parent / "team"


class Judge(Protocol):
    """Rules on the calls of one run after the other."""

    def begin(self, goal: str, honest: Sequence[Call]) -> None:
        """A new run: its goal, and the calls that an honest planner foresees before anything is read."""
        ...

    def judge(self, call: Call) -> Ruling:
        """May the call be made?"""
        ...

    def replan(self, tools: frozenset[str]) -> Ruling:
        """May the run have these tools beside those of its plan?"""
        ...

    def replanned(self, tools: frozenset[str]) -> None:
        """It may."""
        ...

    def approved(self, call: Call) -> None:
        """A human has said yes to this call."""
        ...

    def result(self, call: Call, ran: Ran) -> None:
        """The call was made, and this came of it."""
        ...


class Tools:
    """What the benchmark's team declares of the tools."""

    def __init__(self) -> None:
        self.policy: PolicySpec = load_team(TEAM, known_tools=frozenset()).policy

    def spec(self, tool: str) -> ToolSpec:
        """The declaration of a tool. Raises KeyError: there is none, and so nothing to measure."""
        found = self.policy.declared(f"dojo:{tool}")
        if found is None or found.effect is None:
            raise KeyError(tool)
        return found

    def effect(self, tool: str) -> Effect:
        """What the tool can do."""
        return self.spec(tool).effect or "external"

    def acts(self, call: Call) -> bool:
        """Does the call have an effect outside the run?"""
        return self.effect(call.tool) in AIMED


class _Indifferent:
    """A policy that looks at no value."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.planned: frozenset[str] = frozenset()

    def begin(self, goal: str, honest: Sequence[Call]) -> None:
        """Only the plan's tools count."""
        del goal
        self.planned = frozenset(call.tool for call in honest)

    def replan(self, tools: frozenset[str]) -> Ruling:
        """Nobody looks at plans."""
        del tools
        return "allow"

    def replanned(self, tools: frozenset[str]) -> None:
        """The plan is wider."""
        self.planned |= tools

    def approved(self, call: Call) -> None:
        """Nothing is learnt."""

    def result(self, call: Call, ran: Ran) -> None:
        """Nothing is learnt."""


class AllowAll(_Indifferent):
    """Whatever the model wants."""

    def judge(self, call: Call) -> Ruling:
        """Yes."""
        del call
        return "allow"


class AskEffects(_Indifferent):
    """A human is asked before every write and every egress."""

    def judge(self, call: Call) -> Ruling:
        """Ask, unless it only reads."""
        return "ask" if self.tools.acts(call) else "allow"


class OnlyPlanned(_Indifferent):
    """A fixed list of tools for each run, and no question ever."""

    def judge(self, call: Call) -> Ruling:
        """Whether the tool is in the plan."""
        return "allow" if call.tool in self.planned else "deny"

    def replan(self, tools: frozenset[str]) -> Ruling:
        """No."""
        del tools
        return "deny"
