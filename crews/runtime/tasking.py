"""How do a team's tasks run: in the order of their `context`, independent ones at once?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crews.errors import StopRun, UsageError, Waiting
from crews.records.rows import ThreadRow
from crews.runtime import crew, prompts
from crews.runtime.knowing import exposure_of
from crews.runtime.scene import Scene
from crews.runtime.supervisor import supervisor_tools
from crews.runtime.threads import granted, is_plain, open_thread, with_ending, work
from crews.safety.budget import tightest
from crews.safety.labels import worst
from crews.teams.spec import AgentSpec, Limits, TaskSpec
from crews.tools.gate import AnyTool

if TYPE_CHECKING:
    from crewai import Task
    from crewai.agents.agent_builder.base_agent import BaseAgent


class Tasking:
    """A run's tasks. Each starts as soon as those before it have handed over.

    The work begins before CrewAI is there, which takes seconds to load: it is loaded while a model thinks.

    Args:
        scene: The run's.
        asked: Set when a model is asked for the first time; None: nobody will be.
    """

    def __init__(self, scene: Scene, asked: asyncio.Event | None = None) -> None:
        self._scene = scene
        self._asked = asked
        self._running: dict[str, asyncio.Task[ThreadRow]] = {}
        self._needed = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None

    async def run(self) -> ThreadRow:
        """Kick off the crew; returns the last task's thread. A task that is finished is not run again."""
        ordered(self._scene.team.tasks)  # tasks that wait for each other would never start
        try:
            self._start_ready()
            await self._crewai(needed=self._asked is None)
            return await self._kick_off()
        except Waiting:
            await self._let_the_others_go_on()
            raise
        finally:
            left: list[asyncio.Task[ThreadRow] | asyncio.Task[None]] = [*self._running.values()]
            left += [self._loading] if self._loading else []
            for running in left:
                running.cancel()
            if left:
                await asyncio.wait(left)

    async def _crewai(self, *, needed: bool) -> None:
        """Wait for CrewAI. If it is not needed yet, its loading begins when a model has been asked."""
        if crew.is_loaded():
            await asyncio.sleep(0)  # what was started begins first
            return
        if needed:
            self._needed.set()
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        signals = [e for e in (self._needed, self._asked) if e is not None]
        waits = [asyncio.ensure_future(event.wait()) for event in signals]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        storage, solo = self._scene.settings.home / "crewai", self._scene.shift.solo
        await asyncio.to_thread(crew.load, storage, for_good=not solo)

    async def _kick_off(self) -> ThreadRow:
        team = self._scene.team
        agents: list[BaseAgent] = []
        tasks: list[Task] = []
        for task in ordered(team.tasks):
            agent = crew.make_agent(self._agent(task), self._executor(task))
            agents.append(agent)
            tasks.append(crew.make_task(task.description, task.expected_output, agent, task.name))
        await crew.kick_off(team.name, agents, tasks)
        return await self._running[ordered(team.tasks)[-1].name]

    async def _let_the_others_go_on(self) -> None:
        """One task waits for a human; the others work until they are finished or wait, too."""
        while pending := [t for t in self._running.values() if not t.done()]:
            await asyncio.wait(pending)
        for running in self._running.values():
            error = None if running.cancelled() else running.exception()
            if error is not None and not isinstance(error, Waiting):
                raise error

    def _executor(self, task: TaskSpec) -> crew.Execute:
        async def execute() -> str:
            self._start_ready()
            row = await self._running[task.name]
            self._start_ready()
            return row.outcome.summary if row.outcome else ""

        return execute

    def _start_ready(self) -> None:
        """Start every task whose `context` is finished: CrewAI walks them in order, the work runs at once."""
        for task in self._scene.team.tasks:
            if task.name not in self._running and all(self._finished(n) for n in task.context):
                running = asyncio.ensure_future(self._work(task))
                running.add_done_callback(self._one_ended)
                self._running[task.name] = running

    def _one_ended(self, running: asyncio.Task[ThreadRow]) -> None:
        self._needed.set()
        if not running.cancelled() and running.exception() is None:
            self._start_ready()

    def _finished(self, name: str) -> bool:
        running = self._running.get(name)
        return (
            running is not None
            and running.done()
            and not running.cancelled()
            and not running.exception()
        )

    def _agent(self, task: TaskSpec) -> AgentSpec:
        team = self._scene.team
        agent = team.agent(task.agent) if task.agent else team.on_duty("supervisor")
        if agent is None:
            raise UsageError(f"task `{task.name}` has no agent and the team has no supervisor")
        return agent

    def _path(self, task: TaskSpec) -> str:
        return "/" if len(self._scene.team.tasks) == 1 else f"/{task.name}"

    async def _work(self, task: TaskSpec) -> ThreadRow:
        scene, agent, path = self._scene, self._agent(task), self._path(task)
        tools = self._tools(agent, task, path)
        context = [self._result(name) for name in task.context]
        row = open_thread(
            scene,
            path=path,
            kind="task",
            agent=agent,
            task=task.description,
            step=task.name,
            brief=prompts.task_brief(task, context),
            tools=tools,
            label=worst(exposure_of(scene.journal, self._thread(n)) for n in task.context),
            limits=limits_of(task, agent),
        )
        was_done = row.state == "done"
        done = await work(scene, agent, row, tools)
        # A supervisor's report is written before its changes are reviewed, by its `finish`.
        mine = task.output_file if agent.oversight.duty != "supervisor" else None
        if mine and done.outcome and not (was_done and scene.workspace.exists(mine)):
            scene.workspace.write_text(mine, f"{done.outcome.summary}\n")
        return done

    def _thread(self, name: str) -> ThreadRow:
        return self._running[name].result()

    def _result(self, name: str) -> str:
        row = self._thread(name)
        if row.outcome is None:
            raise StopRun(f"task {name} ended without a hand-over", status="failed")
        return prompts.handed_over(row, row.outcome)

    def _tools(self, agent: AgentSpec, task: TaskSpec, path: str) -> dict[str, AnyTool]:
        own = granted(self._scene, agent, {*agent.tools, *task.tools})
        if is_plain(self._scene, agent):
            return own
        if agent.oversight.duty == "supervisor":
            return supervisor_tools(self._scene, path, own, self._delegate, task)
        return with_ending(agent, own, asks=task.human_input)

    async def _delegate(
        self, agent: AgentSpec, row: ThreadRow, tools: dict[str, AnyTool]
    ) -> ThreadRow:
        """One delegation, as a CrewAI task executed by a fresh agent."""
        scene, done = self._scene, row

        async def execute() -> str:
            nonlocal done
            done = await work(scene, agent, row, tools)
            return done.outcome.summary if done.outcome else ""

        await self._crewai(needed=True)
        async with scene.slots:
            await crew.run_task(row.task, row.brief, agent, execute)
        return done


def limits_of(task: TaskSpec, agent: AgentSpec) -> Limits:
    """The limits with which the thread of a task begins."""
    return tightest(task.oversight.limits, agent.oversight.limits)


def ordered(tasks: tuple[TaskSpec, ...]) -> tuple[TaskSpec, ...]:
    """Tasks so that each comes after those in its `context`; otherwise as declared."""
    left: Mapping[str, TaskSpec] = {t.name: t for t in tasks}
    done: list[TaskSpec] = []
    names: set[str] = set()
    while len(done) < len(left):
        free = [t for t in tasks if t.name not in names and names.issuperset(t.context)]
        if not free:
            raise UsageError("the tasks wait for each other")
        done += free[:1]
        names.add(free[0].name)
    return tuple(done)
