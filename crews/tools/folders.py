"""How is a folder walked, measured and removed that a command may have filled with anything?

Every step is taken from an open descriptor and follows no link, so that nothing that changes
meanwhile leads out of the folder; depth is bounded, because a command can nest folders until a
recursive walk breaks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEEPEST = 100
"""Levels that are entered; what lies deeper is left to the caller."""
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Visited:
    """One folder on the way."""

    path: str
    """Relative to where the walk began, POSIX; empty: the beginning itself."""
    descriptor: int
    entries: tuple[os.DirEntry[str], ...]
    depth: int

    def named(self, name: str) -> str:
        """The relative path of an entry."""
        return f"{self.path}/{name}" if self.path else name


def visit(folder: Path, *, unlock: bool = False) -> Iterator[Visited]:
    """Every folder beneath, itself first; `unlock`: give back to owners what modes took away."""
    with contextlib.suppress(OSError):
        yield from _visit(os.open(folder, _OPEN), "", 0, unlock)


def _visit(descriptor: int, path: str, depth: int, unlock: bool) -> Iterator[Visited]:
    try:
        with os.scandir(descriptor) as found:
            here = Visited(path, descriptor, tuple(found), depth)
        yield here
        for entry in here.entries if depth < DEEPEST else ():
            if entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(
                    OSError
                ):  # removed, or replaced by something else, meanwhile
                    if unlock:
                        _unlock(descriptor, entry.name)
                    below = os.open(entry.name, _OPEN, dir_fd=descriptor)
                    yield from _visit(below, here.named(entry.name), depth + 1, unlock)
    finally:
        os.close(descriptor)


def _unlock(descriptor: int, name: str) -> None:
    """Let its owner read, write and enter a folder; the descriptor used needs no right to it."""
    held = os.open(
        name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor
    )
    try:
        mode = stat.S_IMODE(os.fstat(held).st_mode)
        if mode & 0o700 != 0o700:
            Path(f"/proc/self/fd/{held}").chmod(mode | 0o700)
    finally:
        os.close(held)


def size_of(folder: Path) -> int:
    """What it takes on disk, in bytes; every entry counts for 4 KiB at least."""
    total = 0
    for visited in visit(folder):
        for entry in visited.entries:
            with contextlib.suppress(OSError):
                total += max(4096, entry.stat(follow_symlinks=False).st_blocks * 512)
    return total


def discard(folder: Path) -> None:
    """Remove a folder with all that is in it, whatever modes and depths are found."""
    with contextlib.suppress(FileNotFoundError):
        parent = os.open(folder.parent, _OPEN)
        try:
            remove(parent, folder.name)
        finally:
            os.close(parent)


def remove(descriptor: int, name: str) -> None:
    """Remove the entry of an open folder; a folder with all that is in it. A link is not followed."""
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=descriptor)
            return
        _unlock(descriptor, name)
        for _ in _visit(os.open(name, _OPEN, dir_fd=descriptor), "", 0, unlock=True):
            pass  # makes every folder enterable
    with contextlib.suppress(RecursionError):
        shutil.rmtree(name, ignore_errors=True, dir_fd=descriptor)
    with contextlib.suppress(FileNotFoundError):  # nested deeper than Python can follow
        os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        command = ["/bin/rm", "-rf", "--", name]
        here = f"/proc/self/fd/{descriptor}"
        subprocess.run(command, cwd=here, check=False, stderr=subprocess.DEVNULL)  # noqa: S603
