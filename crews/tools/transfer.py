"""How are many files brought from one state to another so that any crash can be made good?

Everything that is needed to go on, or to go back, is in the journal and its blobs, on disk, before
the first file is touched. New contents are written beside their places first; then files are
removed and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from crews.errors import WorkspaceError
from crews.tools.base import ToolError
from crews.tools.opening import FileAbsent, ThroughLink
from crews.tools.paths import (
    TEMP_PREFIX,
    create_file,
    kind_of,
    opened_folder,
    read_bytes,
    status_of,
    write_bytes,
)
from crews.tools.tree import FileState, Mode, state_of

JOURNAL = "journal.json"

End = Literal["before", "after"]
Stage = Literal["applying", "applied", "undoing", "undone"]


class Version(BaseModel):
    """One file before or after; its bytes are the blob of that hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Mode
    sha256: str
    size: int
    permissions: int | None
    """Permission bits; None: what the process gives new files."""

    @property
    def state(self) -> FileState:
        """Its kind and content."""
        return FileState(self.mode, self.sha256, self.size)


class Entry(BaseModel):
    """One file that is touched; `None`: it does not exist at that end."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    before: Version | None
    after: Version | None

    def at(self, end: End) -> Version | None:
        """The version at one end."""
        return self.before if end == "before" else self.after

    def state_at(self, end: End) -> FileState | None:
        """The state at one end."""
        version = self.at(end)
        return version.state if version else None


class Journal(BaseModel):
    """What is being done to which folder, and how far it has come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    id: str
    stage: Stage
    change_set: str
    """Hash of the change set."""
    target: str
    entries: tuple[Entry, ...]
    folders: tuple[str, ...]
    """Folders that were there before: going back leaves them, even when empty."""


@dataclass(frozen=True, slots=True)
class _Staged:
    entry: Entry
    folder: str
    name: str


def load_journal(folder: Path) -> Journal | None:
    """The journal in an undo folder, if any. Raises WorkspaceError if it cannot be read."""
    try:
        return Journal.model_validate_json((folder / JOURNAL).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValidationError) as error:
        raise WorkspaceError(
            f"the undo journal cannot be read: {error}", where=str(folder / JOURNAL)
        ) from error


def save_journal(folder: Path, journal: Journal) -> None:
    """Write the journal, down to the disk, after all that was written before it."""
    os.sync()  # one for all files: many flushes of one file each take far longer
    write_bytes(folder, JOURNAL, journal.model_dump_json(indent=1).encode())
    _flush(folder, ".")


def save_blob(folder: Path, sha256: str, data: bytes) -> None:
    """Keep the bytes of one version; they are on the disk once the journal is saved."""
    write_bytes(folder, f"blobs/{sha256}", data, flush=False)


def conflicts(target: Path, journal: Journal, allowed: Collection[End]) -> dict[str, str]:
    """Files of the target that are in none of the allowed states: path -> what is there instead."""
    found: dict[str, str] = {}
    for entry in journal.entries:
        try:
            now = observed(target, journal, entry.path)
        except ToolError as error:
            found[entry.path] = str(error)
            continue
        if now not in {entry.state_at(end) for end in allowed}:
            found[entry.path] = "has been deleted" if now is None else "has been changed"
    return found


def observed(target: Path, journal: Journal, path: str) -> FileState | None:
    """The state of a file in the target now.

    Raises:
        ToolError: a special file is there, or a link leads there that is none of the touched files.
    """
    try:
        status = status_of(target, path)
    except ThroughLink:
        if any(path.startswith(f"{entry.path}/") for entry in journal.entries):
            return None  # the link itself is replaced; whatever is behind it is not ours
        raise
    if status is not None and kind_of(status) == "special file":
        raise ToolError(f"`{path}` is a special file")
    return state_of(target, path)


def bring(target: Path, journal: Journal, blobs: Path, end: End) -> None:
    """Bring every file to one end, from whichever of both ends it is at.

    Raises:
        ToolError, OSError: it could not be done; some files may be at one end, some at the other.
    """
    sweep(target, journal)
    try:
        pending = [
            (number, entry)
            for number, entry in enumerate(journal.entries)
            if observed(target, journal, entry.path) != entry.state_at(end)
        ]
        staged = [
            _stage(target, blobs, entry, version, f"{TEMP_PREFIX}{journal.id}-{number}")
            for number, entry in pending
            if (version := entry.at(end))
        ]
        os.sync()  # no name may ever stand for content that is not on the disk yet
        keep = journal.folders if end == "before" else ()
        for _, entry in pending:
            if entry.at(end) is None:
                _take_away(target, journal, entry)
        # Also of what was taken away before, by a transfer that was cut off at that moment.
        for entry in journal.entries:
            if entry.at(end) is None:
                _clear_above(target, entry, keep)
        for one in staged:
            _put(target, journal, one)
    finally:
        sweep(target, journal)


def sweep(target: Path, journal: Journal) -> None:
    """Remove what an interrupted transfer has left beside the files."""
    folders: dict[str, list[int]] = {}
    for number, entry in enumerate(journal.entries):
        for folder in ancestors(entry.path):
            folders.setdefault(folder, []).append(number)
    for folder, numbers in folders.items():
        with contextlib.suppress(ToolError), opened_folder(target, folder) as descriptor:
            for number in numbers:
                with contextlib.suppress(OSError):
                    os.unlink(f"{TEMP_PREFIX}{journal.id}-{number}", dir_fd=descriptor)


def ancestors(path: str) -> Iterator[str]:
    """The folders above a file, nearest first, down to `.`."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
    yield "."


def _stage(target: Path, blobs: Path, entry: Entry, version: Version, name: str) -> _Staged:
    """Write a version into the nearest folder that is there; a rename then moves it."""
    data = read_bytes(blobs, f"blobs/{version.sha256}", version.size)
    if hashlib.sha256(data).hexdigest() != version.sha256:
        raise ToolError(f"the kept content of `{entry.path}` is damaged")
    for folder in ancestors(entry.path):
        try:
            with opened_folder(target, folder) as parent:
                if version.mode == "120000":
                    os.symlink(os.fsdecode(data), name, dir_fd=parent)
                else:
                    like = _regular(target, entry.path)
                    executable = version.mode == "100755"
                    mode = version.permissions
                    create_file(parent, name, data, mode, like, executable, flush=False)
            return _Staged(entry, folder, name)
        except (FileAbsent, ThroughLink):
            continue
    raise ToolError(f"there is no folder left to write `{entry.path}` into")


def _regular(target: Path, path: str) -> os.stat_result | None:
    try:
        status = status_of(target, path)
    except ThroughLink:
        return None
    return status if status is not None and stat.S_ISREG(status.st_mode) else None


def _take_away(target: Path, journal: Journal, entry: Entry) -> None:
    _still_ours(target, journal, entry)
    folder, _, name = entry.path.rpartition("/")
    with opened_folder(target, folder) as parent:
        os.unlink(name, dir_fd=parent)


def _clear_above(target: Path, entry: Entry, keep: Sequence[str]) -> None:
    """Remove the folders above a file that is gone, as far as nothing is left in them."""
    for above in ancestors(entry.path):
        if above == "." or above in keep or not _removed_if_empty(target, above):
            break


def _removed_if_empty(target: Path, folder: str) -> bool:
    above, _, name = folder.rpartition("/")
    try:
        with opened_folder(target, above) as parent:
            os.rmdir(name, dir_fd=parent)
    except (OSError, ToolError):
        return False
    return True


def _put(target: Path, journal: Journal, staged: _Staged) -> None:
    folder, _, name = staged.entry.path.rpartition("/")
    with (
        opened_folder(target, staged.folder) as source,
        opened_folder(target, folder, create=True) as parent,
    ):
        _still_ours(target, journal, staged.entry)
        os.rename(staged.name, name, src_dir_fd=source, dst_dir_fd=parent)


def _still_ours(target: Path, journal: Journal, entry: Entry) -> None:
    """The last look before a file is replaced: was it edited while others were moved?"""
    now = observed(target, journal, entry.path)
    if now not in (entry.state_at("before"), entry.state_at("after")):
        raise ToolError(f"`{entry.path}` was changed meanwhile")


def _flush(root: Path, folder: str) -> None:
    with opened_folder(root, folder) as descriptor:
        os.fsync(descriptor)
