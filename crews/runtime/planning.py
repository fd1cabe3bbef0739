"""What is the plan, how far is it, and what may be delegated next? Reads of the journal; no state of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import Field, WithJsonSchema

from crews.records.journal import Journal
from crews.records.rows import ReturnField, ThreadRow
from crews.runtime.bounds import NO_TOOLS, Ceiling, ceiling, of_step
from crews.runtime.knowing import exposure_at
from crews.runtime.scene import Scene
from crews.safety.bounds import LONG_TEXT, SHORT_TEXT
from crews.safety.grants import GrantExceeded
from crews.safety.known import ENGINES_OWN
from crews.teams.spec import TeamSpec
from crews.tools.base import Args, Preview, Tool, ToolContext, ToolError, ToolResult
from crews.tools.gate import AnyTool
from crews.tools.registry import TOOL_NAMES

MOST_STEPS = 50

StepId = Annotated[
    str,
    Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"),
    WithJsonSchema({"type": "string"}),
]


class Step(Args):
    """One step of a plan."""

    id: StepId
    agent: Annotated[str, Field(max_length=SHORT_TEXT)]
    task: Annotated[str, Field(min_length=1, max_length=LONG_TEXT)]
    expected_output: Annotated[str, Field(max_length=LONG_TEXT)]
    acceptance: Annotated[
        str, Field(max_length=LONG_TEXT, description="how to see that it is done")
    ] = ""
    depends_on: Annotated[tuple[StepId, ...], Field(max_length=MOST_STEPS)] = ()
    tools: Annotated[
        tuple[str, ...] | None,
        Field(description="default: all of its agent's"),
    ] = None
    paths: Annotated[
        tuple[str, ...] | None, Field(description="globs that it may write; default: its agent's")
    ] = None
    hosts: Annotated[
        tuple[str, ...] | None, Field(description="it reaches, like *.example.org")
    ] = None
    targets: Annotated[
        dict[str, tuple[str, ...]],
        Field(
            description="TOOL.ARGUMENT: every recipient, account, id, link or amount it gets, if all are known",
            max_length=20,
        ),
    ] = {}
    amount: Annotated[
        Decimal | None,
        Field(ge=0, description="the most that one call pays or orders"),
        WithJsonSchema({"type": "number"}),
    ] = None
    returns: Annotated[
        tuple[ReturnField, ...],
        Field(
            max_length=20,
            description="it only reads, and hands over these values and no word that it read",
        ),
    ] = ()


class PlanArgs(Args):
    """A whole plan; a new one replaces the old."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)]


@dataclass(frozen=True, slots=True)
class Plan:
    """The newest plan of a supervisor's thread, and the delegations that were made."""

    steps: tuple[Step, ...]
    delegations: tuple[ThreadRow, ...]

    def step(self, name: str) -> Step | None:
        """The step of that id."""
        return next((s for s in self.steps if s.id == name), None)

    def latest(self, step: str) -> ThreadRow | None:
        """The newest delegation of a step."""
        return next((t for t in reversed(self.delegations) if t.step == step), None)

    def finished(self, step: str) -> bool:
        """Has a delegation of the step handed over?"""
        thread = self.latest(step)
        return thread is not None and thread.state == "done"

    def blocked_by(self, step: Step) -> tuple[str, ...]:
        """Dependencies that have not handed over."""
        return tuple(d for d in step.depends_on if not self.finished(d))

    def ready(self) -> tuple[Step, ...]:
        """Steps that were never delegated and that nothing holds back."""
        return tuple(s for s in self.steps if self.latest(s.id) is None and not self.blocked_by(s))


def current_plan(journal: Journal, path: str) -> Plan | None:
    """The plan that the supervisor's thread works by; None: it has made none."""
    made = [c for c in journal.calls(path) if c.tool == PlanTool.name and c.state == "done"]
    if not made:
        return None
    steps = PlanArgs.model_validate(made[-1].args).steps
    prefix = path.rstrip("/") + "/"
    threads = journal.threads()
    mine = tuple(t for t in threads if t.kind == "delegation" and t.path.startswith(prefix))
    return Plan(steps, mine)


_OF_STRANGERS = frozenset({"hosts", "targets", "amount"})


def _meets_strangers(team: TeamSpec) -> bool:
    """Can the team reach beyond its run? Only tools from outside do, and egress."""
    named = {name for agent in team.agents for name in agent.tools}
    return bool(team.policy.egress) or not named <= TOOL_NAMES


class PlanTool(Tool[PlanArgs]):
    """Writes the plan down."""

    name = "plan"
    description = "Lay out the work in few steps, each for one agent. A new plan replaces the old."
    effect = "read"
    inner = True
    declared = ENGINES_OWN
    args = PlanArgs
    review_kind = "plan"
    planning = True

    def __init__(
        self,
        team: TeamSpec,
        beside: Beside | None = None,
        registered: Mapping[str, AnyTool] = NO_TOOLS,
    ) -> None:
        self._team = team
        self._beside = beside
        self._registered = registered
        self.unsaid = frozenset() if _meets_strangers(team) else _OF_STRANGERS

    def preview(self, args: PlanArgs, context: ToolContext) -> Preview:
        """Refuse a plan that cannot be carried out, before anybody is asked about it."""
        _check(args.steps, self._team, self._registered)
        return self._beside(args, context) if self._beside else Preview()

    async def run(self, args: PlanArgs, context: ToolContext) -> ToolResult:
        """The plan is the call itself."""
        del context
        ready = [s.id for s in args.steps if not s.depends_on]
        return ToolResult(f"Planned. Ready now, delegate in one turn: {', '.join(ready)}.")


Beside = Callable[[PlanArgs, ToolContext], Preview]
"""How a plan stands to the one in force."""


def beside(scene: Scene, path: str, args: PlanArgs, context: ToolContext) -> Preview:
    """The plan in force, and what this one grants beyond it where text by others was read since."""
    before = current_plan(scene.journal, path)
    steps = tuple(s.model_dump(mode="json") for s in before.steps) if before else ()
    if exposure_at(scene.journal, context.call) not in {"workspace", "untrusted"}:
        return Preview(beside=steps)
    old = ceiling(before.steps, scene.team, scene.tools) if before else Ceiling()
    return Preview(wider=ceiling(args.steps, scene.team, scene.tools).beyond(old), beside=steps)


def _check(steps: Sequence[Step], team: TeamSpec, registered: Mapping[str, AnyTool]) -> None:
    ids = [s.id for s in steps]
    doubled = sorted({i for i in ids if ids.count(i) > 1})
    if doubled:
        raise ToolError(f"step ids must differ: {', '.join(doubled)}")
    able = {a.name for a in team.agents if a.oversight.duty in {"worker", "reviewer"}}
    for step in steps:
        if step.agent not in able:
            raise ToolError(
                f"step {step.id}: no agent `{step.agent}`; there are: {', '.join(sorted(able))}"
            )
        try:
            of_step(step, team.agent(step.agent), registered)
        except GrantExceeded as error:
            raise ToolError(f"step {step.id}: {error.what} {error.hint}") from error
        unknown = [d for d in step.depends_on if d not in ids]
        if unknown:
            raise ToolError(
                f"step {step.id} depends on steps that do not exist: {', '.join(unknown)}"
            )
    _check_acyclic(steps)


def _check_acyclic(steps: Sequence[Step]) -> None:
    left = {s.id: set(s.depends_on) for s in steps}
    while left:
        free = {i for i, needs in left.items() if not needs & left.keys()}
        if not free:
            raise ToolError(f"these steps wait for each other: {', '.join(sorted(left))}")
        for i in free:
            del left[i]
