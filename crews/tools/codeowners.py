"""Whose are the files of the user's folder? Its CODEOWNERS, as it was copied when the run began."""

from __future__ import annotations

from loguru import logger

from crews.safety.owners import LOCATIONS, MAX_CHARS, NOBODY, Owners, parse, unreadable
from crews.tools.base import ToolError
from crews.tools.paths import read_bytes
from crews.tools.workspace import Workspace


def owners_of(workspace: Workspace) -> Owners:
    """The owners, never from what agents have changed. Where the file cannot be read, all is owned."""
    for path, dialect in LOCATIONS:
        if not _is_there(workspace, path):
            continue
        try:
            text = read_bytes(workspace.base, path, MAX_CHARS).decode("utf-8-sig", "replace")
        except (ToolError, OSError) as error:
            logger.warning("{} cannot be read, so that every file counts as owned: {}", path, error)
            return unreadable()
        return parse(text, dialect)
    return NOBODY


def _is_there(workspace: Workspace, path: str) -> bool:
    """A link counts, also one that was not copied because it leads out of the folder."""
    roots = [workspace.base] if workspace.source is None else [workspace.base, workspace.source]
    return (workspace.base / path).exists() or any((root / path).is_symlink() for root in roots)
