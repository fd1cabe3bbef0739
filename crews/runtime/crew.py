"""How does a team run as a CrewAI crew? Its agents are ours; CrewAI gives crew, task, agent and tool.

Only public extension points are used: a `BaseAgent` whose `aexecute_task` is the project's own loop, and
`BaseTool`s that lead to the gate; but for one private attribute, by which CrewAI would keep every task's text on
disk. What it would do around them is switched off where it fails open or pays twice; see `quiet`.
"""

from __future__ import annotations

import gc
import importlib
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary

from pydantic import PrivateAttr

if TYPE_CHECKING:
    from crewai import Crew, Task
    from crewai.agents.agent_builder.base_agent import BaseAgent

    from crews.teams.spec import AgentSpec

_NO_DOTENV = "PYTHON_DOTENV_DISABLED"
_loading = threading.Lock()
_loaded = threading.Event()

T = TypeVar("T")
Execute = Callable[[], Awaitable[str]]
"""Works on one thread to its end and returns the hand-over's text."""


def quiet(storage: Path) -> None:
    """Import CrewAI so that nothing leaves the machine and nothing is stored or read elsewhere."""
    for name, value in {
        "CREWAI_DISABLE_TELEMETRY": "true",
        "CREWAI_DISABLE_TRACKING": "true",
        "CREWAI_TRACING_ENABLED": "false",
        "CREWAI_STORAGE_DIR": str(storage),
    }.items():
        os.environ.setdefault(name, value)
    # CrewAI loads the nearest `.env` into the environment when it is imported; ours is read by `settings`.
    before = os.environ.get(_NO_DOTENV)
    os.environ[_NO_DOTENV] = "1"
    try:
        importlib.import_module("crewai")
    finally:
        os.environ.pop(_NO_DOTENV)
        if before is not None:
            os.environ[_NO_DOTENV] = before


def load(storage: Path, *, for_good: bool = False) -> None:
    """Have everything of CrewAI there that a run needs. Runs that begin at once in one process may all ask for it.

    `for_good`: the process is there for runs alone: what it has loaded is never looked through for garbage again.
    """
    with _loading:  # what it changes of the environment meanwhile, one alone can put back
        if _loaded.is_set():
            return
        with _uncollected(for_good=for_good):
            quiet(storage)
            _cached("agent", _loop_agent)
            _cached("crew", _unkept_crew)
            importlib.import_module("crewai.task")
            _let_go_of_tasks()
            _look_for_no_files()
        _loaded.set()


@contextmanager
def _uncollected(*, for_good: bool) -> Generator[None]:
    """Half a million objects come to stay: to look through them takes as long as several runs, so it is done once.

    Else it is done each time that a quarter has come, and once more in the middle of a run.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        if for_good:
            gc.freeze()
        elif enabled:
            gc.collect()
    finally:
        if enabled:
            gc.enable()


def _let_go_of_tasks() -> None:
    """CrewAI would keep every task that neither completed nor failed, as none does that waits, with its whole run."""
    from crewai.events.event_listener import event_listener

    spans: WeakKeyDictionary[Task, Any] = WeakKeyDictionary()
    event_listener.execution_spans = cast("dict[Task, Any]", spans)


def _look_for_no_files() -> None:
    """Without `aiocache` CrewAI keeps no files, and makes a thread and an event loop each time to find that out."""
    store = cast("Any", importlib.import_module("crewai.utilities.file_store"))
    if getattr(store, "_file_store", store) is None and hasattr(store, "_run_sync"):
        store._run_sync = _at_once


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("what was to be done at once waits for something")


def is_loaded() -> bool:
    """Is it there already?"""
    return _loaded.is_set()


def _loop_agent() -> type[BaseAgent]:  # noqa: C901 - seven methods that CrewAI demands, no branch
    """The class of our agents; made when CrewAI is first needed, because importing it takes seconds."""
    from crewai.agents.agent_builder.base_agent import BaseAgent

    class LoopAgent(BaseAgent):
        """A CrewAI agent whose work is the project's own turn loop."""

        # CrewAI reads both from every agent, though only its own `Agent` declares them.
        function_calling_llm: Any = None
        step_callback: Any = None
        _execute: Execute | None = PrivateAttr(default=None)

        @property
        def last_messages(self) -> list[Any]:
            """CrewAI copies them into its outputs; ours are in the journal."""
            return []

        def execute_task(self, task: Any, context: str | None = None, tools: Any = None) -> str:
            """Only the async way exists."""
            raise NotImplementedError("crews runs agents with `akickoff`")

        async def aexecute_task(
            self, task: Any, context: str | None = None, tools: Any = None
        ) -> str:
            """Work on the thread that the agent was made for."""
            if self._execute is None:
                raise RuntimeError("this agent was made for no thread")
            return await self._execute()

        def create_agent_executor(self, tools: Any = None) -> None:
            """There is none: the loop is the executor."""

        def get_delegation_tools(self, agents: Sequence[BaseAgent]) -> list[Any]:
            """None: delegation is a tool behind the gate."""
            return []

        def get_platform_tools(self, apps: Any) -> list[Any]:
            """None: nothing goes around the gate."""
            return []

        def get_mcp_tools(self, mcps: Any) -> list[Any]:
            """None: nothing goes around the gate."""
            return []

    return LoopAgent


class _NothingKept:
    """Where CrewAI would keep each task's text, to replay it: the journal does, can redact it, and forgets it."""

    def reset(self) -> None:
        """Nothing is there."""

    def update(self, task_index: int, log: object) -> None:
        """Nothing is kept."""

    def load(self) -> None:
        """Nothing was kept."""


def _unkept_crew() -> type[Crew]:
    from crewai import Crew

    class UnkeptCrew(Crew):
        """A crew that leaves nothing on disk."""

        _task_output_handler: Any = PrivateAttr(default_factory=_NothingKept)

    return UnkeptCrew


_classes: dict[str, Any] = {}


def _cached(name: str, make: Callable[[], Any]) -> Any:
    if name not in _classes:
        _classes[name] = make()
    return _classes[name]


def make_agent(spec: AgentSpec, execute: Execute) -> BaseAgent:
    """A fresh CrewAI agent for one thread."""
    agent = _cached("agent", _loop_agent)(
        role=spec.role,
        goal=spec.goal,
        backstory=spec.backstory,
        max_iter=spec.max_iter,
        cache=False,
        allow_delegation=False,
    )
    agent._execute = execute
    return agent


def make_task(description: str, expected_output: str, agent: BaseAgent, name: str = "") -> Task:
    """A CrewAI task for one thread."""
    from crewai import Task

    # Braces in a description are CrewAI's placeholders; ours were filled when the team was loaded.
    return Task(
        name=name or None,
        description=description,
        expected_output=expected_output,
        agent=agent,
    )


async def run_task(
    description: str, expected_output: str, spec: AgentSpec, execute: Execute
) -> str:
    """One delegation: a CrewAI task executed by a fresh agent."""
    agent = make_agent(spec, execute)
    with _untraced():
        output = await make_task(description, expected_output, agent).aexecute_sync(agent=agent)
    return output.raw


@contextmanager
def _untraced() -> Generator[None]:
    """CrewAI gathers for a trace, and keeps, what its tasks do outside of a kick-off, until somebody knows it."""
    from crewai.execution import begin_execution, end_execution

    token = begin_execution(tracing=False)
    try:
        yield
    finally:
        end_execution(token)


async def kick_off(name: str, agents: Sequence[BaseAgent], tasks: Sequence[Task]) -> None:
    """Kick off the crew of a run: its tasks in order, each by its own agent."""
    from crewai import Process

    crew = _cached("crew", _unkept_crew)(
        name=name,
        agents=list(agents),
        tasks=list(tasks),
        process=Process.sequential,
        cache=False,
        memory=False,
        planning=False,
        share_crew=False,
        tracing=False,
        verbose=False,
    )
    await crew.akickoff()
