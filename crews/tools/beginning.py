"""How does a run get the files with which another one began?"""

from __future__ import annotations

import secrets
import shutil
import sys
from pathlib import Path

from crews.errors import WorkspaceError
from crews.tools.base import ToolError
from crews.tools.copying import (
    Manifest,
    make_workspace,
    open_workspace,
    read_manifest,
)
from crews.tools.ignore import no_rules
from crews.tools.tree import states, walk
from crews.tools.workspace import Workspace


def begin_like(
    old: Path, folder: Path, source: Path | None, tree_hash: str, limit_mb: int
) -> Workspace:
    """Make a workspace of the files that another run was given.

    Args:
        old: The other run's folder; its untouched copy is taken, if it is there.
        folder: The new run's folder.
        source: The user's folder, which is taken otherwise; None: the other run began with nothing.
        tree_hash: The workspace's hash when the other run began; empty: not known.
        limit_mb: Largest sum of the files' sizes, in MiB.

    Raises:
        WorkspaceError: neither holds the files as they were, or they cannot be copied.
    """
    try:
        if (old / "manifest.json").exists() and (old / "base").is_dir():
            return _copied(old, folder)
        return _taken_anew(folder, source, tree_hash, limit_mb)
    except (ToolError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise WorkspaceError(f"the files cannot be copied: {error}", where=str(old)) from error
    except WorkspaceError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _copied(old: Path, folder: Path) -> Workspace:
    manifest = read_manifest(old)
    stage = folder / f".copying-{secrets.token_hex(4)}"
    shutil.copytree(old / "base", stage / "base", symlinks=True)
    _check(stage / "base", manifest, old)
    shutil.copytree(stage / "base", stage / "workspace", symlinks=True)
    (stage / "manifest.json").write_bytes((old / "manifest.json").read_bytes())
    for name in ("base", "workspace", "manifest.json"):
        (stage / name).rename(folder / name)
    stage.rmdir()
    return open_workspace(folder)


def _check(base: Path, manifest: Manifest, old: Path) -> None:
    """What is not byte for byte what was copied then would make another beginning."""
    now = states(base, walk(base, no_rules(), most=sys.maxsize))
    found = {path: (state.sha256, state.mode) for path, state in now.items()}
    copied = {path: (file.sha256, file.mode) for path, file in manifest.files.items()}
    if found != copied:
        paths = found.keys() | copied.keys()
        changed = sorted(p for p in paths if found.get(p) != copied.get(p))
        raise WorkspaceError(
            f"the copy of the files with which the run began has been changed: {', '.join(changed[:5])}",
            where=str(old / "base"),
        )


def _taken_anew(folder: Path, source: Path | None, tree_hash: str, limit_mb: int) -> Workspace:
    workspace = make_workspace(source, folder, limit_mb)
    if source is not None and (not tree_hash or workspace.tree_hash() != tree_hash):
        raise WorkspaceError(
            "the files with which the run began are gone: its own copy is no longer there, and the folder "
            "has been changed since",
            where=str(source),
            hint="`crews runs retry` begins anew with the folder as it is",
        )
    return workspace
