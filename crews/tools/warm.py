"""How is a keeper had at once, without starting a Python for each command?

One process waits, with no environment, no files and no thread of ours, and forks a keeper
(`crews.tools.landlock_child`) for every command. It ends when this process does, and it knows of a command nothing
but that there was one: a keeper reads its orders after it has been forked.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools import landlock_child

_START = "import sys; sys.path.append(sys.argv[2]); import warm_child; warm_child.serve()"
_PATIENCE = 10.0
"""Seconds in which a keeper is there."""


@dataclass(slots=True)
class Kept:
    """A keeper that runs, by a descriptor that never means another process."""

    pid: int
    handle: int
    stdout: asyncio.StreamReader
    returncode: int | None = None
    """0 once it has ended: what became of the command, it says itself."""

    async def wait(self) -> int:
        """Wait until it has ended."""
        if self.returncode is None:
            loop, ended = asyncio.get_running_loop(), asyncio.Event()
            loop.add_reader(self.handle, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(self.handle)
            self.returncode = 0
        return self.returncode

    def kill(self) -> None:
        """Kill the keeper itself."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.handle)


@dataclass(slots=True)
class _Waiting:
    """The process that waits, for the process that started it."""

    owner: int
    process: subprocess.Popen[bytes]
    channel: socket.socket

    @classmethod
    def started(cls) -> _Waiting:
        """A new one."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            place = str(Path(landlock_child.__file__).parent)
            process = subprocess.Popen(  # noqa: S603 - our own program
                (sys.executable, "-I", "-S", "-c", _START, str(number), place),
                cwd="/",
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(number,),
                start_new_session=True,
            )
        ours.settimeout(_PATIENCE)
        return cls(os.getpid(), process, ours)

    def keeper(self, given: tuple[int, int, int, int]) -> tuple[int, int]:
        """Number and handle of a new keeper. Raises OSError where there is none."""
        socket.send_fds(self.channel, [b"k"], given)
        message, received, _, _ = socket.recv_fds(self.channel, 8, 1)
        if len(message) != 8 or len(received) != 1:
            raise OSError("it has ended")
        os.set_inheritable(received[0], False)
        return int.from_bytes(message, "little"), received[0]

    def close(self) -> None:
        """Nobody can ask it any more; its keepers go on without it."""
        self.channel.close()
        if self.owner == os.getpid():
            self.process.kill()  # it would end by itself, unless it is frozen
            self.process.wait()


@dataclass(slots=True)
class _Keepers:
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: _Waiting | None = None

    def new(self, given: tuple[int, int, int, int]) -> tuple[int, int]:
        """Number and handle of a new keeper.

        Raises:
            OSError: nobody knows of one. It may be there all the same, and wait for its leash.
        """
        with self.lock:
            try:
                return self._ready().keeper(given)
            except OSError:
                self.close()
                raise

    def _ready(self) -> _Waiting:
        if self.waiting is not None and self.waiting.owner != os.getpid():
            self.waiting = None  # a fork has taken over our memory, not our child
        if self.waiting is None:
            self.waiting = _Waiting.started()
        return self.waiting

    def close(self) -> None:
        """Start anew next time."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.close()


@functools.cache
def _keepers() -> _Keepers:
    keepers = _Keepers()
    atexit.register(keepers.close)
    return keepers


@dataclass(frozen=True, slots=True)
class _Asked:
    """A keeper that has not begun, and our ends of its pipes."""

    pid: int
    handle: int
    leash: int
    heard: int


async def kept(orders: bytes, status: int) -> tuple[Kept, int]:
    """A keeper that carries out the orders and speaks on `status`, and our end of its leash.

    Raises:
        SandboxUnavailable: there is none; nothing was carried out.
    """
    try:
        try:
            asked = _asked(orders, status)
        except OSError:  # whoever waited may have been killed
            asked = _asked(orders, status)
    except OSError as error:
        raise SandboxUnavailable(f"no keeper can be started: {error}") from error
    # From here on it is known of: it may begin.
    reader = asyncio.StreamReader()
    keeper = Kept(asked.pid, asked.handle, reader)
    try:
        pipe = os.fdopen(asked.heard, "rb", 0)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        os.write(asked.leash, b"g")
    except BaseException:
        os.close(asked.leash)
        keeper.close()
        raise
    return keeper, asked.leash


def _asked(orders: bytes, status: int) -> _Asked:
    """A new keeper. Each has pipes of its own: one of which nobody knows must not begin in the place of another.

    Raises:
        OSError: as `_Keepers.new`.
    """
    with contextlib.ExitStack() as closing:
        told = closing.enter_context(tempfile.TemporaryFile())
        told.write(orders)
        told.seek(0)
        held, leash = os.pipe()
        closing.callback(os.close, held)
        heard, said = os.pipe()
        closing.callback(os.close, said)
        try:
            pid, handle = _keepers().new((held, said, status, told.fileno()))
        except BaseException:
            os.close(leash)
            os.close(heard)
            raise
    return _Asked(pid, handle, leash, heard)
