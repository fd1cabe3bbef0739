"""How does a run get its own copy of the user's folder, whole or not at all?

`FOLDER/workspace` is what the run works in, `FOLDER/base` the same files untouched,
`FOLDER/manifest.json` what was copied (and `FOLDER/seen.json`, see `seen`). The manifest is put in place last:
without it nothing was copied, and the copy is made anew.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from sys import intern
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from crews.errors import WorkspaceError
from crews.tools.base import ToolError
from crews.tools.copies import CopiedFile, Copying
from crews.tools.gitfiles import git_files
from crews.tools.ignore import KeptRules, default_rules
from crews.tools.links import stays_inside
from crews.tools.paths import DEEPEST, is_usable, link_target, status_of
from crews.tools.seen import Mark, note, noted
from crews.tools.tree import MOST_FILES, FileState, Found, StateCache, Unwalkable, walk
from crews.tools.workspace import Copied, Workspace

_MIB = 1024 * 1024


class Manifest(BaseModel):
    """What was copied from where, and what was not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    source: str | None
    files: dict[str, CopiedFile]
    skipped: dict[str, str]
    """Path -> why it was not copied."""


class _Made(NamedTuple):
    manifest: Manifest
    marks: Mapping[str, Mark]


def make_workspace(source: Path | None, folder: Path, limit_mb: int) -> Workspace:
    """Copy the user's folder for a run, or return the copy that is already there.

    Args:
        source: The user's folder; None: begin with nothing.
        folder: The run's folder; made if need be.
        limit_mb: Largest sum of the files' sizes, in MiB.

    Raises:
        WorkspaceError: the source is no folder, too large, or cannot be read or copied.
    """
    if (folder / "manifest.json").exists():
        return open_workspace(folder)
    if source is not None:
        source = source.resolve()
        if not source.is_dir():
            raise WorkspaceError("this is not a folder", where=str(source), hint="give a folder")
        if source == Path(source.anchor):
            raise WorkspaceError("this is the whole file system", where=str(source),
                                 hint="give the folder of one project")  # fmt: skip
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        stage = folder / f".copying-{secrets.token_hex(4)}"
        return _publish(folder, stage, _fill(source, folder.resolve(), stage, limit_mb * _MIB))
    except Unwalkable as error:
        raise WorkspaceError(f"the folder cannot be copied: {error}", where=str(source),
                             hint="add what is not needed to .gitignore") from error  # fmt: skip
    except (OSError, ToolError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, OSError) and isinstance(error.filename, str):
            what = f"{error.filename}: {what}"
        raise WorkspaceError(f"the folder cannot be copied: {what}", where=str(source),
                             hint="give a folder whose files you may read") from error  # fmt: skip


def open_workspace(folder: Path) -> Workspace:
    """The workspace that was made in `folder`. Raises WorkspaceError if there is none."""
    manifest = read_manifest(folder)
    states = _states(manifest)
    return _workspace(folder, manifest, states, noted(folder, states))


def _workspace(
    folder: Path, manifest: Manifest, states: dict[str, FileState], known: StateCache
) -> Workspace:
    source = Path(manifest.source) if manifest.source is not None else None
    base = folder / "base"
    # Without the size of one of them they must be looked at.
    whole = len(states) == len(manifest.files)
    copied = [Copied(states, KeptRules(base, states))] if whole else []
    return Workspace(_newest(folder), base, source, _cache=known, _base=copied)


def _states(manifest: Manifest) -> dict[str, FileState]:
    return {
        intern(path): FileState(file.mode, intern(file.sha256), file.size)
        for path, file in manifest.files.items()
        if file.size is not None
    }


def next_generation(folder: Path) -> None:
    """Go on in a new copy of the workspace; whoever still holds the one before writes for nobody."""
    if not (folder / "manifest.json").exists():
        return
    old = _newest(folder)
    number = int(old.suffix[1:] or 0) + 1
    stage = folder / f".copying-{secrets.token_hex(4)}"
    shutil.copytree(old, stage, symlinks=True, copy_function=_copy_as_it_is)
    stage.rename(folder / f"workspace.{number}")
    shutil.rmtree(old, ignore_errors=True)


def _copy_as_it_is(source: str, target: str) -> None:
    """A file that an old owner removes meanwhile is gone."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


def _newest(folder: Path) -> Path:
    """The copy that is worked in: `workspace`, or the last of `workspace.1`, `workspace.2` and so on."""
    later = [
        int(number)
        for name, _, number in (one.partition(".") for one in os.listdir(folder))  # noqa: PTH208 - names are enough
        if name == "workspace" and number.isdigit()
    ]
    return folder / (f"workspace.{max(later)}" if later else "workspace")


def read_manifest(folder: Path) -> Manifest:
    """What was copied into `folder`. Raises WorkspaceError."""
    file = folder / "manifest.json"
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise WorkspaceError("no workspace was made here", where=str(folder)) from None
    except (OSError, ValidationError) as error:
        raise WorkspaceError(
            f"the list of copied files cannot be read: {error}", where=str(file)
        ) from error


def _clear(folder: Path) -> None:
    """Remove what an interrupted copy has left; without a manifest nobody works in it."""
    for left in (folder / "base", folder / "workspace", *folder.glob(".copying-*")):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(left)


def _publish(folder: Path, stage: Path, made: _Made) -> Workspace:
    with (stage / "manifest.json").open("wb") as out:
        out.write(made.manifest.model_dump_json(indent=1).encode())
    os.sync()  # one for all files: cheaper than one flush a file
    stage.stat()  # some file systems mark a change by a finer clock where somebody has asked before
    (stage / "base").rename(folder / "base")
    now = stage.stat().st_mtime_ns
    (stage / "workspace").rename(folder / "workspace")
    states = _states(made.manifest)
    known = note(folder, states, made.marks, now)
    (stage / "manifest.json").rename(folder / "manifest.json")
    stage.rmdir()
    return _workspace(folder, made.manifest, states, known)


def _fill(source: Path | None, folder: Path, stage: Path, limit: int) -> _Made:
    base, root = stage / "base", stage / "workspace"
    base.mkdir(parents=True)
    root.mkdir()
    if source is None:
        return _Made(Manifest(source=None, files={}, skipped={}), {})
    skipped: dict[str, str] = {}
    found = _usable(source, _chosen(source, _ours(source, folder), skipped), skipped)
    _check_size(source, found, limit)
    folders: dict[str, list[Found]] = {}
    for one in found:
        folders.setdefault(one.path.rpartition("/")[0], []).append(one)
    copying = Copying(source, base, root)
    for beneath, files in folders.items():
        copying.copy(beneath, files)
    copied = {one.path: copying.files[one.path] for one in found if one.path in copying.files}
    skipped |= copying.skipped
    manifest = Manifest(source=str(source), files=copied, skipped=dict(sorted(skipped.items())))
    return _Made(manifest, copying.marks)


def _ours(source: Path, folder: Path) -> str:
    """The folder beneath the source that holds this run, others, and the journal: never copied. Empty: none."""
    data = [folder.parent.parent] if folder.parent.name == "runs" else []
    for ours in (*data, folder.parent, folder):
        if ours != source and ours.is_relative_to(source):
            return ours.relative_to(source).as_posix()
    return ""


def _chosen(source: Path, ours: str, skipped: dict[str, str]) -> tuple[Found, ...]:
    listed = git_files(source)
    if listed is None:
        found = list(walk(source, default_rules(), rules="own", skipped=skipped))
    else:
        found = _found(source, listed, skipped)
    kept = {one.path: one for one in found if not (ours and f"{one.path}/".startswith(f"{ours}/"))}
    return tuple(kept[path] for path in sorted(kept))


def _found(source: Path, listed: Iterable[str], skipped: dict[str, str]) -> list[Found]:
    found: list[Found] = []
    for path in listed:
        if len(found) > MOST_FILES:
            raise Unwalkable(f"git lists more than {MOST_FILES:,} files")
        if path.count("/") > DEEPEST:
            skipped[ascii(path)[1:-1]] = f"nested deeper than {DEEPEST} folders"
            continue
        if not all(is_usable(part) for part in path.split("/")):
            skipped[ascii(path)[1:-1]] = "a name that is not copied"
            continue
        try:
            status = status_of(source, path)
        except ToolError as error:
            skipped[path] = str(error)
            continue
        if status is None:
            continue  # in git's index, but deleted
        if stat.S_ISDIR(
            status.st_mode
        ):  # a repository inside the repository: git lists only its name
            rules = default_rules()
            found += walk(source, rules, start=path, rules="own", skipped=skipped)
        else:
            found.append(Found(path, status))
    return found


def _usable(source: Path, found: Iterable[Found], skipped: dict[str, str]) -> tuple[Found, ...]:
    kept: list[Found] = []
    for one in found:
        if stat.S_ISLNK(one.status.st_mode):
            if not stays_inside(one.path, link_target(source, one.path)):
                skipped[one.path] = "a symbolic link that leads out of the folder"
                continue
        elif not stat.S_ISREG(one.status.st_mode):
            skipped[one.path] = "not a regular file"
            continue
        kept.append(one)
    return tuple(kept)


def _check_size(source: Path, found: tuple[Found, ...], limit: int) -> None:
    size = sum(one.status.st_size for one in found)
    if size <= limit:
        return
    shares: dict[str, int] = {}
    for one in found:
        top = one.path.split("/")[0]
        shares[top] = shares.get(top, 0) + one.status.st_size
    largest = sorted(shares, key=lambda name: (-shares[name], name))[:3]
    named = ", ".join(f"{name} ({shares[name] / _MIB:,.1f} MiB)" for name in largest)
    raise WorkspaceError(
        f"the folder holds {size / _MIB:,.1f} MiB in {len(found):,} files, more than the "
        f"{limit / _MIB:,.0f} MiB that a run copies; largest: {named}",
        where=str(source),
        hint="add what is not needed to .gitignore, or raise workspace_limit_mb in policy.yaml",
    )
