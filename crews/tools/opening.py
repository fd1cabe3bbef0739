"""How is a file beneath a root opened, and what is an agent told where that cannot be?

Whoever asks closes the descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from crews.tools.base import ToolError
from crews.tools.beneath import FOLDER_FLAGS, open_folder

WORKSPACE_NAME = "/workspace"
"""What agents call the workspace, in the sandbox and in every path."""

_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_PIECE = 1024 * 1024
_LEAST = 4096  # of a file that says that it is empty, and need not be


class FileAbsent(ToolError):
    """There is no file of that name."""


class ThroughLink(ToolError):
    """The path is, or goes through, a symbolic link."""


def folder_at(root: Path, path: str, *, create: bool = False) -> int:
    """A descriptor of the folder `path` beneath `root`; `create`: make what is missing."""
    try:
        top = os.open(root, FOLDER_FLAGS)
        if path in ("", "."):
            return top
        try:
            return open_folder(top, path.split("/"), create=create)
        finally:
            os.close(top)
    except OSError as error:
        raise explanation(error, path) from None


def file_at(root: Path, path: str) -> int:
    """A descriptor, to read, of the file `path` beneath `root`."""
    parent = folder_at(root, split(path)[0])
    try:
        return file_of(parent, path)
    finally:
        os.close(parent)


def file_of(parent: int, path: str) -> int:
    """The same, of a file whose folder is open."""
    try:
        return os.open(split(path)[1], _FILE_FLAGS, dir_fd=parent)
    except OSError as error:
        raise explanation(error, path) from None


def regular(found: int, path: str) -> os.stat_result:
    """What `fstat` says of an open file; ToolError if it is not a regular one."""
    status = os.fstat(found)
    if stat.S_ISDIR(status.st_mode):
        raise ToolError(f"`{path}` is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise ToolError(f"`{path}` is not a regular file")
    return status


def pieces(found: int, expected: int) -> Iterator[bytes]:
    """What is left to read of an open file, which is expected to be of this size."""
    most = min(max(expected + 1, _LEAST), _PIECE)
    while piece := os.read(found, most):
        yield piece


def explanation(error: OSError, path: str) -> ToolError:
    """The system's error as a text with the path as the agent knows it."""
    if error.errno == errno.ENOENT:
        return FileAbsent(f"there is no `{path}`")
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return ThroughLink(f"`{path}` is, or goes through, a symbolic link")
    if error.errno in (errno.EXDEV, errno.EAGAIN):
        return ToolError(f"`{path}` leaves {WORKSPACE_NAME}")
    if error.errno == errno.ENOTDIR:
        return FileAbsent(f"there is no `{path}`: a part of it is not a folder")
    if error.errno == errno.ENXIO:
        return ToolError(f"`{path}` is not a regular file")
    reason = os.strerror(error.errno) if error.errno else "unknown error"
    return ToolError(f"`{path}`: {reason.lower()}")


def split(path: str) -> tuple[str, str]:
    """The folder of a file, and its name in it."""
    folder, _, name = path.rpartition("/")
    if name in ("", ".", ".."):
        raise ToolError(f"`{path}` does not name a file")
    return folder, name
