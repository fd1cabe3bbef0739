"""What did a run change, as one value with a hash that a human can approve?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from crews.errors import WorkspaceError
from crews.safety.action import FileChange
from crews.tools.base import ToolError
from crews.tools.diff import counts, file_diff
from crews.tools.paths import clean_file
from crews.tools.tree import FileState, described, text_of
from crews.tools.workspace import Workspace, encode

Kind = Literal["added", "modified", "deleted"]


@dataclass(frozen=True, slots=True)
class Side:
    """One file before or after: its state, and its text where it is text (a link: its target)."""

    state: FileState
    text: str | None

    @property
    def described(self) -> str:
        """Its text, or the one line that stands for a binary file or a link."""
        return described(self.state, self.text)


@dataclass(frozen=True, slots=True)
class Change:
    """One file before and after; `None`: it does not exist."""

    path: str
    before: Side | None
    after: Side | None

    @property
    def kind(self) -> Kind:
        """`added`, `modified` (a mode alone, too) or `deleted`."""
        if self.before is None:
            return "added"
        return "deleted" if self.after is None else "modified"

    @property
    def is_binary(self) -> bool:
        """Has either side no text?"""
        return any(side is not None and side.text is None for side in (self.before, self.after))

    @property
    def as_file_change(self) -> FileChange:
        """What policy judges."""
        before = self.before.described if self.before else None
        return FileChange(self.path, before, self.after.described if self.after else None)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One line of a summary. Lines of a binary file are not counted."""

    path: str
    kind: Kind
    additions: int
    deletions: int
    binary: bool = False


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Every file that differs from the copy, sorted by path."""

    changes: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Is there nothing to apply?"""
        return not self.changes

    @property
    def hash(self) -> str:
        """sha256, in hexadecimal, over path, mode and content of every file before and after."""
        digest = hashlib.sha256(b"crews change set 1\n")
        for change in self.changes:
            sides = " ".join(_canonical(side) for side in (change.before, change.after))
            digest.update(f"{change.path}\0{sides}\n".encode())
        return digest.hexdigest()

    @property
    def files(self) -> tuple[ChangedFile, ...]:
        """A summary, one entry a file."""
        return tuple(_summary(change) for change in self.changes)

    @property
    def file_changes(self) -> tuple[FileChange, ...]:
        """What policy judges."""
        return tuple(change.as_file_change for change in self.changes)

    @property
    def diff(self) -> str:
        """A unified diff for `git apply` or `patch -p1`; binary files are only named."""
        return "".join(_diff(change) for change in self.changes)

    def without(self, paths: Iterable[str]) -> ChangeSet:
        """The same without these files. Raises WorkspaceError for a path that is not in the set."""
        left_out = {self._known(path) for path in paths}
        return ChangeSet(tuple(one for one in self.changes if one.path not in left_out))

    def with_files(self, texts: Mapping[str, str]) -> ChangeSet:
        """The same with texts that a human edited; a file edited back is left out.

        Raises:
            WorkspaceError: a path is not in the set, is no text file, or the text is not valid
            Unicode.
        """
        edited = {self._known(path): text for path, text in texts.items()}
        changes = (
            _edited(one, edited[one.path]) if one.path in edited else one for one in self.changes
        )
        return ChangeSet(tuple(one for one in changes if _state(one.before) != _state(one.after)))

    def _known(self, path: str) -> str:
        try:
            wanted = {path, clean_file(path)}
        except ToolError as error:
            raise WorkspaceError(str(error)) from None
        for change in self.changes:
            if change.path in wanted:
                return change.path
        raise WorkspaceError("this file is not in the change set", where=path)


def change_set(workspace: Workspace) -> ChangeSet:
    """What differs now. Raises WorkspaceError if a file cannot be read as it was seen."""
    try:
        return ChangeSet(
            tuple(
                Change(
                    delta.path,
                    delta.before
                    and Side(delta.before, text_of(workspace.base, delta.path, delta.before)),
                    delta.after
                    and Side(delta.after, text_of(workspace.root, delta.path, delta.after)),
                )
                for delta in workspace.deltas()
            )
        )
    except ToolError as error:
        raise WorkspaceError(f"the changes cannot be read: {error}") from error


def _state(side: Side | None) -> FileState | None:
    return side.state if side else None


def _canonical(side: Side | None) -> str:
    return f"{side.state.mode}:{side.state.sha256}" if side else "-"


def _edited(change: Change, text: str) -> Change:
    old = change.after or change.before
    if old is None or old.text is None or old.state.mode == "120000":
        raise WorkspaceError("only a text file can be edited", where=change.path)
    try:
        data = encode(text)
    except ToolError as error:
        raise WorkspaceError(str(error), where=change.path) from None
    if b"\0" in data:
        raise WorkspaceError("the text holds a NUL character", where=change.path)
    state = replace(old.state, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    return replace(change, after=Side(state, text))


def _summary(change: Change) -> ChangedFile:
    if change.is_binary:
        return ChangedFile(change.path, change.kind, 0, 0, binary=True)
    before = change.before.text if change.before else None
    additions, deletions = counts(before or "", (change.after.text if change.after else None) or "")
    return ChangedFile(change.path, change.kind, additions, deletions)


def _diff(change: Change) -> str:
    before, after = change.before, change.after
    if (
        before
        and after
        and "120000" in (before.state.mode, after.state.mode)
        and (before.state.mode != after.state.mode)
    ):  # git, too, writes a file that becomes a link as a removal and a new file
        return _diff(replace(change, after=None)) + _diff(replace(change, before=None))
    return file_diff(
        change.path,
        (before.state.mode, before.text) if before else None,
        (after.state.mode, after.text) if after else None,
    )
