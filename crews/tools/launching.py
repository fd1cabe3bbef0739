"""How is a prepared command started, listened to, held to its limits, and ended for good?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools.ending import unhurried
from crews.tools.output import Output
from crews.tools.sandbox import CommandLimits, KilledFor
from crews.tools.watching import Watch, tree

_PATIENCE = 5.0
"""Seconds that a keeper has to end what it keeps before we do it ourselves."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A backend's program, ready to start."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    orders: bytes
    """Written to its standard input, which then stays open; empty: no input."""
    descriptors: tuple[int, ...]
    """What it inherits beside the three standard ones."""
    folders: tuple[Path, ...]
    """Where the command can write."""
    gentle: bool
    """True: SIGTERM makes the program end all that it keeps; False: killing it does."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of it."""

    output: Output
    killed_for: KilledFor
    seconds: float


@dataclass(slots=True)
class _Started:
    """The running program, by a descriptor that never means another process."""

    process: Process
    gentle: bool
    handle: int = field(default=-1)

    def __post_init__(self) -> None:
        with contextlib.suppress(ProcessLookupError, AttributeError):  # ended, or no Linux
            self.handle = os.pidfd_open(self.process.pid)

    def kill(self) -> None:
        """Ask it to end everything, or end it; callable from any thread."""
        self._signal(signal.SIGTERM if self.gentle else signal.SIGKILL)

    def end_by_force(self) -> None:
        """Kill the program and all below it, one by one."""
        for pid in (*tree(self.process.pid), *tree(self.process.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, OSError):
            if self.handle >= 0:
                signal.pidfd_send_signal(self.handle, number)
            elif self.process.returncode is None:
                self.process.send_signal(number)


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
        await _send(started.process, launch.orders)
        await _listen(started.process, output, watch)
        await started.process.wait()
    finally:
        watch.stop()
        await unhurried(_end(started))
    return Ended(output, watch.passed, time.monotonic() - began)


async def _start(launch: Launch) -> _Started:
    try:
        process = await asyncio.create_subprocess_exec(
            *launch.argv,
            env=dict(launch.environment),
            stdin=PIPE if launch.orders else DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            pass_fds=launch.descriptors,
            start_new_session=True,
        )
    except OSError as error:
        raise SandboxUnavailable(f"`{launch.argv[0]}` cannot be started: {error}") from error
    return _Started(process, launch.gentle)


async def _send(process: Process, orders: bytes) -> None:
    if process.stdin is not None and orders:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(orders)
            await process.stdin.drain()


async def _listen(process: Process, output: Output, watch: Watch) -> None:
    if process.stdout is None:
        return
    while chunk := await process.stdout.read(65536):
        output.add(chunk)
        if output.endless:
            watch.passed_by("output")


async def _end(started: _Started) -> None:
    process = started.process
    if process.returncode is None:
        started.kill()
    try:
        async with asyncio.timeout(_PATIENCE):
            await _drain(process)
    except TimeoutError:
        started.end_by_force()
        await _drain(process)
    finally:
        started.close()
        if process.stdin is not None:
            process.stdin.close()


async def _drain(process: Process) -> None:
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
