"""How does a command run under Landlock and seccomp, which need no package and no privilege?

What it holds: files outside the workspace, the private folder, the system's programs and the
running Python can be neither read nor written, listed nor linked; no socket of any kind can be
made, so nothing is reached, on the host or beyond; no signal leaves; nothing is left running.

What it cannot hold, and bubblewrap can:
- Files have no names of their own: `/workspace` and `/tmp` in the text of the command are replaced
  by the real folders, and the real folders in its output by those names. A script that has them
  inside is not helped, and what a command writes into a file may hold the real name.
- Servers on loopback do not work, nor do Unix sockets, except socket pairs.
- That a file exists, its size and times (`stat`) can be found out; existing process numbers and the
  machine's name too. `/proc` cannot be read but for a few general files, so `ps` shows nothing.
- Nothing inside the workspace is protected: give it a copy without `.git`.
- Without private mounts (a kernel older than 5.12, or no user namespaces): no `/dev/shm`, so the
  locks of `multiprocessing` fail; no change of modes and times by path (`chmod`, `shutil.copy`).
- With Landlock before ABI 6 (Linux 6.12) and no root: no signals at all, so `kill` and `timeout`
  fail.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from crews.errors import SandboxUnavailable
from crews.tools.keeping import Orders, Place, Right, keep, plain_orders
from crews.tools.landlock_child import landlock_abi
from crews.tools.ownership import has_capability, reachable_by_others, taken_over
from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox
from crews.tools.seccomp import Refusals, program
from crews.tools.surroundings import (
    DEVICES,
    ETC,
    SYSTEM,
    Interpreter,
    Scratch,
    interpreter,
    scratch,
)
from crews.tools.watching import kernel_limits

_CAP_DAC_READ_SEARCH = 2
_GENERAL = ("/etc/passwd", "/etc/group", "/etc/hosts")
_PROC = ("cpuinfo", "meminfo", "stat", "loadavg", "uptime", "version", "filesystems", "sys/kernel")
_SIGNALS_SINCE, _TRUNCATE_SINCE = 6, 3


@dataclass(frozen=True, slots=True)
class Landlock(Sandbox):
    """The backend, with what the kernel offers."""

    name: ClassVar[str] = "landlock"
    abi: int
    private_mounts: bool
    python: Interpreter

    @classmethod
    def found(cls, *, private_mounts: bool = True, abi: int | None = None) -> Landlock:
        """The backend on this kernel; `abi`: use no more than that version of Landlock.

        Raises:
            SandboxUnavailable: the kernel, or this machine, does not have what it needs.
        """
        known = landlock_abi() if sys.platform == "linux" else 0
        if known == 0:
            raise SandboxUnavailable("the kernel has no Landlock")
        if program(platform.machine(), Refusals()) is None:
            raise SandboxUnavailable(f"no system call filter for {platform.machine()}")
        return cls(known if abi is None else min(abi, known), private_mounts, interpreter())

    async def run(
        self, command: str, workspace: Path, limits: CommandLimits, writable: bool = True
    ) -> CommandResult:
        """See `Sandbox.run`."""
        workspace, uid = await asyncio.to_thread(taken_over, workspace)
        search = uid is not None and self._needs_search(workspace)
        async with scratch(self.python, uid) as private:
            orders = self._orders(private, workspace, limits, writable)
            orders["uid"], orders["search"] = uid, search
            orders["limits"] = kernel_limits(limits, uid)
            return await keep(command, orders, limits, Place(workspace, private, self.python))

    def _needs_search(self, workspace: Path) -> bool:
        """Does a user without rights need root's help to come to Python and the workspace?"""
        temporary = Path(tempfile.gettempdir())
        if reachable_by_others(*self.python.prefixes, workspace.parent, temporary):
            return False
        if not has_capability(_CAP_DAC_READ_SEARCH):
            raise SandboxUnavailable("Python or the workspace lies where only root may look")
        return True

    def _orders(
        self, private: Scratch, workspace: Path, limits: CommandLimits, writable: bool
    ) -> Orders:
        python = self.python
        readable = [*SYSTEM, *ETC, *_GENERAL, *(f"/proc/{name}" for name in _PROC)]
        readable += [*map(str, python.prefixes), str(private.bin), "/sys/devices/system/cpu"]
        rights: list[tuple[str, Right]] = [(path, "read") for path in readable]
        rights.extend((path, "device") for path in DEVICES)
        rights.extend((str(folder), "write") for folder in (private.tmp, private.shm))
        rights.append((str(workspace), "write" if writable else "read"))
        changed = [str(private.tmp), *([str(workspace)] if writable else [])]
        orders = plain_orders(python, private, workspace)
        orders["rules"], orders["abi"], orders["filter"] = rights, self.abi, self._filter().hex()
        orders["mounts"], orders["writable"] = self.private_mounts, changed
        orders["shared_memory"] = str(private.shm)
        return orders

    def _filter(self) -> bytes:
        as_root = os.getuid() == 0
        refusals = Refusals(
            shared=True,
            signals=self.abi < _SIGNALS_SINCE and not as_root,
            metadata=not self.private_mounts and not as_root,
            truncate=self.abi < _TRUNCATE_SINCE,
        )
        return program(platform.machine(), refusals) or b""
