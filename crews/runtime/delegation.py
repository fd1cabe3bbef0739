"""How is a piece of work given to an agent, and what may be given to whom?"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import Field

from crews.errors import CrewsError
from crews.records import inbox
from crews.records.inbox import Question
from crews.records.questions import ReviewRow
from crews.records.rows import ThreadRow, child_path
from crews.runtime import prompts
from crews.runtime.bounds import Bounds, as_granted, ceiling, of_step
from crews.runtime.knowing import exposure_at, exposure_of
from crews.runtime.planning import Plan, Step, current_plan
from crews.runtime.scene import Scene
from crews.runtime.threads import for_delegation, open_thread
from crews.safety.autonomy import TEAM
from crews.safety.bounds import LONG_TEXT, MOST_DELEGATIONS, MOST_ENTRIES
from crews.safety.budget import share, tightest
from crews.safety.grants import narrow
from crews.safety.labels import Exposure, worst
from crews.teams.spec import AgentSpec, Limits, TeamSpec
from crews.tools.base import Args, NeedsReview, Tool, ToolContext, ToolError, ToolResult
from crews.tools.gate import AnyTool

Worker = Callable[[AgentSpec, ThreadRow, dict[str, AnyTool]], Awaitable[ThreadRow]]
"""Has a fresh agent work on a thread to its hand-over."""


class DelegateArgs(Args):
    """A step of the plan, or a piece of work beyond it."""

    step: Annotated[str, Field(description="its id")] = ""
    note: Annotated[
        str, Field(max_length=LONG_TEXT, description="what else its agent must know")
    ] = ""
    context: Annotated[
        tuple[str, ...],
        Field(
            max_length=MOST_ENTRIES,
            description="steps whose hand-overs it gets beside its `depends_on`",
        ),
    ] = ()
    agent: str = ""
    task: Annotated[str, Field(max_length=LONG_TEXT)] = ""
    expected_output: Annotated[str, Field(max_length=LONG_TEXT)] = ""
    tools: Annotated[
        tuple[str, ...] | None,
        Field(description="default: all of its agent's"),
    ] = None
    budget_share: Annotated[
        float | None, Field(gt=0, le=1, description="of its limits; default: all")
    ] = None


class DelegateTool(Tool[DelegateArgs]):
    """Gives work to an agent and returns its hand-over."""

    name = "delegate"
    description = (
        "Have an agent work, and get its hand-over: on a `step` of the plan, or else, beyond the plan, on a "
        "`task` with `agent` and `expected_output`."
    )
    effect = "read"
    args = DelegateArgs
    repeatable = True
    planning = True

    def __init__(self, scene: Scene, path: str, worker: Worker) -> None:
        self._scene = scene
        self._path = path
        self._worker = worker

    async def run(self, args: DelegateArgs, context: ToolContext) -> ToolResult:
        """Open or find the delegation's thread, and have it worked on."""
        thread_path = _child(context.call)
        if (found := self._scene.journal.thread(thread_path)) is not None:
            return await self._work(found)
        plan = current_plan(self._scene.journal, self._path)
        if plan is None:
            raise ToolError("make a `plan` first")
        if len(plan.delegations) >= MOST_DELEGATIONS:
            raise ToolError(
                f"{MOST_DELEGATIONS} delegations were made: no more. Finish with what there is."
            )
        step = self._step(args, plan)
        self._check_ready(step, plan, context)
        if args.step == "" and (
            self._scene.options.autonomy < TEAM or self._steered(step, context)
        ):
            raise NeedsReview(_beyond_plan(args, step, plan, context))
        self._check_rework(plan, context)
        return await self._begin(args, step, plan, context)

    async def decided(
        self, args: DelegateArgs, context: ToolContext, review: ReviewRow
    ) -> ToolResult:
        """Go on after a human looked at work beyond the plan, or at too many rounds of rework."""
        thread_path = _child(context.call)
        if (found := self._scene.journal.thread(thread_path)) is not None:
            return await self._work(found)
        if review.decision == "reject":
            raise ToolError(
                f"A human ended this: <human>{review.answer}</human> Do without it: finish with what there is."
            )
        plan = current_plan(self._scene.journal, self._path)
        if plan is None:
            raise ToolError("make a `plan` first")
        advice = f"A human advises: <human>{review.answer}</human>" if review.answer else ""
        return await self._begin(args, self._step(args, plan), plan, context, advice)

    def _steered(self, step: Step, context: ToolContext) -> bool:
        """Would work beyond the plan get tools that leave the run, at the word of one who read others' text?"""
        scene = self._scene
        granted = ceiling((step,), scene.team, scene.tools).tools
        return bool(granted) and exposure_at(scene.journal, context.call) != "trusted"

    # -- what may be delegated ----------------------------------------------------------------

    def _step(self, args: DelegateArgs, plan: Plan) -> Step:
        if args.step:
            step = plan.step(args.step)
            if step is None:
                raise ToolError(
                    f"the plan has no step `{args.step}`; it has: {', '.join(s.id for s in plan.steps)}"
                )
            if args.agent and args.agent != step.agent:
                raise ToolError(
                    f"step {step.id} is {step.agent}'s; make another plan to change that"
                )
            return step
        if not (args.agent and args.task):
            raise ToolError(
                "name a `step` of the plan, or `agent`, `task` and `expected_output` beyond it"
            )
        able = [
            a.name for a in self._scene.team.agents if a.oversight.duty in {"worker", "reviewer"}
        ]
        if args.agent not in able:
            raise ToolError(f"there is no agent `{args.agent}`; there are: {', '.join(able)}")
        return Step(
            id="beyond-plan", agent=args.agent, task=args.task, expected_output=args.expected_output
        )

    def _check_ready(self, step: Step, plan: Plan, context: ToolContext) -> None:
        """Order is code's: nothing starts before what it depends on, and nothing ready is left behind."""
        waiting = plan.blocked_by(step)
        if waiting:
            raise ToolError(
                f"step {step.id} waits for: {', '.join(waiting)}. Delegate those first."
            )
        _, _, place = context.call.rpartition(":")
        turn = int(place.partition(".")[0])
        asked = {
            str(c.args.get("step", ""))
            for c in self._scene.journal.calls(self._path, turn)
            if c.tool == self.name
        }
        left = [s.id for s in plan.ready() if s.id not in asked]
        if left:
            raise ToolError(
                f"nothing holds back {', '.join(left)}: delegate {'it' if len(left) == 1 else 'them'} in the "
                f"same turn as {step.id}, so that they run at once"
            )

    def _check_rework(self, plan: Plan, context: ToolContext) -> None:
        """After too many rejections a human says whether there is another round."""
        rejected = rejections(plan.delegations, self._scene)
        if len(rejected) <= self._scene.team.policy.max_rework:
            return
        address = f"{self._path}#rework>{len(rejected)}"
        question = _too_many_rounds(rejected, plan, context, address)
        for review in inbox.list_reviews(
            self._scene.journal.store,
            run=self._scene.journal.run,
            state="decided",
            kind="hand_over",
        ):
            # The same count may come again after an approval: that is another question.
            if review.content_hash == question.content_hash:
                if review.decision == "reject":
                    raise ToolError("A human ended the rework. Finish with what there is.")
                return
        raise NeedsReview(question)

    # -- doing it -----------------------------------------------------------------------------

    async def _begin(
        self,
        args: DelegateArgs,
        step: Step,
        plan: Plan,
        context: ToolContext,
        advice: str = "",
    ) -> ToolResult:
        agent = self._scene.team.agent(step.agent)
        bounds = of_step(step, agent, self._scene.tools)
        tools = self._tools(args, agent, bounds)
        given = self._given(args, step, plan)
        row = open_thread(
            self._scene,
            path=_child(context.call),
            kind="delegation",
            agent=agent,
            task=step.task,
            step=step.id,
            brief=prompts.brief(
                task=step.task,
                expected_output=step.expected_output,
                acceptance=step.acceptance,
                note="\n\n".join(t for t in (args.note, advice) if t),
                context=[prompts.handed_over(t, t.outcome) for t in given if t.outcome],
            ),
            tools=tools,
            # What it is given may have been handed over in this very turn, which the turn's label cannot know.
            label=worst(
                (exposure_at(self._scene.journal, context.call), *(self._heard(t) for t in given))
            ),
            limits=limits_of(self._scene.team, agent, args.budget_share),
            bounds=bounds,
        )
        return await self._work(row)

    def _tools(self, args: DelegateArgs, agent: AgentSpec, bounds: Bounds) -> dict[str, AnyTool]:
        names = bounds.tools
        if args.tools is not None:
            try:
                asked = as_granted(args.tools, bounds.tools, self._scene.tools)
                names = narrow(bounds.tools, asked)
            except CrewsError as error:
                raise ToolError(f"Denied: {error.what}") from error
        return for_delegation(self._scene, agent, names, bounds.returns)

    def _given(self, args: DelegateArgs, step: Step, plan: Plan) -> list[ThreadRow]:
        """Hand-overs that the agent is given: its dependencies', those asked for, and why it was rejected."""
        names = dict.fromkeys((*step.depends_on, *args.context))
        threads = [t for n in names if (t := plan.latest(n)) is not None]
        earlier = plan.latest(step.id) if args.step else None
        if earlier is not None:
            # A repeated step is rework: its author gets the rejections word for word.
            threads += [t for t in rejections(plan.delegations, self._scene) if t not in threads]
            threads.insert(0, earlier)
        return [t for t in threads if t.outcome is not None]

    async def _work(self, row: ThreadRow) -> ToolResult:
        agent = self._scene.team.agent(row.agent)
        tools = for_delegation(self._scene, agent, row.grant.tools, row.grant.returns)
        done = await self._worker(agent, row, tools)
        if done.outcome is None:
            raise ToolError("the delegation ended without a hand-over")
        return ToolResult(prompts.handed_over(done, done.outcome), heard=self._heard(done))

    def _heard(self, done: ThreadRow) -> Exposure:
        """What a hand-over exposes its reader to."""
        return "values" if done.grant.returns else exposure_of(self._scene.journal, done)


def limits_of(team: TeamSpec, agent: AgentSpec, part: float | None) -> Limits:
    """The limits with which a delegation to the agent begins. `part`: its share of them; None: all."""
    limits = tightest(team.policy.delegation, agent.oversight.limits)
    return limits if part is None else share(limits, part)


def rejections(delegations: tuple[ThreadRow, ...], scene: Scene) -> list[ThreadRow]:
    """Reviews that rejected, since the last one that approved."""
    found: list[ThreadRow] = []
    for thread in sorted(delegations, key=lambda t: t.ended_at or 0.0):
        outcome = thread.outcome
        if outcome is None or scene.team.agent(thread.agent).oversight.duty != "reviewer":
            continue
        if outcome.verdict == "approve":
            found = []
        elif outcome.verdict == "reject":
            found.append(thread)
    return found


def _child(call: str) -> str:
    path, _, place = call.rpartition(":")
    turn, _, index = place.partition(".")
    return child_path(path, int(turn), int(index))


def _beyond_plan(args: DelegateArgs, step: Step, plan: Plan, context: ToolContext) -> Question:
    # All of it: what is not shown is not approved.
    given = {k: v for k, v in args.model_dump(mode="json").items() if v} | {"step": step.id}
    subject = {
        "tool": DelegateTool.name,
        "effect": "read",
        "arguments": given,
        "command": "",
        "paths": [],
        "diff": "",
        "plan": [s.model_dump(mode="json") for s in plan.steps],
    }
    return Question(
        kind="hand_over",
        address=context.call,
        agent=context.agent,
        title=f"{context.agent} wants to delegate work to {step.agent} that is not in the plan",
        subject=subject,
        content_hash=hashlib.sha256(args.model_dump_json().encode()).hexdigest(),
        rule="beyond-plan",
        reason="the delegation leaves the plan",
    )


def _too_many_rounds(
    rejected: list[ThreadRow], plan: Plan, context: ToolContext, address: str
) -> Question:
    reasons = [t.outcome.summary for t in rejected if t.outcome]
    paths = [t.path for t in rejected]
    authors = {s.agent for s in plan.steps} - {t.agent for t in rejected}
    return Question(
        kind="hand_over",
        address=context.call,
        agent=context.agent,
        title=f"{rejected[-1].agent} has rejected the work {len(rejected)} times",
        subject={
            "author": ", ".join(sorted(authors)),
            "reviewer": rejected[-1].agent,
            "rounds": len(rejected),
            "reasons": reasons,
            "summary": "",
            "round": address,
        },
        content_hash=hashlib.sha256("\n".join([address, *paths, *reasons]).encode()).hexdigest(),
        rule="max_rework",
        reason=f"policy allows {len(rejected) - 1} rounds of rework",
    )
