"""What are a command's processes using right now, and which limit have they passed?

A thread of its own looks at the process tree and at the disk every few hundredths of a second, so
that a busy event loop delays nothing. It sees a limit passed, never prevents it: a burst can go
beyond by what fits between two looks. The kernel's own limits (`kernel_limits`) bound each single
process meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crews.tools.folders import size_of
from crews.tools.landlock_child import descendants
from crews.tools.sandbox import CommandLimits, KilledFor

MIB = 1024 * 1024
_PAUSE = 0.03
_DISK_SHARE = 0.1
"""At most this share of the time goes into measuring folders."""
_SLACK = 8 * MIB
"""Free disk space may shrink by this much, by whomever, before the folders are measured again."""


def kernel_limits(limits: CommandLimits, uid: int | None) -> dict[str, int]:
    """`RLIMIT_*` -> value for every process of a command that runs as `uid` (None: as ourselves).

    Memory is bounded generously (twice, and 512 MiB), because what a process reserves is more than
    what it uses, and what all of them use is watched. The kernel counts a user's processes with all
    of their threads, hence four times the number, on top of what the user runs already; it counts
    none of root's. That bound is what keeps a fork bomb within what the watch can end.
    """
    others = _tasks_of(os.getuid()) if uid is None else 0
    return {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": int(limits.wall_seconds * (os.cpu_count() or 1)) + 5,
        "RLIMIT_FSIZE": limits.file_mb * MIB,
        "RLIMIT_NOFILE": 1024,
        "RLIMIT_DATA": (2 * limits.memory_mb + 512) * MIB,
        "RLIMIT_NPROC": others + 4 * limits.processes,
    }


def _tasks_of(uid: int) -> int:
    """Processes and threads that this user has."""
    found = 0
    for process in Path("/proc").glob("[0-9]*/task") if sys.platform == "linux" else ():
        with contextlib.suppress(OSError):
            status = process.stat()
            found += status.st_nlink - 2 if status.st_uid == uid else 0
    return found


def tree(pid: int) -> list[int]:
    """The processes below `pid`: from the kernel's lists where it keeps them, else all are read."""
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists():
        return descendants(pid)
    found = _children(pid)
    for one in found:  # grows while it is walked
        found += _children(one)
    return found


def _children(pid: int) -> list[int]:
    below: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - a Path for each costs more than the look
            with open(f"/proc/{pid}/task/{task}/children", "rb") as listed:  # noqa: PTH123
                below += [int(child) for child in listed.read().split()]
    return below


def memory_of(pids: list[int], limit: int) -> int:
    """Memory of these processes, in bytes.

    First what each has that is not backed by a file; only where that passes `limit` the exact sum,
    in which pages that several share count once (`smaps_rollup`, slower).
    """
    rough = sum(_own_pages(pid) for pid in pids)
    return rough if rough <= limit else sum(_share(pid) for pid in pids)


def _own_pages(pid: int) -> int:
    """Resident memory with shared memory that no file backs: `man 5 proc`, statm and status."""
    return _sum_of_lines(f"/proc/{pid}/status", (b"RssAnon", b"RssShmem")) or 0


def _share(pid: int) -> int:
    shared = _sum_of_lines(f"/proc/{pid}/smaps_rollup", (b"Pss_Anon", b"Pss_Shmem"))
    return _own_pages(pid) if shared is None else shared


def _sum_of_lines(path: str, names: tuple[bytes, ...]) -> int | None:
    """The lines `NAME: N kB` of these names, in bytes; None if we may not read the file."""
    try:
        with open(path, "rb") as lines:  # noqa: PTH123
            return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
    except PermissionError:
        return None
    except OSError:  # the process has ended meanwhile
        return 0


@dataclass(slots=True)
class _Disk:
    """Growth of the watched folders, measured only when the free space says that it matters."""

    folders: tuple[Path, ...]
    start: int = 0
    free: int = 0
    next_look: float = 0.0

    def begin(self) -> None:
        self.start = self._measured()
        self.free = self._free()

    def growth(self) -> int:
        """Bytes grown, if it was time to look; else 0."""
        now = time.monotonic()
        if now < self.next_look or self.free - self._free() < _SLACK:
            return 0
        self.free = self._free()
        grown = self._measured() - self.start
        self.next_look = time.monotonic() + (time.monotonic() - now) / _DISK_SHARE
        return grown

    def _measured(self) -> int:
        return sum(size_of(folder) for folder in self.folders)

    def _free(self) -> int:
        """Free space of every disk concerned; a file without content counts as 4 KiB."""
        total = 0
        for folder in self.folders:
            with contextlib.suppress(OSError):
                disk = os.statvfs(folder)
                total += disk.f_bfree * disk.f_frsize + disk.f_ffree * 4096
        return total


@dataclass(slots=True)
class Watch:
    """Looks at one command until it is stopped, and calls `kill` once when a limit is passed."""

    pid: int
    limits: CommandLimits
    folders: tuple[Path, ...]
    kill: Callable[[], None]
    passed: KilledFor = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._look, name="command-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no longer; returns when the last look is over, within hundredths of a second."""
        self._over.set()

    def passed_by(self, limit: KilledFor) -> None:
        """Someone saw this limit passed: kill, unless that has been done."""
        if not self.passed and not self._over.is_set():
            self.passed = limit
            self.kill()

    def _look(self) -> None:
        deadline = time.monotonic() + self.limits.wall_seconds
        disk = _Disk(self.folders)
        disk.begin()
        while not self._over.wait(max(0.0, min(_PAUSE, deadline - time.monotonic()))):
            if passed := self._judge(disk, deadline):
                self.passed_by(passed)
                return

    def _judge(self, disk: _Disk, deadline: float) -> KilledFor:
        if time.monotonic() >= deadline:
            return "time"
        pids = tree(self.pid) if sys.platform == "linux" else []
        if len(pids) > self.limits.processes:
            return "processes"
        most = self.limits.memory_mb * MIB
        if memory_of(pids, most) > most:
            return "memory"
        return "disk" if disk.growth() > self.limits.disk_mb * MIB else ""
