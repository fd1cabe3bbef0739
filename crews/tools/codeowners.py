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
        if not (workspace.base / path).is_symlink() and not (workspace.base / path).exists():
            continue
        try:
            text = read_bytes(workspace.base, path, MAX_CHARS).decode("utf-8-sig", "replace")
        except (ToolError, OSError) as error:
            logger.warning("{} cannot be read, so that every file counts as owned: {}", path, error)
            return unreadable()
        return parse(text, dialect)
    return NOBODY
