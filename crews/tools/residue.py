"""What did a command leave in the workspace that may not stay there?

Version control folders (their hooks and settings run code on the user's machine), pipes, sockets and devices
(opening one can hang or do worse), folders nested without end, and modes that keep the owner out or lend rights.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from crews.tools.folders import DEEPEST, Visited, remove, visit
from crews.tools.protected import is_protected

_LENT = stat.S_ISUID | stat.S_ISGID
_SHOWN = 10


def version_control_in(workspace: Path) -> frozenset[str]:
    """Relative paths of what is there already, which `clear` leaves alone."""
    return frozenset(
        visited.named(entry.name)
        for visited in visit(workspace)
        for entry in visited.entries
        if is_protected(entry.name)
    )


def clear(workspace: Path, known: frozenset[str]) -> tuple[str, ...]:
    """Remove it and say so, a line each, sorted; `known` is what `version_control_in` found before."""
    lines: list[str] = []
    for visited in visit(workspace, unlock=True):
        lines += _clear(visited, known)
    shown = sorted(lines)
    if len(shown) > _SHOWN:
        shown = [*shown[:_SHOWN], f"removed {len(shown) - _SHOWN} more of these"]
    return tuple(shown)


def _clear(visited: Visited, known: frozenset[str]) -> Iterator[str]:
    for entry in visited.entries:
        path = visited.named(entry.name)
        with contextlib.suppress(FileNotFoundError):
            mode = entry.stat(follow_symlinks=False).st_mode
            if reason := _reason(mode, entry.name, visited.depth, allowed=path in known):
                remove(visited.descriptor, entry.name)
                yield f"removed `{ascii(path)[1:-1]}`: {reason}"
            elif stat.S_ISREG(mode) and (mode & _LENT or mode & 0o600 != 0o600):
                _restore(visited.descriptor, entry.name)


def _reason(mode: int, name: str, depth: int, *, allowed: bool) -> str:
    if is_protected(name) and not allowed:
        return "version control folders cannot be made here"
    if stat.S_ISDIR(mode):
        return f"nested deeper than {DEEPEST} folders" if depth >= DEEPEST else ""
    ordinary = stat.S_ISREG(mode) or stat.S_ISLNK(mode)
    return "" if ordinary else "pipes, sockets and devices cannot stay in the workspace"


def _restore(descriptor: int, name: str) -> None:
    """Give the owner his file back, and take from it what it lends to others."""
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        found = os.fstat(held).st_mode
        if stat.S_ISREG(found):
            Path(f"/proc/self/fd/{held}").chmod((stat.S_IMODE(found) | 0o600) & ~_LENT)
    finally:
        os.close(held)
