"""Which process holds the write lock of a SQLite file? As far as this system can tell."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path("/proc/locks")
"""Linux: https://man7.org/linux/man-pages/man5/proc_locks.5.html"""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, by its number and the name of its program."""

    pid: int
    name: str
    stopped: bool
    """By a signal or a debugger: it holds the lock for as long as it stays so."""

    @property
    def who(self) -> str:
        """In words."""
        mine = ", this one" if self.pid == os.getpid() else ""
        return f"process {self.pid} ({self.name}{mine})" + (", which is stopped" * self.stopped)

    @property
    def advice(self) -> str:
        """What can be done about it."""
        if self.stopped:
            return f"`kill -CONT {self.pid}` lets it go on; then go on with `crews resume`"
        return f"wait for process {self.pid}, or end it; then go on with `crews resume`"


WRITE_BYTE = 120
"""In the index of the write-ahead log, the byte that a writer locks: https://www.sqlite.org/walformat.html"""


def holder(database: Path) -> Holder | None:
    """The process that writes to a SQLite file now, or None if none can be found."""
    index, file = _inode(Path(f"{database}-shm")), _inode(database)
    for line in _lines(LOCKS):
        # "1: POSIX  ADVISORY  WRITE 4711 08:01:1234 120 120"; who waits has "->" after the number
        fields = line.split()
        if fields[1:4] != ["POSIX", "ADVISORY", "WRITE"] or int(fields[4]) <= 0:
            continue
        inode = int(fields[5].rpartition(":")[2])
        last = WRITE_BYTE if fields[7] == "EOF" else int(fields[7])
        if inode == file or (inode == index and int(fields[6]) <= WRITE_BYTE <= last):
            return _described(int(fields[4]))
    return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _described(pid: int) -> Holder | None:
    lines = _lines(Path(f"/proc/{pid}/stat"))
    if not lines:
        return None
    # "4711 (a name) T ...": the name may hold brackets itself
    before, _, after = lines[0].rpartition(")")
    return Holder(pid, before.partition("(")[2], after.split()[0] in {"T", "t"})


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
