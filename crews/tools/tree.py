"""Which files does a folder hold, and in which state is each?"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from struct import Struct
from sys import intern
from typing import Literal, NoReturn

from crews.tools.base import ToolError
from crews.tools.ignore import Ignore
from crews.tools.paths import (
    DEEPEST,
    READ_LIMIT,
    FileAbsent,
    NotText,
    decode,
    file_in,
    is_usable,
    link_target,
    opened_file,
    opened_folder,
    read_bytes,
    status_of,
)

Mode = Literal["100644", "100755", "120000"]
"""As git writes them: a file, an executable file, a symbolic link."""

MOST_FILES = 200_000
"""Files of one folder that are walked, unless the caller knows of more."""
WALK_SECONDS = 60.0
"""Longest walk."""
_RACY_NS = 100_000_000  # a file touched this recently may change again without its times moving: ticks are 10 ms
_COARSE_NS = (
    2_000_000_000  # the same, where the file system keeps whole seconds, or every second one
)

_KEY = Struct("<QQQQI")
_WORD = (1 << 64) - 1
"""A time may lie so far off that its nanoseconds need more bits than that; the others still tell it apart."""


@dataclass(frozen=True, slots=True)
class FileState:
    """One file's kind and content; a link's content is its target."""

    mode: Mode
    sha256: str
    size: int
    """Bytes."""


class Unwalkable(ToolError):
    """A folder holds more than anybody can look at."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a folder that is not a folder."""

    path: str
    status: os.stat_result


_Entry = tuple[str, os.stat_result]
_Opened = Callable[[str], AbstractContextManager[tuple[int, os.stat_result]]]
StateCache = MutableMapping[tuple[str, str], tuple[bytes, FileState]]
"""(root, path) -> (size, times, inode and mode; state)."""


def walk(
    root: Path,
    ignore: Ignore,
    *,
    start: str = ".",
    rules_in: Path | None = None,
    skipped: MutableMapping[str, str] | None = None,
    most: int | None = None,
) -> tuple[Found, ...]:
    """Everything beneath `start` that is not ignored, sorted by path; links are not followed.

    Args:
        root: The folder that paths are relative to.
        ignore: Rules that hold at `root`.
        start: The folder to begin in; the rules of the folders above it hold too.
        rules_in: Where `.gitignore` files are read, if anywhere.
        skipped: Filled with path -> reason. Without it a folder that cannot be read raises
        ToolError.
        most: Files, and folders, that are looked at; None: `MOST_FILES`.

    Raises:
        Unwalkable: there is more than that, it is nested deeper than `DEEPEST`, or it takes longer
        than `WALK_SECONDS`.
    """
    found: list[Found] = []
    walked = _Walked(start, MOST_FILES if most is None else most)
    pending = [(start, _rules_above(ignore, rules_in, start))]
    while pending:
        folder, above = pending.pop()
        rules = above.within(rules_in, folder) if rules_in else above
        try:
            walked.check_depth(folder)
            entries = list(walked.counted(_entries(root, folder, skipped)))
        except ToolError as error:
            if skipped is None or walked.over:
                raise
            skipped[folder] = str(error)
            continue
        for path, status in entries:
            walked.check_time()
            is_folder = stat.S_ISDIR(status.st_mode)
            if rules.ignores(path, folder=is_folder):
                continue
            if is_folder:
                pending.append((path, rules))
            else:
                found.append(Found(path, status))
    return tuple(sorted(found, key=lambda one: one.path))


@dataclass(slots=True)
class _Walked:
    """How much of a folder was seen, and whether that is too much."""

    start: str
    most: int
    seen: int = 0
    over: bool = False
    """Is there no going on, whatever is skipped?"""
    deadline: float = field(default_factory=lambda: time.monotonic() + WALK_SECONDS)

    def counted(self, entries: Iterator[_Entry]) -> Iterator[_Entry]:
        for entry in entries:
            self.seen += 1
            if self.seen > self.most:
                self._end(f"holds more than {self.most:,} files")
            yield entry

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            self._end(f"cannot be looked through within {WALK_SECONDS:g} s")

    def check_depth(self, folder: str) -> None:
        if folder.count("/") >= DEEPEST:
            raise Unwalkable(f"`{folder[:80]}...` is nested deeper than {DEEPEST} folders")

    def _end(self, what: str) -> NoReturn:
        self.over = True
        place = "the folder" if self.start == "." else f"`{self.start}`"
        raise Unwalkable(f"{place} {what}; name a smaller folder, or remove what is not needed")


def _rules_above(ignore: Ignore, rules_in: Path | None, start: str) -> Ignore:
    if rules_in is None or start == ".":
        return ignore
    folder = ""
    for part in ("", *start.split("/")[:-1]):
        folder = f"{folder}/{part}".strip("/")
        ignore = ignore.within(rules_in, folder or ".")
    return ignore


def _entries(root: Path, folder: str, skipped: MutableMapping[str, str] | None) -> Iterator[_Entry]:
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
    root: Path,
    path: str,
    status: os.stat_result,
    cache: StateCache | None,
    opened: _Opened | None = None,
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
        return _hashed(root, path, cache, opened or partial(opened_file, root))
    except FileAbsent:
        return None


def _hashed(root: Path, path: str, cache: StateCache | None, opened: _Opened) -> FileState:
    with (
        opened(path) as (descriptor, status),
        open(descriptor, "rb", closefd=False) as file,
    ):
        # Runs on the same folder share the texts.
        digest = intern(hashlib.file_digest(file, "sha256").hexdigest())
        state = FileState(mode_of(status), digest, file.tell())
        after = os.fstat(descriptor)
    if cache is not None and _settled(after) and _key(after) == _key(status):
        cache[str(root), intern(path)] = (_key(after), state)
    return state


def _settled(status: os.stat_result) -> bool:
    """Will the times move, if the file changes from now on?"""
    coarse = not status.st_ctime_ns % 1_000_000_000
    age = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    return age > (_COARSE_NS if coarse else _RACY_NS)


def _key(status: os.stat_result) -> bytes:
    """Every run keeps one for each of its files: five numbers would take three times the room."""
    written, changed = status.st_mtime_ns & _WORD, status.st_ctime_ns & _WORD
    return _KEY.pack(status.st_size, written, changed, status.st_ino & _WORD, status.st_mode)


def mode_of(status: os.stat_result) -> Mode:
    """The mode of a regular file: only whether its owner may execute it counts."""
    return "100755" if status.st_mode & stat.S_IXUSR else "100644"


def states(
    root: Path, found: tuple[Found, ...], cache: StateCache | None = None
) -> dict[str, FileState]:
    """Path -> state of what `walk` found; special files are left out."""
    known: dict[str, FileState] = {}
    for folder, ones in groupby(found, key=lambda one: one.path.rpartition("/")[0]):
        with _Folder(root, folder) as opened:
            for one in ones:
                if (state := _state(root, one.path, one.status, cache, opened.file)) is not None:
                    known[one.path] = state
    return known


class _Folder(ExitStack):
    """A folder that is opened once, if any of its files is."""

    def __init__(self, root: Path, folder: str) -> None:
        super().__init__()
        self._place = root, folder
        self._parent: int | None = None

    def file(self, path: str) -> AbstractContextManager[tuple[int, os.stat_result]]:
        if self._parent is None:
            self._parent = self.enter_context(opened_folder(*self._place))
        return file_in(self._parent, path)


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
