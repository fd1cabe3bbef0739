"""Which sandboxes is a test run on, and what does the host lay out for a command to get at?"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crews.tools.landlock import Landlock
from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox, choose

NO_BWRAP = shutil.which("bwrap") is None and os.environ.get("CREWS_TEST_ALL") != "1"
"""No bubblewrap here: its tests are skipped, and said to be. With CREWS_TEST_ALL=1, as in CI, they fail.

Read before any test: the suite's own environment is cleaned of CREWS_ variables."""
SKIPPED = "bubblewrap is not installed"
KINDS = ("bubblewrap", "landlock", "landlock without mounts")
LIMITS = CommandLimits(wall_seconds=30)


def sandbox_of(kind: str) -> Sandbox:
    """The backend; a test that needs bubblewrap is skipped where it is not installed."""
    if kind == "bubblewrap" and NO_BWRAP:
        pytest.skip(SKIPPED)
    if kind == "landlock without mounts":
        return Landlock.found(private_mounts=False)
    return choose("bubblewrap" if kind == "bubblewrap" else "landlock")


async def run(
    sandbox: Sandbox, workspace: Path, command: str, limits: CommandLimits = LIMITS
) -> CommandResult:
    """Run a command."""
    return await sandbox.run(command, workspace, limits)


async def run_python(sandbox: Sandbox, workspace: Path, source: str) -> CommandResult:
    """Run a Python program that lies in the workspace."""
    (workspace / "attempt.py").write_text(source, encoding="utf-8")
    return await run(sandbox, workspace, "python attempt.py")


def names_in(folder: Path) -> list[str]:
    """Relative paths of everything in a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def marked(marker: str) -> list[int]:
    """The host's processes that have this in their command line."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and marker.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


CREDENTIALS = (
    ".ssh/id_ed25519",
    ".aws/credentials",
    ".config/gcloud/credentials.db",
    ".netrc",
    ".docker/config.json",
    ".kube/config",
    ".gnupg/private-keys-v1.d/key",
    ".git-credentials",
    ".local/share/crews/crews.db",
)
"""What lies in a home folder; the last one is where the journal is kept by default."""
_VICTIM = """
import ctypes, sys, time
held = ctypes.create_string_buffer(sys.argv[1].encode())
print(ctypes.addressof(held), flush=True)
time.sleep(120)
"""


@dataclass(frozen=True, slots=True)
class Host:
    """What a command must not get at, and what the host sees of it."""

    outside: Path
    secret: str
    victim: subprocess.Popen[bytes]
    address: int
    """Where the victim holds the secret in its memory."""
    terminal: tuple[int, int]
    """A terminal of the user: what types and sees, and what programs hold."""
    keys: int
    tcp: socket.socket
    tcp6: socket.socket
    udp: socket.socket
    path_socket: socket.socket
    abstract_socket: socket.socket

    @property
    def file(self) -> Path:
        """A file with the secret in it."""
        return self.outside / "file"

    def facts(self) -> str:
        """Where all of it is, as Python assignments."""
        facts: dict[str, object] = {
            "OUTSIDE": str(self.outside),
            "FILE": str(self.file),
            "VICTIM": self.victim.pid,
            "ADDRESS": self.address,
            "TERMINAL": os.ttyname(self.terminal[1]),
            "SIZE": len(self.secret),
            "TCP": self.tcp.getsockname()[1],
            "TCP6": self.tcp6.getsockname()[1],
            "UDP": self.udp.getsockname()[1],
            "PATH_SOCKET": self.path_socket.getsockname(),
            "ABSTRACT": self.abstract_socket.getsockname().decode(),
        }
        return "".join(f"{name} = {value!r}\n" for name, value in facts.items())

    def damage(self) -> list[str]:
        """What was changed or reached."""
        status = self.file.stat() if self.file.exists() else None
        names = sorted(entry.name for entry in self.outside.iterdir())
        found = {
            "file is gone": status is None,
            "file was changed": status and self.file.read_text(encoding="utf-8") != self.secret,
            "mode was changed": status and status.st_mode & 0o777 != 0o600,
            "times were changed": status and status.st_mtime < 1000,
            "attributes were added": status and os.listxattr(self.file) != [],
            "a name was added": names != ["file", "home", "socket"],
            "the process was ended or stopped": not self._runs(),
            "the process' limits were changed": self._limits() != self._own_limits(),
            "the process is traced": self._traced(),
            "the terminal was written to": _readable(self.terminal[0]),
            "the terminal was typed into": _readable(self.terminal[1]),
            "a key was left in the kernel": key_bytes() - self.keys >= KEY_SIZE,
            "TCP was reached": _called(self.tcp),
            "TCP over IPv6 was reached": _called(self.tcp6),
            "UDP was reached": _called(self.udp),
            "the socket was reached": _called(self.path_socket),
            "the abstract socket was reached": _called(self.abstract_socket),
        }
        return [what for what, so in found.items() if so]

    def _runs(self) -> bool:
        if self.victim.poll() is not None:
            return False
        return Path(f"/proc/{self.victim.pid}/stat").read_text(encoding="utf-8").split()[2] != "T"

    def _limits(self) -> str:
        try:
            return Path(f"/proc/{self.victim.pid}/limits").read_text(encoding="utf-8")
        except FileNotFoundError:
            return "the process is gone"

    def _own_limits(self) -> str:
        return Path("/proc/self/limits").read_text(encoding="utf-8")

    def _traced(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            status = Path(f"/proc/{self.victim.pid}/status").read_text(encoding="utf-8")
            return "TracerPid:\t0\n" not in status
        return False


KEY_SIZE = 3000
"""Bytes of a key that an attempt leaves; nobody else's is as large."""


def key_bytes() -> int:
    """What the kernel keeps in keys, for the user who has most of them."""
    try:
        lines = Path("/proc/key-users").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return 0
    return sum(int(line.split()[4].split("/")[0]) for line in lines)


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _called(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(1)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def host() -> Generator[Host]:
    """Lay all of it out."""
    secret = "canary-" + secrets.token_hex(12)
    with contextlib.ExitStack() as stack:
        outside = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outside-")))
        (outside / "file").write_text(secret, encoding="utf-8")
        (outside / "file").chmod(0o600)
        for name in CREDENTIALS:
            (outside / "home" / name).parent.mkdir(parents=True, exist_ok=True)
            (outside / "home" / name).write_text(secret, encoding="utf-8")
        terminal = os.openpty()
        tty.setraw(terminal[1])
        for end in terminal:
            stack.callback(os.close, end)
        tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        tcp6 = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_STREAM))
        tcp6.bind(("::1", 0))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        path_socket = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", 0))
        path_socket.bind(str(outside / "socket"))
        abstract.bind(f"\0{secrets.token_hex(8)}")
        for one in (tcp, tcp6, path_socket, abstract):
            one.listen()
        for one in (tcp, tcp6, udp, path_socket, abstract):
            one.setblocking(False)
        program = [sys.executable, "-I", "-S", "-c", _VICTIM, secret]
        victim = subprocess.Popen(
            program, env={"CANARY": secret}, stdout=subprocess.PIPE, start_new_session=True
        )
        stack.callback(_ended, victim)
        address = int(victim.stdout.readline()) if victim.stdout else 0
        yield Host(
            outside,
            secret,
            victim,
            address,
            terminal,
            key_bytes(),
            tcp,
            tcp6,
            udp,
            path_socket,
            abstract,
        )


def _ended(victim: subprocess.Popen[bytes]) -> None:
    victim.kill()
    if victim.stdout:
        victim.stdout.close()
    victim.wait()


def eventually_none(marker: str, seconds: float = 5) -> list[int]:
    """The processes with this marker that are left after at most so many seconds."""
    deadline = time.monotonic() + seconds
    while (left := marked(marker)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def report(result: CommandResult) -> dict[str, int]:
    """What a program printed as JSON on its last line."""
    found: dict[str, int] = json.loads(result.output.strip().splitlines()[-1])
    return found
