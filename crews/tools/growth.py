"""How much may agents add to the files that were copied, and what is taken back of a command that adds more?

Each command may write only so much, but many commands together could fill the disk, and a file that takes no room on
disk can still be gigabytes to whoever reads it. Sizes are therefore what a reader would get.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from crews.tools.base import ToolError
from crews.tools.folders import visit
from crews.tools.paths import opened_folder, remove, status_of

MOST_FILES = 100_000
"""Files and folders beyond those that were copied."""
MOST_BYTES = 8 << 30
"""Bytes beyond those that were copied."""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Extent:
    """How many files and folders there are, and how large they are together."""

    files: int
    bytes: int

    def beyond(self, other: Extent) -> bool:
        """Is it more than one may grow to that began as `other`?"""
        return self.files - other.files > MOST_FILES or self.bytes - other.bytes > MOST_BYTES


@dataclass(frozen=True, slots=True)
class _Entry:
    changed: int
    path: str
    size: int
    is_folder: bool


def _entries(root: Path) -> list[_Entry]:
    found: list[_Entry] = []
    for visited in visit(root):
        for entry in visited.entries:
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                is_folder = entry.is_dir(follow_symlinks=False)
                size = 0 if is_folder else status.st_size
                path = visited.named(entry.name)
                found.append(_Entry(status.st_ctime_ns, path, size, is_folder))
    return found


def _extent(entries: list[_Entry]) -> Extent:
    return Extent(len(entries), sum(entry.size for entry in entries))


def take_back(root: Path, base: Path) -> tuple[str, ...]:
    """Remove the newest files until the folder has not outgrown `base`; a line for each, sorted."""
    entries = _entries(root)
    now = _extent(entries)
    if not now.beyond(Extent(0, 0)):  # then it has not outgrown what was copied either
        return ()
    start = _extent(_entries(base))
    newest = sorted(entries, key=lambda entry: -entry.changed)
    removed: list[str] = []
    left: list[_Entry] = []
    while newest and len(newest) != len(left):  # a folder goes once nothing is in it any more
        left = []
        for entry in newest:
            if not now.beyond(start):
                return _told(removed)
            if _is_copied(base, entry) or not _removed(root, entry):
                left.append(entry)
                continue
            now = Extent(now.files - 1, now.bytes - entry.size)
            removed.append(entry.path)
        newest, left = left, newest
    return _told(removed)


def _is_copied(base: Path, entry: _Entry) -> bool:
    with contextlib.suppress(ToolError):
        status = status_of(base, entry.path)
        return status is not None and (entry.is_folder or status.st_size == entry.size)
    return False


def _removed(root: Path, entry: _Entry) -> bool:
    try:
        if entry.is_folder:
            above, _, name = entry.path.rpartition("/")
            with opened_folder(root, above) as parent:
                os.rmdir(name, dir_fd=parent)  # if it holds nothing by now
        else:
            remove(root, entry.path)
    except (OSError, ToolError):
        return False
    return True


def _told(removed: list[str]) -> tuple[str, ...]:
    if not removed:
        return ()
    named = ", ".join(f"`{ascii(path)[1:-1]}`" for path in sorted(removed)[:_SHOWN])
    more = f" and {len(removed) - _SHOWN:,} more" if len(removed) > _SHOWN else ""
    return (
        f"removed {named}{more}: the workspace may grow by {MOST_FILES:,} files and {MOST_BYTES:,} bytes, "
        "whether they take room on disk or not",
    )
