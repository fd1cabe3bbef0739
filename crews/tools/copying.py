"""How does a run get its own copy of the user's folder, whole or not at all?

`FOLDER/workspace` is what the run works in, `FOLDER/base` the same files untouched,
`FOLDER/manifest.json` what was copied. The manifest is put in place last: without it nothing was
copied, and the copy is made anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Generator, Iterable, Mapping
from pathlib import Path
from sys import intern
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from crews.errors import WorkspaceError
from crews.tools.base import ToolError
from crews.tools.gitfiles import git_files
from crews.tools.ignore import default_rules
from crews.tools.links import stays_inside
from crews.tools.paths import DEEPEST, is_usable, link_target, opened_file, status_of
from crews.tools.tree import MOST_FILES, FileState, Found, Mode, Unwalkable, mode_of, walk
from crews.tools.workspace import Workspace

_FICLONE = 0x40049409  # linux/fs.h: share the extents of another file
_CHUNK = 1024 * 1024
_MIB = 1024 * 1024


class CopiedFile(BaseModel):
    """One file as it was when it was copied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    mode: Mode
    size: int | None = None
    """Bytes; None: whoever copied it did not say."""


class Manifest(BaseModel):
    """What was copied from where, and what was not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    source: str | None
    files: dict[str, CopiedFile]
    skipped: dict[str, str]
    """Path -> why it was not copied."""


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
        manifest = _fill(source, folder.resolve(), stage, limit_mb * _MIB)
        _publish(folder, stage, manifest)
    except Unwalkable as error:
        raise WorkspaceError(f"the folder cannot be copied: {error}", where=str(source),
                             hint="add what is not needed to .gitignore") from error  # fmt: skip
    except (OSError, ToolError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        if isinstance(error, OSError) and isinstance(error.filename, str):
            what = f"{error.filename}: {what}"
        raise WorkspaceError(f"the folder cannot be copied: {what}", where=str(source),
                             hint="give a folder whose files you may read") from error  # fmt: skip
    return open_workspace(folder)


def open_workspace(folder: Path) -> Workspace:
    """The workspace that was made in `folder`. Raises WorkspaceError if there is none."""
    manifest = read_manifest(folder)
    source = Path(manifest.source) if manifest.source is not None else None
    return Workspace(_newest(folder), folder / "base", source, _base=_known(manifest))


def _known(manifest: Manifest) -> list[Mapping[str, FileState]]:
    """The states of the copied files; empty: they must be looked at."""
    known = {
        intern(path): FileState(file.mode, intern(file.sha256), file.size)
        for path, file in manifest.files.items()
        if file.size is not None
    }
    return [known] if len(known) == len(manifest.files) else []


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
    later = [one for one in folder.glob("workspace.*") if one.suffix[1:].isdigit()]
    return max(later, key=lambda one: int(one.suffix[1:]), default=folder / "workspace")


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


def _publish(folder: Path, stage: Path, manifest: Manifest) -> None:
    file = stage / "manifest.json"
    with file.open("wb") as out:
        out.write(manifest.model_dump_json(indent=1).encode())
    os.sync()  # one for all files: cheaper than one flush a file
    for name in ("base", "workspace", "manifest.json"):
        (stage / name).rename(folder / name)
    stage.rmdir()


def _fill(source: Path | None, folder: Path, stage: Path, limit: int) -> Manifest:
    base, root = stage / "base", stage / "workspace"
    base.mkdir(parents=True)
    root.mkdir()
    if source is None:
        return Manifest(source=None, files={}, skipped={})
    skipped: dict[str, str] = {}
    found = _usable(source, _chosen(source, _ours(source, folder), skipped), skipped)
    _check_size(source, found, limit)
    files: dict[str, CopiedFile] = {}
    for beneath in sorted({Path(one.path).parent for one in found}):
        for side in (base, root):
            (side / beneath).mkdir(parents=True, exist_ok=True)
    for one in found:
        try:
            files[one.path] = _copy(source, one, base, root)
        except ToolError as error:
            skipped[one.path] = str(error)
    return Manifest(source=str(source), files=files, skipped=dict(sorted(skipped.items())))


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
        found = list(walk(source, default_rules(), rules_in=source, skipped=skipped))
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
            found += walk(source, rules, start=path, rules_in=source, skipped=skipped)
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


def _copy(source: Path, one: Found, base: Path, root: Path) -> CopiedFile:
    if stat.S_ISLNK(one.status.st_mode):
        target = link_target(source, one.path)
        for side in (base, root):
            (side / one.path).symlink_to(target)
        raw = os.fsencode(target)
        return CopiedFile(sha256=hashlib.sha256(raw).hexdigest(), mode="120000", size=len(raw))
    with (
        opened_file(source, one.path) as (original, status),
        _made(base / one.path, status) as kept,
        _made(root / one.path, status) as worked_in,
    ):
        if _cloned(original, kept) and _cloned(kept, worked_in):
            with open(kept, "rb", closefd=False) as file:
                digest, size = hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        else:
            digest, size = _written(original, (kept, worked_in))
    return CopiedFile(sha256=digest, mode=mode_of(status), size=size)


@contextlib.contextmanager
def _made(target: Path, like: os.stat_result) -> Generator[int]:
    """A new, empty file with the same permissions; its owner can read it in any case."""
    made = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(made, stat.S_IMODE(like.st_mode) & 0o777 | stat.S_IRUSR)
        yield made
    finally:
        os.close(made)


def _written(original: int, targets: tuple[int, ...]) -> tuple[str, int]:
    """Write the same bytes into each, which may hold some of them; their SHA-256, and how many they are."""
    digest, size = hashlib.sha256(), 0
    while chunk := os.read(original, _CHUNK):
        digest.update(chunk)
        for made in targets:
            left = memoryview(chunk)
            while left:
                left = left[os.pwrite(made, left, size + len(chunk) - len(left)) :]
        size += len(chunk)
    for made in targets:
        os.ftruncate(made, size)
    return digest.hexdigest(), size


def _cloned(original: int, made: int) -> bool:
    """Share the content where the file system can (btrfs, XFS, bcachefs)."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(made, _FICLONE, original)
    except OSError:
        return False
    return True
