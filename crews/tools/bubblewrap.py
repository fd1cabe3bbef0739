"""How does a command run in bubblewrap, with namespaces and files of its own and no network?

With `egress:` in policy.yaml a command reaches the hosts listed there by a proxy on our side; it
still has no network but its own.

What it holds: the command sees `/usr`, the running Python, a few files of `/etc`, `/workspace` and
a private `/tmp`, nothing else of the host's files; its own processes only; a network with nothing
but its own loopback, so that test servers work. seccomp closes the kernel's less travelled doors.
Whatever it starts ends with it.

What it does not hold: a hole in the kernel itself; what lies in the workspace (`.git` there is
read-only, but a command may write any other file, to be judged as a change set afterwards); and
exact limits, which are watched (`crews.tools.watching`), so that a burst can pass them for some
hundredths of a second.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from crews.errors import SandboxUnavailable
from crews.safety.egress import AllowList
from crews.tools import egress_child
from crews.tools.egress import FOLDER, PORT, SOCKET, Proxy, proxied
from crews.tools.launching import Launch, carry_out, gone, status_pipe
from crews.tools.ownership import has_capability, taken_over
from crews.tools.paths import WORKSPACE_NAME
from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox
from crews.tools.seccomp import Refusals, program
from crews.tools.surroundings import (
    ETC,
    SHELL,
    SYSTEM,
    Interpreter,
    Scratch,
    environment,
    general_files,
    interpreter,
    scratch,
    search_path,
)
from crews.tools.watching import kernel_limits

_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN = 6, 7, 21
_FORWARDER = "/run/forwarder.py"
_PROGRAMS = "/run/programs"
"""Where the private programs (`python`, if need be) are seen."""
_ULIMIT = {  # resource -> (option of `ulimit`, its unit); every shell of Linux has these
    "RLIMIT_CORE": ("-c", 512),
    "RLIMIT_CPU": ("-t", 1),
    "RLIMIT_FSIZE": ("-f", 512),
    "RLIMIT_NOFILE": ("-n", 1),
    "RLIMIT_DATA": ("-d", 1024),
}


@dataclass(frozen=True, slots=True)
class Bubblewrap(Sandbox):
    """The backend, with what it needs."""

    name: ClassVar[str] = "bubblewrap"
    bwrap: str
    setpriv: str
    """Drops the user inside; empty: we are not root, bubblewrap makes a user namespace."""
    setsid: str
    """Takes the command, not bubblewrap's own processes, out of the group that the leash kills."""
    python: Interpreter
    refused: bytes = field(repr=False)
    """The seccomp program."""
    hosts: AllowList = AllowList()
    """See `egress`."""

    @property
    def egress(self) -> AllowList:
        """See `Sandbox.egress`."""
        return self.hosts

    @classmethod
    def found(cls) -> Bubblewrap:
        """The backend with the programs of this machine.

        Raises:
            SandboxUnavailable: something that it needs is missing.
        """
        bwrap, setpriv, setsid = map(shutil.which, ("bwrap", "setpriv", "setsid"))
        refused = program(platform.machine(), Refusals())
        if bwrap is None:
            raise SandboxUnavailable("`bwrap` is not installed")
        if setsid is None:
            raise SandboxUnavailable("`setsid` (util-linux) is not installed")
        if refused is None:
            raise SandboxUnavailable(f"no system call filter for {platform.machine()}")
        if os.getuid() != 0:
            return cls(bwrap, "", setsid, interpreter(), refused)
        if setpriv is None:
            raise SandboxUnavailable("`setpriv` (util-linux) is not installed")
        if not all(map(has_capability, (_CAP_SETGID, _CAP_SETUID, _CAP_SYS_ADMIN))):
            raise SandboxUnavailable("root may not make namespaces here (a container?)")
        return cls(bwrap, setpriv, setsid, interpreter(), refused)

    async def run(
        self, command: str, workspace: Path, limits: CommandLimits, writable: bool = True
    ) -> CommandResult:
        """See `Sandbox.run`."""
        workspace, uid = await asyncio.to_thread(taken_over, workspace)
        async with scratch(self.python, uid) as private:
            if not self.egress:
                return await self._run(command, workspace, limits, writable, private, uid)
            async with Proxy(self.egress).serving(private.root / "egress", uid) as proxy:
                ended = await self._run(command, workspace, limits, writable, private, uid)
            return replace(ended, facts=proxy.facts)

    async def _run(
        self,
        command: str,
        workspace: Path,
        limits: CommandLimits,
        writable: bool,
        private: Scratch,
        uid: int | None,
    ) -> CommandResult:
        own = os.getuid() if uid is None else uid
        with status_pipe() as status, self._filter() as calls, general_files(own) as general:
            files = self._files(private, workspace, general, writable)
            launch = Launch(
                argv=(
                    *(self.bwrap, *self._namespaces(), *files),
                    *("--seccomp", str(calls), "--json-status-fd", str(status.writer), "--"),
                    *self._payload(command, uid),
                ),
                environment=self._environment(),
                descriptors=(calls, status.writer, *general.values()),
                folders=(workspace, private.root),
                first=_limited(kernel_limits(limits, uid)),
            )
            ended = await carry_out(launch, limits)
            said = _Said.parse(status.read())
            if said.pid:
                await gone(said.pid)
        if said.code is None and ended.code > 0:
            reason = ended.output.text().strip()
            raise SandboxUnavailable(f"bubblewrap could not start the command: {reason}")
        return ended.result(said.code, {str(workspace): WORKSPACE_NAME, **self.python.names})

    def _environment(self) -> dict[str, str]:
        own = environment(search_path(self.python, _PROGRAMS), "/tmp")  # noqa: S108
        return own | (proxied() if self.egress else {})

    def _namespaces(self) -> Iterator[str]:
        yield from ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts")
        yield from ("--unshare-cgroup-try", "--hostname", "sandbox")
        # Not --new-session: with it bubblewrap's first process leaves the group that the leash kills
        # some moments before --die-with-parent holds for it.
        yield from ("--die-with-parent", "--cap-drop", "ALL")
        if self.setpriv:
            yield from ("--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")
        else:
            yield "--unshare-user"

    def _files(
        self, private: Scratch, workspace: Path, general: Mapping[str, int], writable: bool
    ) -> Iterator[str]:
        """The command's file system, the outermost first; what is not named is not there."""
        yield from ("--bind", str(private.tmp), "/tmp")  # noqa: S108 - Python may live beneath it
        yield from _system()
        shown = {path: path for path in ETC if os.path.isdir(path)}  # noqa: PTH112 - a Path costs more than the look
        shown |= {str(prefix): str(prefix) for prefix in self.python.prefixes}
        if private.bin.is_dir():
            shown[_PROGRAMS] = str(private.bin)
        if self.egress:
            shown[FOLDER] = str(private.root / "egress")
            shown[_FORWARDER] = egress_child.__file__
        for folder in _parents([*shown, *general]):  # else they are closed to all but bubblewrap
            yield from ("--dir", folder)
        for name, descriptor in general.items():  # a copy costs a tenth of what a mount does
            yield from ("--file", str(descriptor), name)
        for name, path in shown.items():
            yield from ("--ro-bind", path, name)
        for name, path in {name: path for path, name in self.python.names.items()}.items():
            yield from ("--symlink", path, name)
        yield from ("--proc", "/proc", "--dev", "/dev")
        yield from ("--bind", str(private.shm), "/dev/shm", "--remount-ro", "/dev")  # noqa: S108
        yield from ("--bind" if writable else "--ro-bind", str(workspace), WORKSPACE_NAME)
        history = workspace / ".git"
        if history.exists() and not history.is_symlink():
            yield from ("--ro-bind", str(history), f"{WORKSPACE_NAME}/.git")
        yield from ("--remount-ro", "/", "--chdir", "/")

    def _payload(self, command: str, uid: int | None) -> Iterator[str]:
        """Leave the terminal's session, drop the user, become the shell."""
        yield self.setsid
        if uid is not None:
            yield from (self.setpriv, f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
            yield "--inh-caps=-all"
        if self.egress:
            yield from (str(self.python.program), "-I", "-S", _FORWARDER)
            yield from (f"{FOLDER}/{SOCKET}", str(PORT))
        # Only here: bubblewrap has no right to enter a folder that belongs to the user. On one line with the
        # command, so that the shell's messages count its lines.
        yield from (SHELL, "-c", f"cd {WORKSPACE_NAME} || exit 126; {command}")

    @contextmanager
    def _filter(self) -> Generator[int]:
        reader, writer = os.pipe()
        try:
            os.write(writer, self.refused)  # some 1.5 kB: fits into the pipe
            os.close(writer)
            yield reader
        finally:
            os.close(reader)


def _limited(values: Mapping[str, int]) -> str:
    """Shell text that sets the limits for all that the shell becomes and starts; the shell ends where it cannot."""
    counted = values["RLIMIT_NPROC"]
    lines = [
        f"ulimit {_ULIMIT[k][0]} {v // _ULIMIT[k][1]}" for k, v in values.items() if k in _ULIMIT
    ]
    # bash has -u for what dash and busybox call -p
    lines += [f"{{ ulimit -u {counted} 2>/dev/null || ulimit -p {counted}; }}"]
    return " && ".join(lines)


def _system() -> Iterator[str]:
    for folder in SYSTEM:
        if os.path.islink(folder):  # noqa: PTH114
            yield from ("--symlink", os.readlink(folder), folder)  # noqa: PTH115
        elif os.path.isdir(folder):  # noqa: PTH112
            yield from ("--ro-bind", folder, folder)


def _parents(names: Iterable[str]) -> list[str]:
    """Every folder above, the outermost first."""
    found: set[str] = set()
    for name in names:
        above = name.rpartition("/")[0]
        while above and above not in found:
            found.add(above)
            above = above.rpartition("/")[0]
    return sorted(found)


@dataclass(frozen=True, slots=True)
class _Said:
    """What bubblewrap reports on its status descriptor, a JSON object a line."""

    pid: int = 0
    """The first process of the command's process namespace, as the host numbers it."""
    code: int | None = None

    @classmethod
    def parse(cls, text: str) -> _Said:
        facts: dict[str, object] = {}
        for line in text.splitlines():
            facts |= json.loads(line)
        pid, code = facts.get("child-pid"), facts.get("exit-code")
        return cls(pid if isinstance(pid, int) else 0, code if isinstance(code, int) else None)
