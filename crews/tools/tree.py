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
from operator import itemgetter
from pathlib import Path
from struct import Struct
from sys import intern
from typing import Literal, NamedTuple, NoReturn

from crews.tools.base import ToolError
from crews.tools.ignore import RULES_FILE, Ignore, KeptRules
from crews.tools.opening import FileAbsent, pieces
from crews.tools.paths import (
    DEEPEST,
    READ_LIMIT,
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
_BETWEEN_LOOKS = 16
"""Files between looks at the clock."""
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


class Found(NamedTuple):
    """One thing in a folder that is not a folder."""

    path: str
    status: os.stat_result


_PATH = itemgetter(0)
_Entry = tuple[str, os.stat_result | None, Ignore]
"""Path, what is there (None: a folder), and the rules that hold beside it."""
_Opened = Callable[[str], AbstractContextManager[tuple[int, os.stat_result]]]
Rules = KeptRules | Literal["own"] | None
"""`own`: the `.gitignore` files of the folder that is walked."""
StateCache = MutableMapping[str, tuple[bytes, FileState]]
"""Path -> (`key_of` its status; state), of the files of one folder."""


def walk(
    root: Path,
    ignore: Ignore,
    *,
    start: str = ".",
    rules: Rules = None,
    skipped: MutableMapping[str, str] | None = None,
    most: int | None = None,
) -> tuple[Found, ...]:
    """Everything beneath `start` that is not ignored, sorted by path; links are not followed.

    Args:
        root: The folder that paths are relative to.
        ignore: Rules that hold at `root`.
        start: The folder to begin in; the rules of the folders above it hold too.
        rules: Whose `.gitignore` files hold; None: nobody's.
        skipped: Filled with path -> reason. Without it a folder that cannot be read raises
        ToolError.
        most: Files, and folders, that are looked at; None: `MOST_FILES`.

    Raises:
        Unwalkable: there is more than that, it is nested deeper than `DEEPEST`, or it takes longer
        than `WALK_SECONDS`.
    """
    found: list[Found] = []
    walked = _Walked(root, start, MOST_FILES if most is None else most, rules, skipped)
    pending = [(start, _rules_above(root, ignore, rules, start))]
    while pending:
        folder, above = pending.pop()
        try:
            walked.check_depth(folder)
            with opened_folder(root, folder) as descriptor:
                for path, status, inside in walked.within(descriptor, folder, above):
                    if status is None:
                        pending.append((path, inside))
                    else:
                        found.append(Found(path, status))
        except ToolError as error:
            if skipped is None or walked.over:
                raise
            skipped[folder] = str(error)
    found.sort(key=_PATH)
    return tuple(found)


@dataclass(slots=True)
class _Walked:
    """How much of a folder was seen, and whether that is too much."""

    root: Path
    start: str
    most: int
    rules: Rules
    skipped: MutableMapping[str, str] | None
    seen: int = 0
    over: bool = False
    """Is there no going on, whatever is skipped?"""
    deadline: float = field(default_factory=lambda: time.monotonic() + WALK_SECONDS)

    def within(self, descriptor: int, folder: str, above: Ignore) -> Iterator[_Entry]:
        """What an open folder holds that is not left out."""
        entries = self._counted(descriptor, folder)
        if self.rules != "own" or any(entry.name == RULES_FILE for entry in entries):
            inside = _rules_in(self.root, folder, above, self.rules)
        else:
            inside = above
        ignored, prefix = inside.among(folder), "" if folder == "." else folder + "/"
        for number, entry in enumerate(entries):
            if not number % _BETWEEN_LOOKS:
                self._check_time()
            name = entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    if not ignored(name + "/"):
                        yield prefix + name, None, inside
                elif not ignored(name):
                    yield prefix + name, entry.stat(follow_symlinks=False), inside
            except FileNotFoundError:
                continue  # removed since the folder was read

    def _counted(self, descriptor: int, folder: str) -> list[os.DirEntry[str]]:
        known: list[os.DirEntry[str]] = []
        with _listed(descriptor, self.root, folder) as entries:
            for entry in entries:
                if is_usable(entry.name):
                    known.append(entry)
                    self.seen += 1
                elif self.skipped is not None:
                    path = entry.name if folder == "." else f"{folder}/{entry.name}"
                    self.skipped[ascii(path)[1:-1]] = "a name that is not copied"
                if self.seen > self.most:
                    self._end(f"holds more than {self.most:,} files")
        return known

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            self._end(f"cannot be looked through within {WALK_SECONDS:g} s")

    def check_depth(self, folder: str) -> None:
        """Raises Unwalkable for a folder that is nested too deep."""
        if folder.count("/") >= DEEPEST:
            raise Unwalkable(f"`{folder[:80]}...` is nested deeper than {DEEPEST} folders")

    def _end(self, what: str) -> NoReturn:
        self.over = True
        place = "the folder" if self.start == "." else f"`{self.start}`"
        raise Unwalkable(f"{place} {what}; name a smaller folder, or remove what is not needed")


def _rules_above(root: Path, ignore: Ignore, rules: Rules, start: str) -> Ignore:
    if start == ".":
        return ignore
    folder = ""
    for part in ("", *start.split("/")[:-1]):
        folder = f"{folder}/{part}".strip("/")
        ignore = _rules_in(root, folder or ".", ignore, rules)
    return ignore


def _rules_in(root: Path, folder: str, above: Ignore, rules: Rules) -> Ignore:
    if rules is None:
        return above
    return above.within(root, folder) if rules == "own" else rules.within(above, folder)


def _listed(
    descriptor: int, root: Path, folder: str
) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
    """The entries of an open folder; an error names the folder instead of the descriptor."""
    try:
        return os.scandir(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(root / folder)) from None


def state_of(root: Path, path: str, cache: StateCache | None = None) -> FileState | None:
    """The state of one file; None where there is nothing, a folder, or a special file."""
    status = status_of(root, path)
    return None if status is None else _state(root, path, status, cache, partial(opened_file, root))


def _state(
    root: Path, path: str, status: os.stat_result, cache: StateCache | None, opened: _Opened
) -> FileState | None:
    if cache and (kept := cache.get(path)) and kept[0] == key_of(status):
        return kept[1]
    try:
        if stat.S_ISLNK(status.st_mode):
            target = os.fsencode(link_target(root, path))
            return FileState("120000", hashlib.sha256(target).hexdigest(), len(target))
        return _hashed(path, cache, opened) if stat.S_ISREG(status.st_mode) else None
    except FileAbsent:
        return None


def _hashed(path: str, cache: StateCache | None, opened: _Opened) -> FileState:
    digest, size = hashlib.sha256(), 0
    with opened(path) as (descriptor, status):
        for piece in pieces(descriptor, status.st_size):
            digest.update(piece)
            size += len(piece)
        after = os.fstat(descriptor)
    # Runs on the same folder share the texts.
    state = FileState(mode_of(status), intern(digest.hexdigest()), size)
    if cache is not None and _settled(after) and key_of(after) == key_of(status):
        cache[intern(path)] = (key_of(after), state)
    return state


def _settled(status: os.stat_result) -> bool:
    """Will the times move, if the file changes from now on?"""
    coarse = not status.st_ctime_ns % 1_000_000_000
    age = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    return age > (_COARSE_NS if coarse else _RACY_NS)


def key_of(status: os.stat_result) -> bytes:
    """What is another one once the file has changed, unless within the same tick of the clock.

    Every run keeps one for each of its files: five numbers would take three times the room.
    """
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
    with ExitStack() as stack:
        opened = _Folder(stack, root).file
        for path, status in found:
            if (state := _state(root, path, status, cache, opened)) is not None:
                known[path] = state
    return known


class _Folder:
    """The folder of the file that was opened last: its files follow each other."""

    def __init__(self, stack: ExitStack, root: Path) -> None:
        self._stack = stack
        self._root = root
        self._open: tuple[str, int] | None = None

    def file(self, path: str) -> AbstractContextManager[tuple[int, os.stat_result]]:
        name = path.rpartition("/")[0]
        if self._open is None or self._open[0] != name:
            self._open = None
            self._stack.close()
            self._open = name, self._stack.enter_context(opened_folder(self._root, name))
        return file_in(self._open[1], path)


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
