"""Is a run a CrewAI crew whose agents are ours, quiet, and open to our control signals?"""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any, cast
from weakref import ReferenceType, ref

import pytest

from crews.errors import StopRun, Waiting
from crews.runtime import crew
from crews.teams.spec import AgentSpec
from tests.records.builders import child

SPEC = AgentSpec(name="ann", role="Ann", goal="Do {it}", backstory="Did {that}")


async def never() -> str:
    raise AssertionError("nobody asked for this")


async def fine() -> str:
    return "It is {done}."


def test_nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "CREWAI_TRACING_ENABLED")
    for name in (*names, "CREWAI_STORAGE_DIR"):
        monkeypatch.delenv(name, raising=False)
    crew.quiet(Path("storage"))
    assert [os.environ[n] for n in names] == ["true", "true", "false"]
    assert os.environ["CREWAI_STORAGE_DIR"] == "storage"


def test_runs_that_begin_at_once_load_it_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED", raising=False)
    imported = importlib.import_module

    def lingering(name: str, package: str | None = None) -> object:
        time.sleep(0.02 if name == "crewai" else 0)
        return imported(name, package)

    monkeypatch.setattr(importlib, "import_module", lingering)

    async def begin() -> None:
        await asyncio.gather(*(asyncio.to_thread(crew.load, Path("storage")) for _ in range(8)))

    asyncio.run(begin())
    assert crew.is_loaded()
    assert "PYTHON_DOTENV_DISABLED" not in os.environ


@pytest.mark.parametrize("for_good", [True, False])
def test_only_a_process_that_is_there_for_runs_keeps_it_for_good(for_good: bool) -> None:
    code = (
        "import gc; from pathlib import Path; from crews.runtime import crew; "
        f"crew.load(Path('storage'), for_good={for_good}); print(gc.get_freeze_count())"
    )
    done = child(code)
    kept = int(done.communicate()[0].split()[-1])
    assert kept > 100_000 if for_good else kept == 0


def test_files_that_crewai_does_not_keep_are_looked_for_without_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.load(tmp_path)

    async def look() -> object:
        from crewai.utilities.file_store import get_all_files  # pyright: ignore[reportUnknownVariableType] - of files

        return cast("Any", get_all_files)(uuid.uuid4(), uuid.uuid4())

    def refuse(thread: threading.Thread) -> None:
        raise AssertionError(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert asyncio.run(look()) is None


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", "mine")
    crew.quiet(Path("storage"))
    assert os.environ["CREWAI_STORAGE_DIR"] == "mine"


def test_nothing_that_is_said_is_kept_by_crewai(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREWAI_STORAGE_DIR", str(tmp_path))
    agent = crew.make_agent(SPEC, fine)
    tasks = [crew.make_task("work that nobody else is to read", "a result", agent)]
    asyncio.run(crew.kick_off("team", [agent], tasks))
    assert list(tmp_path.rglob("*.db")) == []


def test_what_is_delegated_is_not_gathered_for_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "CREWAI_STORAGE_DIR", str(tmp_path)
    )  # of somebody whom CrewAI does not know yet
    crew.load(tmp_path)
    from crewai.events.event_bus import crewai_event_bus
    from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener

    async def run() -> None:
        agent = crew.make_agent(SPEC, fine)
        await crew.kick_off("team", [agent], [crew.make_task("work", "a result", agent)])
        await crew.run_task("secret work", "a result", SPEC, fine)

    gathered = TraceCollectionListener().batch_manager.event_buffer
    gathered.clear()
    asyncio.run(run())
    assert crewai_event_bus.flush()
    assert gathered == []


def test_a_delegation_is_a_task_of_a_fresh_agent() -> None:
    made: list[int] = []

    async def execute() -> str:
        made.append(len(made))
        return await fine()

    async def both() -> list[str]:
        one = crew.run_task("work", "a result", SPEC, execute)
        return [await one, await crew.run_task("work", "a result", SPEC, execute)]

    assert asyncio.run(both()) == ["It is {done}."] * 2
    assert made == [0, 1]


def test_several_run_at_once() -> None:
    running, most = 0, 0

    async def execute() -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return ""

    async def all_of_them() -> None:
        await asyncio.gather(*(crew.run_task("w", "r", SPEC, execute) for _ in range(4)))

    asyncio.run(all_of_them())
    assert most == 4


@pytest.mark.parametrize("signal", [Waiting("x"), StopRun("x"), KeyboardInterrupt(), OSError("x")])
def test_signals_and_errors_come_through_and_nothing_runs_again(signal: BaseException) -> None:
    runs: list[int] = []

    async def execute() -> str:
        runs.append(1)
        raise signal

    with pytest.raises(type(signal)):
        asyncio.run(crew.run_task("work", "a result", SPEC, execute))
    assert runs == [1]


def test_of_runs_that_wait_crewai_keeps_one_at_most(tmp_path: Path) -> None:
    crew.load(tmp_path)

    class Held:
        """What a run holds."""

    async def wait_for_a_human() -> ReferenceType[Held]:
        held = Held()
        left = ref(held)

        async def execute() -> str:
            raise Waiting(str(held))

        agent = crew.make_agent(SPEC, execute)
        with pytest.raises(Waiting):
            await crew.kick_off("team", [agent], [crew.make_task("do", "x", agent)])
        return left

    left = [asyncio.run(wait_for_a_human()) for _ in range(5)]
    gc.collect()
    assert sum(one() is not None for one in left) <= 1


def test_a_crew_runs_its_tasks_in_order_each_by_its_own_agent() -> None:
    order: list[str] = []

    def executor(name: str) -> crew.Execute:
        async def execute() -> str:
            order.append(name)
            return name

        return execute

    async def kick_off() -> None:
        agents = [crew.make_agent(SPEC, executor(n)) for n in "abc"]
        tasks = [
            crew.make_task("do {it}", "x", agent, n) for n, agent in zip("abc", agents, strict=True)
        ]
        await crew.kick_off("team", agents, tasks)

    asyncio.run(kick_off())
    assert order == ["a", "b", "c"]


@pytest.mark.parametrize("signal", [Waiting("x"), StopRun("x"), OSError("x")])
def test_a_signal_ends_the_crew_at_once(signal: BaseException) -> None:
    async def execute() -> str:
        raise signal

    async def kick_off() -> None:
        agents = [crew.make_agent(SPEC, execute), crew.make_agent(SPEC, never)]
        tasks = [crew.make_task("do", "x", agent) for agent in agents]
        await crew.kick_off("team", agents, tasks)

    with pytest.raises(type(signal)):
        asyncio.run(kick_off())


def test_an_agent_has_no_tools_but_those_behind_the_gate() -> None:
    agent = crew.make_agent(SPEC, never)
    assert not agent.tools
    assert agent.get_delegation_tools([]) == []
    assert not agent.allow_delegation
    with pytest.raises(NotImplementedError):
        agent.execute_task(None)  # pyright: ignore[reportArgumentType]


def test_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    asyncio.run(crew.run_task("work", "a result", SPEC, fine))
    assert capfd.readouterr() == ("", "")
