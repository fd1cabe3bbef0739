"""How do a workspace's files become again what they were at a turn of another run? What was done is done again.

Writes are made again by their arguments, by the real tools; commands run again, in the sandbox. What has
left the run (`network`, `external`) is never repeated: only its results are taken over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from loguru import logger

from crews.records.forks import Rows
from crews.records.rows import CallRow, RunRow, ThreadRow
from crews.teams.spec import TeamSpec
from crews.tools import evidence
from crews.tools.base import ToolContext, ToolError
from crews.tools.gate import AnyTool
from crews.tools.sandbox import Sandbox
from crews.tools.workspace import Workspace

AGAIN = frozenset({"write", "execute"})
"""Effects that stay in the workspace."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The files' hash at a moment of the old run."""

    at: float
    tree_hash: str
    where: str


@dataclass(frozen=True, slots=True)
class Rebuilding:
    """What is needed to do it."""

    run: RunRow
    """The old run."""
    all: Rows
    kept: Rows
    workspace: Workspace
    sandbox: Sandbox | None
    sandbox_error: str
    tools: Mapping[str, AnyTool]
    protected: tuple[str, ...]

    async def redo(self) -> tuple[str, ...]:
        """Do again what the kept calls did to the workspace; returns in which way the files still differ."""
        wrong: list[str] = []
        known = last_known(self.all, self.kept)
        told = known is None
        for at, step in self._steps():
            if known is not None and not told and at > known.at:
                told = True
                wrong += await self._compare(known)
            if isinstance(step, ThreadRow):
                await asyncio.to_thread(self._write_result, step)
            elif problem := await self._again(step):
                wrong.append(problem)
        if known is not None and not told:
            wrong += await self._compare(known)
        return tuple(wrong)

    def _steps(self) -> list[tuple[float, CallRow | ThreadRow]]:
        """What changed the files, in the order in which it ended."""
        done: list[tuple[float, CallRow | ThreadRow]] = [
            (c.ended_at or 0.0, c) for c in self.kept.calls if changes_files(c)
        ]
        done += [(t.ended_at or 0.0, t) for t in self.kept.threads if self._result_file(t)]
        return sorted(done, key=lambda step: step[0])

    async def _compare(self, known: Seen) -> list[str]:
        if await asyncio.to_thread(self.workspace.tree_hash) == known.tree_hash:
            return []
        return [f"they are not those that there were {known.where}"]

    async def _again(self, call: CallRow) -> str:
        """Make one call again; returns what went wrong, if anything did."""
        name = f"call {call.address} ({call.tool})"
        tool = self.tools.get(call.tool)
        if tool is None or tool.effect != call.effect:
            return f"{name} cannot be made again: there is no such tool any more"
        if call.effect == "execute" and not _kept_in(self.sandbox):
            why = self.sandbox_error or "it could reach beyond the run's files"
            return f"{name} was not made again: {why}"
        try:
            await tool.run(tool.args.model_validate(call.args), self._context(call))
        except ToolError as error:
            return f"{name} failed when it was made again: {error}"
        except Exception as error:  # noqa: BLE001 - it is told, and the fork is refused for it
            logger.exception("making {} again failed", name)
            return f"{name} broke when it was made again: {type(error).__name__}: {error}"
        if evidence.happened(call, self.workspace) is False:
            return f"{name} has not left what it left before"
        return ""

    def _context(self, call: CallRow) -> ToolContext:
        thread = next(t for t in self.kept.threads if t.path == call.path)
        return ToolContext(
            workspace=self.workspace,
            sandbox=self.sandbox,
            sandbox_error=self.sandbox_error,
            agent=thread.agent,
            thread=call.path,
            call=call.address,
            writable=thread.grant.writes,
            write_paths=thread.grant.write_paths,
            protected=self.protected,
        )

    def _result_file(self, thread: ThreadRow) -> str:
        """The file into which a finished task's result was written; empty: none was."""
        if thread.kind != "task" or thread.state != "done" or thread.outcome is None:
            return ""
        team: TeamSpec = self.run.spec
        # A supervisor's report is written by its `finish`, with which its thread ends.
        mine = team.has(thread.agent) and team.agent(thread.agent).oversight.duty != "supervisor"
        task = next((t for t in team.tasks if t.name == thread.step), None)
        return (task.output_file or "") if task and mine else ""

    def _write_result(self, thread: ThreadRow) -> None:
        summary = thread.outcome.summary if thread.outcome else ""
        self.workspace.write_text(self._result_file(thread), f"{summary}\n")


def changes_files(call: CallRow) -> bool:
    """May the call have changed the workspace? A command that was killed may have written before."""
    if call.effect == "execute":
        return call.started_at is not None
    return call.effect == "write" and call.state == "done"


def last_known(rows: Rows, kept: Rows) -> Seen | None:
    """The last moment at which the old run's files are known and came from kept calls alone, none in flight."""
    taken = {c.address for c in kept.calls if c.ended_at is not None}
    done = [c for c in rows.calls if changes_files(c)]
    lost = min((c.started_at or 0.0 for c in done if c.address not in taken), default=float("inf"))
    spans = [(c.started_at or 0.0, c.ended_at or 0.0) for c in done]
    quiet = [
        seen
        for seen in _seen(rows, kept)
        if seen.at <= lost and not any(start <= seen.at <= end for start, end in spans)
    ]
    return max(quiet, key=attrgetter("at"), default=None)


def _seen(rows: Rows, kept: Rows) -> list[Seen]:
    """Moments at which a hash was recorded: a thread's begin and end, and the first one's that is not kept."""
    found = [Seen(t.started_at, t.hash_before, f"when {t.path} began") for t in kept.threads]
    found += [
        Seen(t.ended_at, t.hash_after, f"when {t.path} ended")
        for t in kept.threads
        if t.ended_at is not None
    ]
    return [seen for seen in found + _next(rows, kept) if seen.tree_hash]


def _next(rows: Rows, kept: Rows) -> list[Seen]:
    """Begin of the thread that was opened next: nothing had happened to the files since."""
    paths = {t.path for t in kept.threads}
    until = max((t.ended_at for t in kept.turns), default=0.0)
    left: Sequence[ThreadRow] = [
        t for t in rows.threads if t.path not in paths and t.started_at > until
    ]
    first = min(left, key=attrgetter("started_at"), default=None)
    return [Seen(first.started_at, first.hash_before, f"when {first.path} began")] if first else []


def _kept_in(sandbox: Sandbox | None) -> bool:
    """Does a command there touch nothing but the run's files?"""
    return sandbox is not None and sandbox.confines and not sandbox.egress
