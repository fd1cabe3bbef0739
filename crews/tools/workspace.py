"""What do the files of a run look like now, and how do they differ from what was copied?"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from crews.safety.action import FileChange
from crews.tools.base import ToolError
from crews.tools.growth import MOST_BYTES, MOST_FILES
from crews.tools.ignore import KeptRules, default_rules, glob, no_rules
from crews.tools.opening import ThroughLink
from crews.tools.paths import (
    READ_LIMIT,
    clean,
    clean_file,
    decode,
    kind_of,
    link_target,
    opened_folder,
    read_bytes,
    remove,
    status_of,
    write_bytes,
)
from crews.tools.tree import (
    FileState,
    Found,
    StateCache,
    described,
    fingerprint,
    state_of,
    states,
    text_of,
    walk,
)


@dataclass(frozen=True, slots=True)
class Delta:
    """One file whose state differs; `None`: it does not exist."""

    path: str
    before: FileState | None
    after: FileState | None


class ChangedSince(ToolError):
    """The file is no longer what the call was judged on; nothing was written."""


class Copied(NamedTuple):
    """The files of `base`, and the rules among them."""

    files: Mapping[str, FileState]
    rules: KeptRules


def _empty_cache() -> StateCache:
    return {}


@dataclass(frozen=True, slots=True)
class Workspace:
    """The run's own copy of the user's folder. Paths are as models write them.

    Every method raises ToolError for a path that cannot be used; its text never holds a path of the
    host.
    """

    root: Path
    """The run's private copy: all that agents and commands can write."""
    base: Path
    """The same files as they were copied, never written again."""
    source: Path | None = None
    """The user's folder; None: the run began with nothing."""
    _cache: StateCache = field(default_factory=_empty_cache, repr=False, compare=False)
    _base: list[Copied] = field(default_factory=lambda: [], repr=False, compare=False)
    """What `base` holds, where it is known."""
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    """Held from the last look at a file to its replacement, by whichever agent writes."""

    def read_text(self, path: str, limit: int = READ_LIMIT) -> str:
        """The whole text, line ends as they are; at most `limit` bytes."""
        path = clean_file(path)
        return decode(read_bytes(self.root, path, limit), path)

    def write_text(self, path: str, text: str) -> None:
        """Create or replace the file in one step; an existing file keeps its mode."""
        write_bytes(self.root, clean_file(path), encode(text))

    def delete(self, path: str) -> None:
        """Delete the file, or the link itself."""
        remove(self.root, clean_file(path))

    def carry_out(self, change: FileChange) -> None:
        """Make exactly this change, of the file as `change.before` describes it.

        Raises:
            ChangedSince: the file is another one by now; it stays as it is.
        """
        path = clean_file(change.path)

        def check(parent: int, name: str) -> None:
            if self._now(parent, name) != change.before:
                raise ChangedSince(f"`{path}` has changed meanwhile; read it again")

        with self._writing:
            if change.after is None:
                remove(self.root, path, check)
            else:
                write_bytes(self.root, path, encode(change.after), check=check)

    def _now(self, parent: int, name: str) -> str | None:
        """Like `describe`, of an entry of an open folder."""
        folder = Path(f"/dev/fd/{parent}")
        return self._described(folder, name, state_of(folder, name))

    def differs(self, path: str) -> bool:
        """Is the file not what it was when it was copied?"""
        path = clean_file(path)
        return state_of(self.root, path) != state_of(self.base, path)

    def restore(self, path: str) -> None:
        """Make the file what it was when it was copied; delete it, if it was not there."""
        path = clean_file(path)
        before, now = status_of(self.base, path), status_of(self.root, path)
        # A link is put in the place of whatever is there, and whatever was there in the place of a link.
        links = any(s is not None and stat.S_ISLNK(s.st_mode) for s in (before, now))
        if now is not None and (before is None or links):
            remove(self.root, path)
        if before is None:
            return
        if stat.S_ISLNK(before.st_mode):
            folder, _, name = path.rpartition("/")
            with opened_folder(self.root, folder or ".", create=True) as parent:
                os.symlink(link_target(self.base, path), name, dir_fd=parent)
        else:
            mode = stat.S_IMODE(before.st_mode) | stat.S_IRUSR | stat.S_IWUSR
            write_bytes(self.root, path, read_bytes(self.base, path, before.st_size), mode)

    def exists(self, path: str) -> bool:
        """Is there anything of that name? A link counts, wherever it points."""
        return (path := clean(path)) == "." or status_of(self.root, path) is not None

    def describe(self, path: str) -> str | None:
        """What stands for the file in a `FileChange`; None: it does not exist."""
        path = clean_file(path)
        return self._described(self.root, path, state_of(self.root, path, self._cache))

    def list(
        self,
        path: str = ".",
        pattern: str = "",
        limit: int | None = None,
        largest: int | None = None,
        most: int | None = None,
    ) -> tuple[str, ...]:
        """Files at or beneath `path` that no `.gitignore` leaves out, sorted.

        Args:
            path: A folder, or one file.
            pattern: A gitwildmatch glob over the whole path; empty: every file.
            limit: The most to give; None: all.
            largest: Bytes of the largest file that is of interest; None: any.
            most: Files, and folders, that are looked at; None: as many as `walk` does.

        Raises:
            Unwalkable: there are more.
        """
        spec = glob(pattern) if pattern else None
        found = (
            one
            for one in self._listed(clean(path), most)
            if kind_of(one.status) != "special file"
            and (largest is None or one.status.st_size <= largest)
        )
        chosen = [one.path for one in found if spec is None or spec.match_file(one.path)]
        return tuple(chosen[:limit])

    def _listed(self, path: str, most: int | None) -> tuple[Found, ...]:
        if path != ".":
            if (status := status_of(self.root, path)) is None:
                raise ToolError(f"there is no `{path}`")
            if kind_of(status) != "folder":
                return (Found(path, status),)
        return walk(self.root, default_rules(), start=path, rules="own", most=most)

    def left_out(self, path: str) -> bool:
        """Would a new file of this name stay out of the change set?

        So it is for what the copied `.gitignore` files and the default list ignore; agents cannot
        change either.
        """
        kept = self._copied().rules
        rules, folder = kept.within(default_rules(), "."), ""
        *folders, _ = clean_file(path).split("/")
        for name in folders:
            folder = f"{folder}/{name}".lstrip("/")
            if rules.ignores(folder + "/"):
                return True
            rules = kept.within(rules, folder)
        return rules.ignores(clean_file(path))

    def tree_hash(self) -> str:
        """sha256, in hexadecimal, over path, mode and content of every file that counts."""
        return fingerprint(self._current(self._copied()))

    def deltas(self) -> tuple[Delta, ...]:
        """The files whose state differs from the copy, sorted by path."""
        copied = self._copied()
        current = self._current(copied)
        copied = copied.files
        paths = sorted(copied.keys() | current.keys())
        both = (Delta(path, copied.get(path), current.get(path)) for path in paths)
        return tuple(delta for delta in both if delta.before != delta.after)

    def changes(self) -> tuple[FileChange, ...]:
        """The same as text for policy; a binary file is one line with its hash."""
        return tuple(
            FileChange(
                delta.path,
                self._described(self.base, delta.path, delta.before),
                self._described(self.root, delta.path, delta.after),
            )
            for delta in self.deltas()
        )

    def _copied(self) -> Copied:
        if not self._base:  # looked at once: nobody writes there
            # Whoever copied it has seen to its number.
            found = walk(self.base, no_rules(), most=sys.maxsize)
            files = states(self.base, found)
            self._base.append(Copied(files, KeptRules(self.base, files)))
        return self._base[0]

    def _current(self, copied: Copied) -> dict[str, FileState]:
        """Current files: what is not ignored, and every copied file in any case."""
        most = len(copied.files) + MOST_FILES
        found = walk(self.root, default_rules(), rules=copied.rules, most=most)
        _check_size(found, copied.files)
        current = states(self.root, found, self._cache)
        for path in copied.files.keys() - current.keys():
            if state := _reachable_state(self.root, path, self._cache):
                current[path] = state
        return current

    def _described(self, root: Path, path: str, state: FileState | None) -> str | None:
        return None if state is None else described(state, text_of(root, path, state))


def _check_size(found: tuple[Found, ...], copied: Mapping[str, FileState]) -> None:
    """A file that takes no room on disk can still be gigabytes to read: that is known before it is read."""
    grown = sum([one.status.st_size for one in found]) - sum([one.size for one in copied.values()])
    most = 2 * MOST_BYTES  # what a command adds beyond half of it was taken back
    if grown > most:
        raise ToolError(
            f"the files have grown by more than {most:,} bytes: delete what is not needed, and try again"
        )


def encode(text: str) -> bytes:
    """UTF-8; ToolError for lone surrogates, which models sometimes send."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ToolError(f"the text is not valid Unicode at character {error.start:,}") from None


def _reachable_state(root: Path, path: str, cache: StateCache) -> FileState | None:
    """None also where a folder above the file was replaced by a link."""
    try:
        return state_of(root, path, cache)
    except ThroughLink:
        return None
