"""How does an agent run a shell command? In the sandbox, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from crews.errors import SandboxUnavailable
from crews.safety.known import Declared
from crews.teams.spec import Effect
from crews.tools.base import Args, Preview, Tool, ToolContext, ToolError, ToolResult
from crews.tools.confining import Confined, confined
from crews.tools.growth import take_back
from crews.tools.paths import WORKSPACE_NAME
from crews.tools.residue import clear, version_control_in
from crews.tools.sandbox import INSTALL_HINT, CommandLimits, CommandResult, KilledFor

LIMITS = CommandLimits()


class RunCommandArgs(Args):
    """Arguments of `run_command`."""

    command: Annotated[str, Field(min_length=1, max_length=100_000)]
    """Run by `/bin/sh -c` with the workspace as its folder; the length is what fits into one argument."""
    timeout_seconds: Annotated[int, Field(ge=1, le=600)] | None = None
    """None: 60."""


class RunCommand(Tool[RunCommandArgs]):
    """Runs a command in the sandbox, then clears away what may not stay in the workspace."""

    name: ClassVar[str] = "run_command"
    description: ClassVar[str] = (
        f"Run a command by /bin/sh in {WORKSPACE_NAME}, for example the tests. No network, no input, nothing outside it"
        " but an empty /tmp each time. Ended, with all that it started, after `timeout_seconds` (default 60)."
    )
    effect: ClassVar[Effect] = "execute"
    declared = Declared({"command": "content", "timeout_seconds": "content"})
    args: ClassVar[type[Args]] = RunCommandArgs

    def preview(self, args: RunCommandArgs, context: ToolContext) -> Preview:
        """The command; what it will touch cannot be known."""
        if "\0" in args.command:
            raise ToolError("the command holds a NUL character; no shell can run it")
        reaches = context.sandbox is not None and bool(context.sandbox.egress)
        return Preview(command=args.command, effect="network" if reaches else None)

    async def run(self, args: RunCommandArgs, context: ToolContext) -> ToolResult:
        """Run it; the text begins with how it ended, then has its output."""
        if context.sandbox is None:
            raise ToolError(
                f"commands cannot be run: no sandbox holds on this machine. {INSTALL_HINT}"
            )
        self.preview(args, context)
        limits = replace(LIMITS, wall_seconds=args.timeout_seconds or LIMITS.wall_seconds)
        async with _in_a_thread(confined(context)) as place:
            result, removed = await _run(args.command, place.root, limits, context)
            await asyncio.to_thread(place.settle)
        told = _told(result, limits, (*removed, *place.notes))
        return ToolResult(told, is_error=bool(result.killed_for), facts=result.facts)


@asynccontextmanager
async def _in_a_thread(place: AbstractContextManager[Confined]) -> AsyncGenerator[Confined]:
    """Copying and clearing away may take long; the loop goes on meanwhile."""
    confined_to = await asyncio.to_thread(place.__enter__)
    try:
        yield confined_to
    finally:
        await asyncio.to_thread(place.__exit__, None, None, None)


async def _run(
    command: str, root: Path, limits: CommandLimits, context: ToolContext
) -> tuple[CommandResult, tuple[str, ...]]:
    """Run it in the sandbox, and clear away what may not stay; returns what was removed, too."""
    if context.sandbox is None:
        raise ToolError("commands cannot be run: there is no sandbox")
    known = await asyncio.to_thread(version_control_in, root)
    try:
        result = await context.sandbox.run(command, root, limits, context.writable)
    except SandboxUnavailable as refusal:
        raise ToolError(
            f"the command has not run: {refusal.what.replace(str(root), WORKSPACE_NAME)}"
        ) from refusal
    finally:
        removed = await asyncio.to_thread(_cleared, root, context.workspace.base, known)
    return result, removed


def _cleared(root: Path, base: Path, known: frozenset[str]) -> tuple[str, ...]:
    return (*clear(root, known), *take_back(root, base))


def _told(result: CommandResult, limits: CommandLimits, removed: tuple[str, ...]) -> str:
    ended = f"exit code: {result.exit_code}"
    if result.killed_for:
        ended = f"killed: {_why(result.killed_for, limits)}"
    parts = [ended, result.output.rstrip("\n") or "(no output)", *removed]
    return "\n".join(parts)


def _why(killed_for: KilledFor, limits: CommandLimits) -> str:
    reasons: dict[KilledFor, str] = {
        "time": f"it ran longer than {limits.wall_seconds:g} seconds",
        "memory": f"it used more than {limits.memory_mb} MiB of memory",
        "processes": f"it ran more than {limits.processes} processes at once",
        "disk": f"it wrote more than {limits.disk_mb} MiB",
        "output": f"it wrote far more than {limits.output_bytes:,} bytes of output",
    }
    return reasons[killed_for]
