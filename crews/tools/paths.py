"""Where does a path that a model gave lead, and how is it opened so that nothing leaves the root?

Every open starts at a descriptor of the root and resolves beneath it without following a link
(`beneath`). What is checked is the open descriptor, never the name, so there is no moment between
check and use.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Generator
from functools import lru_cache
from pathlib import Path

from crews.tools.base import ToolError
from crews.tools.opening import (
    WORKSPACE_NAME,
    FileAbsent,
    explanation,
    file_at,
    file_of,
    folder_at,
    pieces,
    regular,
    split,
)
from crews.tools.protected import is_protected

READ_LIMIT = 8 * 1024 * 1024
"""Largest file that is read as text, in bytes."""
TEMP_PREFIX = ".crews-tmp-"
"""Files being written; they are never listed, read or copied."""

DEEPEST = 200
"""Folders inside folders that are entered, or made."""
_PATH_BYTES = 4096
_NAME_BYTES = 255
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


Check = Callable[[int, str], None]
"""Given the open folder and the name, right before it is replaced or removed; raises ToolError."""


class NotText(ToolError):
    """The file is there, but it is not UTF-8 text."""


@lru_cache(maxsize=1024)
def clean(path: str) -> str:
    """The workspace-relative POSIX path that a model means; `.` is the workspace itself.

    Raises:
        ToolError: the path is absolute (but for `/workspace/...`), climbs with `..`, is protected,
        or is
            no usable name.
    """
    shown = _shown(path)
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        raise ToolError(f"the path {shown} is not valid Unicode") from None
    if size > _PATH_BYTES:
        raise ToolError(f"the path {shown} is longer than {_PATH_BYTES} bytes")
    if _CONTROL.search(path):
        raise ToolError(f"the path {shown} holds a control character")
    if "\\" in path:
        raise ToolError(f"the path {shown} holds a backslash; write / between folders")
    if path == WORKSPACE_NAME or path.startswith(WORKSPACE_NAME + "/"):
        path = path[len(WORKSPACE_NAME) :].lstrip("/")
    if path.startswith("/") or re.match(r"(~|[A-Za-z]:)(/|$)", path):
        raise ToolError(f"the path {shown} is absolute; give it relative to {WORKSPACE_NAME}")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    _check_parts(parts, shown)
    return "/".join(parts) or "."


def clean_file(path: str) -> str:
    """Like `clean`, for a path that must name a file, not the workspace itself."""
    if (found := clean(path)) == ".":
        raise ToolError("give the path of a file; this is the workspace itself")
    return found


def _check_parts(parts: list[str], shown: str) -> None:
    if len(parts) > DEEPEST:
        raise ToolError(f"the path {shown} goes through more than {DEEPEST} folders")
    for part in parts:
        _check_name(part, shown)


def _check_name(part: str, shown: str) -> None:
    if part == "..":
        raise ToolError(
            f"the path {shown} climbs with ..; nothing outside {WORKSPACE_NAME} can be reached"
        )
    if len(part.encode()) > _NAME_BYTES:
        raise ToolError(f"the path {shown} has a name longer than {_NAME_BYTES} bytes")
    if is_protected(part):
        raise ToolError(
            f"the path {shown} is protected: version control folders cannot be read or written"
        )
    if part.startswith(TEMP_PREFIX):
        raise ToolError(f"the path {shown} is a name kept for files being written")


def _shown(path: str) -> str:
    text = ascii(path) if _CONTROL.search(path) or not path.isprintable() else f"`{path}`"
    return text if len(text) <= 120 else text[:100] + "..."


@lru_cache(maxsize=8192)
def is_usable(name: str) -> bool:
    """Can a file of this name, as found on disk, be copied and shown?"""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return not (_CONTROL.search(name) or is_protected(name) or name.startswith(TEMP_PREFIX))


@contextlib.contextmanager
def opened_folder(root: Path, path: str, *, create: bool = False) -> Generator[int]:
    """A descriptor of the folder `path` beneath `root`; `create`: make what is missing.

    Raises:
        FileAbsent: there is no such folder.
        ToolError: it cannot be reached without following a link or leaving the root.
    """
    found = folder_at(root, path, create=create)
    try:
        yield found
    finally:
        os.close(found)


@contextlib.contextmanager
def opened_file(root: Path, path: str) -> Generator[tuple[int, os.stat_result]]:
    """A descriptor, to read, of the regular file `path`, with what `fstat` says of it."""
    found = file_at(root, path)
    try:
        yield found, regular(found, path)
    finally:
        os.close(found)


@contextlib.contextmanager
def file_in(parent: int, path: str) -> Generator[tuple[int, os.stat_result]]:
    """The same, of a file whose folder is open."""
    found = file_of(parent, path)
    try:
        yield found, regular(found, path)
    finally:
        os.close(found)


def read_bytes(root: Path, path: str, limit: int = READ_LIMIT) -> bytes:
    """The whole file, at most `limit` bytes.

    Raises:
        FileAbsent: there is no such file.
        ToolError: it is larger than `limit`, not a regular file, or not beneath the root.
    """
    found = file_at(root, path)
    try:
        size = regular(found, path).st_size
        data = b"" if size > limit else _read(found, size, limit)
    except OSError as error:
        raise explanation(error, path) from None
    finally:
        os.close(found)
    if size > limit or len(data) > limit:
        raise ToolError(f"`{path}` is larger than {limit:,} bytes")
    return data


def _read(found: int, size: int, limit: int) -> bytes:
    read: list[bytes] = []
    left = limit
    for piece in pieces(found, size):
        read.append(piece)
        left -= len(piece)
        if left < 0:
            break  # it grows while it is read
    return b"".join(read)


def decode(data: bytes, path: str) -> str:
    """The text of a file, line ends kept. Raises NotText for NUL bytes and what is not UTF-8."""
    if b"\0" in data:
        raise NotText(f"`{path}` is a binary file ({len(data):,} bytes)")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise NotText(
            f"`{path}` is not UTF-8 text (byte {error.start:,} cannot be decoded)"
        ) from None


def status_of(root: Path, path: str) -> os.stat_result | None:
    """What is there, links not followed; None: nothing. Raises ToolError if a link leads there."""
    folder, name = split(path)
    try:
        parent = folder_at(root, folder)
    except FileAbsent:
        return None
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError as error:
        if isinstance(told := explanation(error, path), FileAbsent):
            return None
        raise told from None
    finally:
        os.close(parent)


def link_target(root: Path, path: str) -> str:
    """Where the symbolic link `path` points to, as written in it."""
    folder, name = split(path)
    with opened_folder(root, folder) as parent, _explained(path):
        return os.readlink(name, dir_fd=parent)


def write_bytes(
    root: Path,
    path: str,
    data: bytes,
    mode: int | None = None,
    *,
    flush: bool = True,
    check: Check | None = None,
) -> None:
    """Replace or create the file in one step: a temporary file beside it, then a rename.

    The mode of an existing file is kept unless `mode` (permission bits) is given. A hard link is
    replaced, never written through. `check` is the last thing before the rename.
    """
    folder, name = split(path)
    with opened_folder(root, folder, create=True) as parent, _explained(path):
        existing = _existing(parent, name, path)
        temporary = TEMP_PREFIX + secrets.token_hex(8)
        try:
            create_file(parent, temporary, data, mode, existing, flush=flush)
            if check is not None:
                check(parent, name)
            os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=parent)
            raise


def create_file(
    parent: int,
    name: str,
    data: bytes,
    mode: int | None = None,
    like: os.stat_result | None = None,
    executable: bool = False,
    flush: bool = True,
) -> None:
    """Write a new file into an open folder.

    Args:
        parent: Descriptor of the folder.
        name: A name that is not taken.
        data: The content.
        mode: Permission bits; None: those of `like`, else the process's default.
        like: The file that it replaces: its owner, too, is kept where that is allowed.
        executable: With no `mode` and no `like`: executable by whoever may read it.
        flush: Wait until it is on the disk.
    """
    if mode is None and like is not None:
        mode = stat.S_IMODE(like.st_mode)
    default = 0o777 if executable else 0o666  # less the umask
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with _closing(os.open(name, flags, default if mode is None else 0o600, dir_fd=parent)) as made:
        view = memoryview(data)
        while view:
            view = view[os.write(made, view) :]
        if like is not None:
            with contextlib.suppress(PermissionError):
                os.fchown(made, like.st_uid, like.st_gid)
        if mode is not None:
            os.fchmod(made, mode)
        if flush:
            os.fsync(made)


def remove(root: Path, path: str, check: Check | None = None) -> None:
    """Delete the file or link `path`. Raises FileAbsent, and ToolError for a folder."""
    folder, name = split(path)
    with opened_folder(root, folder) as parent, _explained(path):
        if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise ToolError(f"`{path}` is a folder")
        if check is not None:
            check(parent, name)
        os.unlink(name, dir_fd=parent)


def _existing(parent: int, name: str, path: str) -> os.stat_result | None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISREG(status.st_mode):
        return status
    raise ToolError(f"`{path}` is a {kind_of(status)}, not a regular file; it cannot be written")


def kind_of(status: os.stat_result) -> str:
    """`folder`, `symbolic link`, `regular file` or `special file`."""
    kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "symbolic link", stat.S_IFREG: "regular file"}
    return kinds.get(stat.S_IFMT(status.st_mode), "special file")


@contextlib.contextmanager
def _closing(descriptor: int) -> Generator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: str) -> Generator[None]:
    """Turn the system's errors into texts with the path as the agent knows it."""
    try:
        yield
    except OSError as error:
        raise explanation(error, path) from None
