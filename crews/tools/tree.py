"""Which files does a folder hold, and in which state is each?"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from crews.tools.base import ToolError
from crews.tools.ignore import Ignore
from crews.tools.paths import (
    READ_LIMIT,
    FileAbsent,
    NotText,
    decode,
    is_usable,
    link_target,
    opened_file,
    opened_folder,
    read_bytes,
    status_of,
)

Mode = Literal["100644", "100755", "120000"]
"""As git writes them: a file, an executable file, a symbolic link."""

_RACY_NS = 2_000_000_000  # a file touched this recently may change again without its times moving


@dataclass(frozen=True, slots=True)
class FileState:
    """One file's kind and content; a link's content is its target."""

    mode: Mode
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a folder that is not a folder."""

    path: str
    status: os.stat_result


StateCache = MutableMapping[tuple[str, str], tuple[tuple[int, ...], FileState]]
"""(root, path) -> (size, times, inode and mode; state)."""


def walk(
    root: Path,
    ignore: Ignore,
    *,
    start: str = ".",
    rules_in: Path | None = None,
    skipped: MutableMapping[str, str] | None = None,
) -> tuple[Found, ...]:
    """Everything beneath `start` that is not ignored, sorted by path; links are not followed.

    Args:
        root: The folder that paths are relative to.
        ignore: Rules that hold at `root`.
        start: The folder to begin in; the rules of the folders above it hold too.
        rules_in: Where `.gitignore` files are read, if anywhere.
        skipped: Filled with path -> reason. Without it a folder that cannot be read raises
        ToolError.
    """
    found: list[Found] = []
    pending = [(start, _rules_above(ignore, rules_in, start))]
    while pending:
        folder, above = pending.pop()
        rules = above.within(rules_in, folder) if rules_in else above
        try:
            entries = list(_entries(root, folder, skipped))
        except ToolError as error:
            if skipped is None:
                raise
            skipped[folder] = str(error)
            continue
        for path, status in entries:
            is_folder = stat.S_ISDIR(status.st_mode)
            if rules.ignores(path, folder=is_folder):
                continue
            if is_folder:
                pending.append((path, rules))
            else:
                found.append(Found(path, status))
    return tuple(sorted(found, key=lambda one: one.path))


def _rules_above(ignore: Ignore, rules_in: Path | None, start: str) -> Ignore:
    if rules_in is None or start == ".":
        return ignore
    folder = ""
    for part in ("", *start.split("/")[:-1]):
        folder = f"{folder}/{part}".strip("/")
        ignore = ignore.within(rules_in, folder or ".")
    return ignore


def _entries(
    root: Path, folder: str, skipped: MutableMapping[str, str] | None
) -> Iterator[tuple[str, os.stat_result]]:
    prefix = "" if folder == "." else folder + "/"
    with opened_folder(root, folder) as descriptor, _listed(descriptor, root / folder) as entries:
        for entry in entries:
            if not is_usable(entry.name):
                if skipped is not None:
                    skipped[ascii(prefix + entry.name)[1:-1]] = "a name that is not copied"
                continue
            try:
                yield prefix + entry.name, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # removed since the folder was read


def _listed(descriptor: int, folder: Path) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """The entries of an open folder; an error names the folder instead of the descriptor."""
    try:
        return os.scandir(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from None


def state_of(root: Path, path: str, cache: StateCache | None = None) -> FileState | None:
    """The state of one file; None where there is nothing, a folder, or a special file."""
    status = status_of(root, path)
    return None if status is None else _state(root, path, status, cache)


def _state(
    root: Path, path: str, status: os.stat_result, cache: StateCache | None
) -> FileState | None:
    try:
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(link_target(root, path))
            return FileState("120000", hashlib.sha256(target).hexdigest(), len(target))
        if not stat.S_ISREG(status.st_mode):
            return None
        key = _key(status)
        if cache is not None and (kept := cache.get((str(root), path))) and kept[0] == key:
            return kept[1]
        return _hashed(root, path, cache)
    except FileAbsent:
        return None


def _hashed(root: Path, path: str, cache: StateCache | None) -> FileState:
    with (
        opened_file(root, path) as (descriptor, status),
        open(descriptor, "rb", closefd=False) as file,
    ):
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        state = FileState(mode_of(status), digest, file.tell())
        after = os.fstat(descriptor)
    settled = time.time_ns() - max(after.st_mtime_ns, after.st_ctime_ns) > _RACY_NS
    if cache is not None and settled and _key(after) == _key(status):
        cache[str(root), path] = (_key(after), state)
    return state


def _key(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)


def mode_of(status: os.stat_result) -> Mode:
    """The mode of a regular file: only whether its owner may execute it counts."""
    return "100755" if status.st_mode & stat.S_IXUSR else "100644"


def states(
    root: Path, found: tuple[Found, ...], cache: StateCache | None = None
) -> dict[str, FileState]:
    """Path -> state of what `walk` found; special files are left out."""
    known = ((one.path, _state(root, one.path, one.status, cache)) for one in found)
    return {path: state for path, state in known if state is not None}


def content_of(root: Path, path: str, state: FileState, limit: int = READ_LIMIT) -> bytes:
    """The bytes of a file, or a link's target; ToolError if they are no longer those of `state`."""
    is_link = state.mode == "120000"
    data = os.fsencode(link_target(root, path)) if is_link else read_bytes(root, path, limit)
    if hashlib.sha256(data).hexdigest() != state.sha256:
        raise ToolError(f"`{path}` was changed while it was being read")
    return data


def text_of(root: Path, path: str, state: FileState) -> str | None:
    """The text of a file, or a link's target; None: binary, or larger than `READ_LIMIT`."""
    if state.size > READ_LIMIT:
        return None
    try:
        return decode(content_of(root, path, state), path)
    except NotText:
        return None


def described(state: FileState, text: str | None) -> str:
    """What stands for a file in a `FileChange`: its text, or one line that says what it is."""
    if state.mode == "120000":
        return f"symbolic link to {text}"
    return text if text is not None else f"binary file, {state.size} bytes, sha256 {state.sha256}"


def fingerprint(files: Mapping[str, FileState]) -> str:
    """sha256 over the sorted paths, modes and contents, in hexadecimal."""
    digest = hashlib.sha256()
    for path, state in sorted(files.items()):
        digest.update(f"{path}\0{state.mode} {state.sha256}\n".encode())
    return digest.hexdigest()
