"""How is a thread opened, or found again, and worked on to its hand-over?"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from functools import partial
from sys import intern

from crews.errors import StopRun
from crews.records.rows import Grant, ReturnField, ThreadKind, ThreadRow
from crews.records.store import dump
from crews.runtime import prompts
from crews.runtime.bounds import Bounds
from crews.runtime.describing import definition
from crews.runtime.handing import BriefTool, HandOverTool, ReviewTool
from crews.runtime.loop import Loop
from crews.runtime.quarantine import returning
from crews.runtime.scene import Scene
from crews.safety.autonomy import tools_allowed
from crews.safety.labels import Exposure
from crews.teams.spec import AgentSpec, Limits
from crews.tools.gate import AnyTool

PLAIN_LEVEL = 1
"""Up to this level an agent only answers: no hand-over, no delegation."""


def is_plain(scene: Scene, agent: AgentSpec) -> bool:
    """Does the agent just answer in text?"""
    return scene.level(agent) <= PLAIN_LEVEL


def open_thread(
    scene: Scene,
    *,
    path: str,
    kind: ThreadKind,
    agent: AgentSpec,
    task: str,
    brief: str,
    tools: dict[str, AnyTool],
    label: Exposure,
    step: str = "",
    limits: Limits | None = None,
    bounds: Bounds | None = None,
) -> ThreadRow:
    """The thread of that path: as the journal has it, or newly begun.

    `label`: what the one who begins it has read. `bounds`: what its plan grants, if less than the agent has.
    """
    if (found := scene.journal.thread(path)) is not None:
        return found
    row = ThreadRow(
        run=scene.journal.run,
        path=path,
        kind=kind,
        agent=agent.name,
        task=task,
        step=step,
        model=scene.options.model or agent.llm,
        # The same in every run of the team: one text for all of them in memory.
        system=intern(
            prompts.system_prompt(
                agent, scene.team, plain=kind != "brief" and is_plain(scene, agent)
            )
        ),
        tools=intern(dump([definition(t) for t in tools.values()])),
        brief=brief,
        grants=_grant(agent, tools, bounds).model_dump_json(),
        limits=(limits or Limits()).model_dump_json(),
        state="open",
        handover=None,
        flags="[]",
        hash_before=scene.workspace.tree_hash(),
        hash_after="",
        compacted=0,
        finish_now=False,
        tokens=0,
        money=0,
        money_known=True,
        turns=0,
        calls=0,
        working_seconds=0.0,
        started_at=time.time(),
        ended_at=None,
        label=label,
    )
    line = task.partition("\n")[0][:200]
    scene.journal.begin_thread(
        row, partial(scene.emit, "thread_started", thread=path, agent=agent.name, text=line)
    )
    return row


def _grant(agent: AgentSpec, tools: Mapping[str, AnyTool], bounds: Bounds | None) -> Grant:
    """What the thread may do: what the agent may, or what the plan grants of it."""
    return Grant(
        tools=tuple(sorted(tools)),
        write_paths=bounds.paths if bounds else agent.oversight.write_paths,
        duty=agent.oversight.duty,
        writes=any(t.effect == "write" for t in tools.values()),
        hosts=bounds.hosts if bounds else None,
        targets=bounds.targets if bounds else {},
        amount=bounds.amount if bounds else None,
        returns=bounds.returns if bounds else (),
    )


async def work(
    scene: Scene, agent: AgentSpec, row: ThreadRow, tools: dict[str, AnyTool]
) -> ThreadRow:
    """Work on a thread until it has handed over; a thread that has is returned as it is."""
    if row.state != "done":
        ending = next((t.name for t in tools.values() if t.ends_thread), "")
        await Loop(scene, agent, row, tools, ending).run()
    done = scene.journal.thread(row.path)
    if done is None or done.outcome is None:
        raise StopRun(f"thread {row.path} is gone from the journal", status="failed")
    return done


def granted(scene: Scene, agent: AgentSpec, names: Iterable[str]) -> dict[str, AnyTool]:
    """The registered tools of that name that the agent's autonomy level allows, in a fixed order."""
    effects = tools_allowed(scene.level(agent))
    # Names that are no registered tool are control tools: they are made per thread.
    found = [scene.tools[n] for n in sorted(names) if n in scene.tools]
    return {t.name: t for t in found if t.effect in effects}


def for_delegation(
    scene: Scene, agent: AgentSpec, names: Iterable[str], returns: tuple[ReturnField, ...] = ()
) -> dict[str, AnyTool]:
    """The tools of one delegation; an agent that only answers in text has none to end it with.

    `returns`: what a quarantined reader hands over; it can read, and nothing else.
    """
    tools = granted(scene, agent, names)
    if returns:
        ending = returning(returns)
        reading = {n: t for n, t in tools.items() if t.effect in {"read", "network"}}
        return {**reading, ending.name: ending}
    return tools if is_plain(scene, agent) else with_ending(agent, tools)


def with_ending(
    agent: AgentSpec, tools: dict[str, AnyTool], *, asks: bool = False
) -> dict[str, AnyTool]:
    """The tools and the one that ends the thread. `asks`: a human accepts the result first."""
    looks = all(tool.effect == "read" for tool in tools.values())
    ending: AnyTool = HandOverTool(asks=asks, looks=looks)
    if agent.oversight.duty == "reviewer":
        ending = ReviewTool(asks=asks)
    elif agent.oversight.duty == "escalation":
        ending = BriefTool()
    return {**tools, ending.name: ending}
