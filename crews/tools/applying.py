"""How does an approved change set get into the user's folder, and out of it again?"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from crews.errors import WorkspaceError
from crews.tools.base import ToolError
from crews.tools.changeset import Change, ChangeSet, Side
from crews.tools.links import stays_inside
from crews.tools.paths import is_usable, opened_folder, status_of
from crews.tools.transfer import (
    End,
    Entry,
    Journal,
    Stage,
    Version,
    ancestors,
    bring,
    conflicts,
    load_journal,
    save_blob,
    save_journal,
)
from crews.tools.tree import content_of
from crews.tools.workspace import Workspace

_NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` has done."""

    change_set: str
    """Hash of the change set."""
    files: tuple[str, ...]
    already: bool
    """True: every file was as it should be, nothing was written."""


def apply(change_set: ChangeSet, workspace: Workspace, target: Path, undo_folder: Path) -> Applied:
    """Bring the change set into the user's folder: all of it or nothing.

    Call it again after a crash, and it is finished; call it again after that, and nothing happens.

    Args:
        change_set: What was approved.
        workspace: Where the contents of binary files are.
        target: The user's folder.
        undo_folder: Where what `undo` needs is kept; one for each change set.

    Raises:
        WorkspaceError: a touched file is not as it was when it was copied, or cannot be written;
        the target is
            then as it was.
    """
    target = target.resolve()
    journal = load_journal(undo_folder)
    if journal is not None and journal.stage != "undone":
        _check_same(journal, change_set, target, undo_folder)
    else:
        journal = _planned(change_set, target)
        if not _pending(journal, target):
            return _applied(change_set, already=True)
        _refuse(target, conflicts(target, journal, ("before",)))
        _keep(journal, change_set, workspace, target, undo_folder)
    if journal.stage == "applied":
        _refuse(target, conflicts(target, journal, ("after",)))
        return _applied(change_set, already=True)
    _refuse(target, conflicts(target, journal, ("before", "after")))
    _move(target, journal, undo_folder, "after")
    return _applied(change_set, already=False)


def undo(undo_folder: Path, target: Path) -> tuple[str, ...]:
    """Put back what `apply` has replaced; the paths that it had touched.

    Raises:
        WorkspaceError: nothing was applied, or a file was changed since; the target is then as it
        was.
    """
    target = target.resolve()
    journal = load_journal(undo_folder)
    if journal is None:
        raise WorkspaceError("there is nothing to undo", where=str(undo_folder))
    if journal.target != str(target):
        raise WorkspaceError(f"this was applied to {journal.target}", where=str(target))
    paths = tuple(entry.path for entry in journal.entries)
    if journal.stage == "undone":
        return paths
    allowed: tuple[End, ...] = ("after",) if journal.stage == "applied" else ("before", "after")
    _refuse(target, conflicts(target, journal, allowed))
    _move(target, journal, undo_folder, "before")
    return paths


def _applied(change_set: ChangeSet, *, already: bool) -> Applied:
    return Applied(change_set.hash, tuple(one.path for one in change_set.changes), already)


def _check_same(journal: Journal, change_set: ChangeSet, target: Path, undo_folder: Path) -> None:
    if journal.stage == "undoing":
        what, hint = "an undo was interrupted here", "undo it again, then apply"
    elif journal.change_set != change_set.hash or journal.target != str(target):
        what, hint = (
            "another change set was applied with this undo folder",
            "use another undo folder",
        )
    else:
        return
    raise WorkspaceError(what, where=str(undo_folder), hint=hint)


def _pending(journal: Journal, target: Path) -> bool:
    return bool(conflicts(target, journal, ("after",)))


def _refuse(target: Path, found: dict[str, str]) -> None:
    if not found:
        return
    listed = "\n".join(f"  {path}: {reason}" for path, reason in sorted(found.items()))
    raise WorkspaceError(
        f"{len(found)} of the files are not as they were, so nothing was written:\n{listed}",
        where=str(target),
        hint="put them back, or leave them out of the change set",
    )


def _planned(change_set: ChangeSet, target: Path) -> Journal:
    if not target.is_dir():
        raise WorkspaceError("this is not a folder", where=str(target))
    refused = {one.path: why for one in change_set.changes if (why := _forbidden(one))}
    _refuse(target, refused)
    journal = Journal(
        id=secrets.token_hex(6),
        stage="applying",
        change_set=change_set.hash,
        target=str(target),
        entries=tuple(_entry(target, change) for change in change_set.changes),
        folders=(),
    )
    return journal.model_copy(update={"folders": _folders(target, journal)})


def _forbidden(change: Change) -> str:
    """Why a change can be in no one's folder; empty: it can."""
    parts = change.path.split("/")
    if any(part in ("", ".", "..") or not is_usable(part) for part in parts):
        return "is a protected or unusable name"
    after = change.after
    if after and after.state.mode == "120000" and not stays_inside(change.path, after.text or "/"):
        return "is a symbolic link that leads out of the folder"
    return ""


def _folders(target: Path, journal: Journal) -> tuple[str, ...]:
    above = {folder for entry in journal.entries for folder in ancestors(entry.path)}
    return tuple(sorted(folder for folder in above if _is_folder(target, folder)))


def _is_folder(target: Path, folder: str) -> bool:
    try:
        with opened_folder(target, folder):
            return True
    except ToolError:
        return False


def _entry(target: Path, change: Change) -> Entry:
    try:
        status = status_of(target, change.path)
    except ToolError:
        status = None  # told by `conflicts`
    permissions = stat.S_IMODE(status.st_mode) if status and stat.S_ISREG(status.st_mode) else None
    return Entry(
        path=change.path,
        before=_version(change.before, permissions),
        after=_version(change.after, _permissions(change.after, permissions)),
    )


def _version(side: Side | None, permissions: int | None) -> Version | None:
    if side is None:
        return None
    state = side.state
    return Version(mode=state.mode, sha256=state.sha256, size=state.size, permissions=permissions)


def _permissions(side: Side | None, now: int | None) -> int | None:
    """Those of the file that is there, executable or not as the change set says."""
    if side is None or now is None or side.state.mode == "120000":
        return None
    if side.state.mode == "100644":
        return now & ~0o111 if now & stat.S_IXUSR else now
    return now if now & stat.S_IXUSR else now | stat.S_IXUSR | (now & 0o044) >> 2


def _keep(
    journal: Journal, change_set: ChangeSet, workspace: Workspace, target: Path, undo_folder: Path
) -> None:
    """Write both ends of every file, then the journal: from here on a crash can be made good."""
    try:
        undo_folder.mkdir(parents=True, exist_ok=True)
        for change in change_set.changes:
            if change.before:
                data = content_of(target, change.path, change.before.state, _NO_LIMIT)
                save_blob(undo_folder, change.before.state.sha256, data)
            if change.after:
                save_blob(
                    undo_folder, change.after.state.sha256, _after(change, change.after, workspace)
                )
    except (OSError, ToolError) as error:
        raise WorkspaceError(f"nothing was applied: {error}", where=str(target)) from error


def _after(change: Change, side: Side, workspace: Workspace) -> bytes:
    if side.text is not None:
        return os.fsencode(side.text) if side.state.mode == "120000" else side.text.encode()
    return content_of(workspace.root, change.path, side.state, _NO_LIMIT)


def _move(target: Path, journal: Journal, undo_folder: Path, end: End) -> None:
    """Bring all files to one end; back to the other, should anything fail."""
    forward = end == "after"
    _mark(undo_folder, journal, "applying" if forward else "undoing")
    try:
        bring(target, journal, undo_folder, end)
    except BaseException as error:
        _back(target, journal, undo_folder, "before" if forward else "after")
        if isinstance(error, (OSError, ToolError)):
            raise WorkspaceError(f"nothing was changed: {error}", where=str(target)) from error
        raise
    _mark(undo_folder, journal, "applied" if forward else "undone")


def _back(target: Path, journal: Journal, undo_folder: Path, end: End) -> None:
    try:
        bring(target, journal, undo_folder, end)
    except (OSError, ToolError) as error:
        raise WorkspaceError(
            f"only a part was written, and it could not be taken back: {error}",
            where=str(target),
            hint="free what stands in the way and repeat the command: it goes on where it stopped",
        ) from error
    _mark(undo_folder, journal, "undone" if end == "before" else "applied")


def _mark(undo_folder: Path, journal: Journal, stage: Stage) -> None:
    try:
        save_journal(undo_folder, journal.model_copy(update={"stage": stage}))
    except (OSError, ToolError) as error:
        raise WorkspaceError(
            f"the undo journal cannot be written: {error}",
            where=str(undo_folder),
            hint="repeat the command: it goes on where it stopped",
        ) from error
