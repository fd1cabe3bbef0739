"""Which of a command's changes may stay, where an agent may not write everywhere?

A sandbox knows folders, not globs, and other agents work in the same workspace. An agent with narrower paths
therefore runs its commands in a copy, from which only what it may change is carried over.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crews.safety.paths import EVERYTHING, covered, meets
from crews.tools import growth
from crews.tools.base import ToolContext, ToolError
from crews.tools.ignore import default_rules
from crews.tools.paths import TEMP_PREFIX, remove, status_of, write_bytes
from crews.tools.tree import MOST_FILES, FileState, content_of, states, walk
from crews.tools.workspace import Workspace

COPY = "command-"
"""Begin of the name of a copy, beside the workspace."""
ATTEMPTS = 5
_LINK = "120000"


@dataclass(slots=True)
class Confined:
    """Where a command runs, and what it may not keep there."""

    root: Path
    context: ToolContext
    notes: tuple[str, ...] = ()
    """After the command: one line for everything that was not kept."""
    _before: dict[str, FileState] | None = None

    def settle(self) -> None:
        """After the command: keep what the agent may change, take back the rest."""
        if self._before is not None:
            self.notes += tuple(self._carry_over(self._before))
        self.notes += tuple(_restored(self.context))

    def _carry_over(self, before: dict[str, FileState]) -> Iterator[str]:
        after = _states(self.root)
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) == after.get(path):
                continue
            if not _may_write(self.context, path):
                yield f"not kept: {path}, you may not write there"
            elif (state := after.get(path)) is None:
                _gone(self.context.workspace, path)
            elif state.mode == _LINK:
                yield f"not kept: {path}, a link"
            else:
                mode = 0o755 if state.mode == "100755" else 0o644
                data = content_of(self.root, path, state)
                write_bytes(self.context.workspace.root, path, data, mode)


@contextmanager
def confined(context: ToolContext) -> Generator[Confined]:
    """The folder in which a command of this agent runs; call `settle` once it has ended.

    Raises:
        ToolError: the workspace changed while it was being copied.
    """
    root = context.workspace.root
    if not context.writable or context.write_paths == (EVERYTHING,):
        yield Confined(root, context)
        return
    copy = root.parent / f"{COPY}{secrets.token_hex(6)}"
    try:
        _copy(root, copy)
        yield Confined(copy, context, _before=_states(copy))
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _copy(root: Path, copy: Path) -> None:
    """Copy the files while others may write: a file that comes or goes meanwhile is tried again."""
    passing = shutil.ignore_patterns(f"{TEMP_PREFIX}*")
    for attempt in range(ATTEMPTS):
        try:
            shutil.copytree(root, copy, symlinks=True, ignore=passing)
        except (shutil.Error, OSError) as error:
            shutil.rmtree(copy, ignore_errors=True)
            if attempt == ATTEMPTS - 1:
                raise ToolError(
                    "the files changed while they were being copied; try again"
                ) from error
        else:
            return


def sweep(workspace: Workspace) -> None:
    """Remove the copies that commands of a dead owner ran in."""
    for left in workspace.root.parent.glob(f"{COPY}*"):
        shutil.rmtree(left, ignore_errors=True)


def _states(root: Path) -> dict[str, FileState]:
    return states(root, walk(root, default_rules(), most=MOST_FILES + growth.MOST_FILES))


def _may_write(context: ToolContext, path: str) -> bool:
    protected = any(meets(one, path) for one in context.protected)
    return not protected and covered(context.write_paths, path)


def _gone(workspace: Workspace, path: str) -> None:
    if status_of(workspace.root, path) is not None:
        remove(workspace.root, path)


def _restored(context: ToolContext) -> Iterator[str]:
    """Put back files that no agent may change, whatever its command did to them."""
    workspace = context.workspace
    for path in context.protected:
        if workspace.differs(path):
            workspace.restore(path)
            yield f"put back: {path}, no agent may change it"
