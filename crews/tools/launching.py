"""How is a prepared command started, listened to, held to its limits, and ended for good?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import tempfile
import threading
import time
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crews.errors import SandboxUnavailable
from crews.tools.ending import unhurried
from crews.tools.output import Output
from crews.tools.sandbox import CommandLimits, CommandResult, KilledFor
from crews.tools.warm import Kept, kept
from crews.tools.watching import Watch, tree

_PATIENCE = 5.0
"""Seconds that a keeper has to end what it keeps before we do it ourselves."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A backend's program, ready to start."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...]
    """What it inherits beside the three standard ones."""
    folders: tuple[Path, ...]
    """Where the command can write."""
    orders: bytes = b""
    """For a keeper: it finds them at a descriptor, whose number is its first argument, and its
    standard input is the leash. Other programs have a sentinel on the leash."""
    status: int = -1
    """Where a keeper says what became of the command."""
    arguments: tuple[str, ...] = ()
    """A keeper's further arguments."""
    first: str = ":"
    """Shell text that must succeed before a program is started that is no keeper."""

    def on_leash(self) -> tuple[str, ...]:
        """The program, with a sentinel beside it that kills its process group when the leash ends.

        Nothing that the program does for itself (`--die-with-parent`) holds from its first moment;
        this does. The leash is the standard input, and must not become the command's.
        """
        free = next(n for n in range(3, 10) if n not in self.descriptors)
        script = (
            f"exec {free}<&0 </dev/null; {{ read -r _ <&{free}; kill -9 -$$; }} >/dev/null 2>&1 &"
            f' exec {free}<&-; {self.first} && exec "$@"'
        )
        return ("/bin/sh", "-c", script, "sh", *self.argv)


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of it."""

    output: Output
    killed_for: KilledFor
    seconds: float
    code: int
    """Exit code of the program; negative: the signal that ended it."""

    def result(self, code: int | None, names: Mapping[str, str]) -> CommandResult:
        """What the command's caller is told; `code`: the command's own, if the program said it."""
        if code is None and not self.killed_for:
            code = 128 + signal.SIGKILL  # the program itself was killed, by neither of them
        return CommandResult(
            exit_code=None if self.killed_for else code,
            output=self.output.text(names),
            truncated=self.output.truncated,
            timed_out=self.killed_for == "time",
            killed_for=self.killed_for,
            seconds=self.seconds,
        )


class _Program(Protocol):
    """What is asked of a running program."""

    @property
    def pid(self) -> int: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def kill(self) -> None: ...


@dataclass(slots=True)
class _Started:
    """The running program."""

    process: _Program
    leash: int
    """Our end of its standard input; to let go of it, or to die, ends everything."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self) -> None:
        """Make it end everything; callable from any thread, more than once."""
        with self.lock:
            if self.leash >= 0:
                os.close(self.leash)
                self.leash = -1

    def end_by_force(self) -> None:
        """Kill the program and all below it, one by one."""
        for pid in (*tree(self.process.pid), *tree(self.process.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if self.process.returncode is None:
            self.process.kill()


async def carry_out(launch: Launch, limits: CommandLimits) -> Ended:
    """Run it to its end, or to the limit that it passes; a cancelled caller ends it at once.

    Raises:
        SandboxUnavailable: the program itself cannot be started.
    """
    began = time.monotonic()
    started = await _start(launch)
    watch = Watch(started.process.pid, limits, launch.folders, started.kill)
    output = Output(limits.output_bytes)
    try:
        watch.start()
        await _listen(started.process, output, watch)
        await started.process.wait()
    finally:
        watch.stop()
        await unhurried(_end(started))
        if isinstance(started.process, Kept):
            started.process.close()
    code = started.process.returncode
    return Ended(output, watch.passed, time.monotonic() - began, -1 if code is None else code)


async def _start(launch: Launch) -> _Started:
    if launch.orders and sys.platform == "linux":
        return _Started(*await kept(launch.orders, launch.status))
    with contextlib.ExitStack() as closing:
        argv, inherited = launch.on_leash(), launch.descriptors
        if launch.orders:
            told = closing.enter_context(tempfile.TemporaryFile())
            told.write(launch.orders)
            told.seek(0)
            argv = (*launch.argv, str(told.fileno()), *launch.arguments)
            inherited = (*inherited, told.fileno())
        stdin, leash = os.pipe()
        closing.callback(os.close, stdin)
        made: list[Process] = []

        async def make() -> None:
            process = await asyncio.create_subprocess_exec(
                *argv,
                env=dict(launch.environment),
                stdin=stdin,
                stdout=PIPE,
                stderr=STDOUT,
                pass_fds=inherited,
                start_new_session=True,
            )
            made.append(process)

        try:
            # Cancelled in the middle, asyncio would wait for ever for pipes that it never connects.
            await unhurried(make())
        except OSError as error:
            os.close(leash)
            raise SandboxUnavailable(f"`{argv[0]}` cannot be started: {error}") from error
        except BaseException:
            os.close(leash)
            if made:
                await unhurried(_end(_Started(made[0], -1)))
            raise
    return _Started(made[0], leash)


async def _listen(process: _Program, output: Output, watch: Watch) -> None:
    if process.stdout is None:
        return
    while chunk := await process.stdout.read(65536):
        output.add(chunk)
        if output.endless:
            watch.passed_by("output")


async def _end(started: _Started) -> None:
    process = started.process
    started.kill()
    try:
        async with asyncio.timeout(_PATIENCE):
            await _drain(process)
    except TimeoutError:
        started.end_by_force()
        await _drain(process)


async def _drain(process: _Program) -> None:
    while process.stdout is not None and await process.stdout.read(65536):
        pass
    await process.wait()


@dataclass(slots=True)
class Status:
    """A pipe on which the program says what became of the command, out of the command's reach."""

    reader: int
    writer: int

    def read(self) -> str:
        """All that was said; only once the program has ended."""
        os.close(self.writer)
        self.writer = -1
        said = bytearray()
        os.set_blocking(self.reader, False)  # should anyone still hold the other end
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self.reader, 65536):
                said += piece
        return said.decode(errors="replace")


@contextlib.contextmanager
def status_pipe() -> Generator[Status]:
    """Open the pipe; both ends are closed at the end."""
    status = Status(*os.pipe())
    try:
        yield status
    finally:
        for descriptor in (status.reader, status.writer):
            if descriptor >= 0:
                os.close(descriptor)


async def gone(pid: int) -> None:
    """Wait, for five seconds at most, until this process has ended."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            look = select.poll()
            look.register(handle, select.POLLIN)
            if not look.poll(0):
                await asyncio.to_thread(look.poll, int(_PATIENCE * 1000))
        finally:
            os.close(handle)
