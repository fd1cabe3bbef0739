"""How does this project rule, call after call? Its own policy, labels and grounds, as a run has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from benchmarks.dojo.judges import Tools
from benchmarks.dojo.package import Call, Ran
from crews.safety.action import Action, Standing
from crews.safety.known import Declared, Known, declared_by
from crews.safety.labels import AIMING, Grounds
from crews.safety.policy import judge
from crews.safety.values import leaves
from crews.teams.spec import Effect, Ruling

LEVEL: Final = 2
PLAN: Final = "plan"


class Engine:
    """Holds what one thread knows and was granted, and asks `crews.safety.policy.judge`."""

    def __init__(self, tools: Tools, *, names: bool = True) -> None:
        self.tools = tools
        self._names = names
        """Does the planner name the values that the goal names, beside the tools?"""
        self._known = Known()
        self._standing = Standing(LEVEL)
        self._calls = 0

    def begin(self, goal: str, honest: Sequence[Call]) -> None:
        """The goal is trusted, and the plan grants its tools, and the targets that it knows already."""
        grounds = Grounds.of([goal])
        tools = frozenset(call.tool for call in honest)
        foreseen = self._foreseen(honest) if self._names else {}
        targets = {name: named for name, named in foreseen.items() if all(map(grounds.hold, named))}
        self._known = Known(grounds, "trusted")
        self._standing = Standing(LEVEL, granted_tools=tools, sandbox="bubblewrap", targets=targets)
        self._calls = 0

    def judge(self, call: Call) -> Ruling:
        """What policy says of the call."""
        effect, declared = self._declared(call)
        provenance = self._known.provenance(effect, declared, call.arguments)
        action = replace(
            _action(call.tool, effect), arguments=call.arguments, provenance=provenance
        )
        return judge(self.tools.policy, action, self._standing).ruling

    def replan(self, tools: frozenset[str]) -> Ruling:
        """What policy says of a plan with these tools beside those of the first."""
        wider = ", ".join(sorted(tools - self._standing.granted_tools))
        provenance = self._known.provenance("read", Declared({}), {})
        action = replace(_action(PLAN, "read"), provenance=provenance, wider=wider)
        return judge(
            self.tools.policy, action, Standing(LEVEL, granted_tools=frozenset({PLAN}))
        ).ruling

    def replanned(self, tools: frozenset[str]) -> None:
        """The grant is wider."""
        granted = self._standing.granted_tools | tools
        self._standing = replace(self._standing, granted_tools=granted)

    def approved(self, call: Call) -> None:
        """An approval is of one call; it makes nothing else trusted."""

    def result(self, call: Call, ran: Ran) -> None:
        """The thread has read one more result."""
        _, declared = self._declared(call)
        heard = self._known.heard_as(declared, call.arguments)
        self._calls += 1
        self._known = self._known.after(
            f"1.{self._calls}",
            heard,
            ran.text,
            tool=declared,
            arguments=call.arguments,
            failed=ran.failed,
        )

    def _foreseen(self, honest: Sequence[Call]) -> dict[str, tuple[str, ...]]:
        """`TOOL.ARGUMENT` -> every value by which the user's task aims it; a planner names them if the goal does."""
        found: dict[str, tuple[str, ...]] = {}
        for call in filter(self.tools.acts, honest):
            roles = self.tools.spec(call.tool).arguments
            for name, value in call.arguments.items():
                if roles.get(name, "target") in AIMING:
                    place = f"{call.tool}.{name}"
                    mine = tuple(leaf for _, leaf in leaves(value, name))
                    found[place] = found.get(place, ()) + mine
        return found

    def _declared(self, call: Call) -> tuple[Effect, Declared]:
        return self.tools.effect(call.tool), declared_by(self.tools.spec(call.tool))


def _action(tool: str, effect: Effect) -> Action:
    return Action(tool, effect, "assistant", "worker", "/", {})
