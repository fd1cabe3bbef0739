"""How does an approved change set reach the user's folder, and how is it taken back?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, update

from crews.errors import Denied, UsageError
from crews.records import audit
from crews.records.journal import Journal
from crews.records.rows import RunRow
from crews.records.runs import check_kept
from crews.records.store import Store
from crews.records.tables import runs
from crews.settings import Settings
from crews.tools import applying
from crews.tools.changeset import ChangeSet, change_set
from crews.tools.copying import open_workspace

Writing = Callable[[], AbstractContextManager[Connection]]
"""Begins a transaction: anybody's, or one that only the run's owner can make."""


def deliver(
    store: Store, settings: Settings, row: RunRow, owner: Journal | None = None, by: str = ""
) -> ChangeSet:
    """Apply a run's approved change set; applying it twice does nothing more.

    Args:
        store: The journal.
        settings: The process's settings.
        row: The run.
        owner: In whose hands the run is while it is at work: who has lost it applies nothing.
        by: Who asked for it afterwards; empty: the approval itself did.

    Raises:
        Fenced: another process has taken the run over.
        Denied: a human has not approved these very changes.
        UsageError: there is no folder to apply them to.
        WorkspaceError: the user's files have changed since they were copied.
    """
    check_kept(row)
    folder = settings.run_folder(row.id)
    workspace = open_workspace(folder)
    changes = change_set(workspace)
    if changes.is_empty:
        raise UsageError(f"run `{row.id}` has changed nothing")
    if not row.approved_hash:
        raise Denied(f"nobody has approved the changes of run `{row.id}`", hint=_look(row))
    if changes.hash != row.approved_hash:
        raise Denied(
            "the changes are not those that were approved", where=f"run {row.id}", hint=_look(row)
        )
    if row.asked.source is None:
        raise UsageError(
            f"run `{row.id}` began without a folder", hint=f"`crews diff {row.id}` prints a patch"
        )
    # The decision stands in the log before the effect; the effect itself is atomic and can be repeated.
    body = {"content_hash": changes.hash} | ({"by": by} if by else {})
    writing = store.writing if owner is None else owner.writing
    _log(writing, row.id, "apply_started", body)
    applying.apply(changes, workspace, Path(row.asked.source), folder / "undo")
    _log(writing, row.id, "applied", body, applied_hash=changes.hash)
    return changes


def take_back(store: Store, settings: Settings, row: RunRow, by: str = "") -> tuple[str, ...]:
    """Undo what `deliver` did; refused if the files have been changed since."""
    check_kept(row)
    if not row.applied_hash or row.asked.source is None:
        raise UsageError(f"run `{row.id}` has applied nothing that could be undone")
    body = {"content_hash": row.applied_hash} | ({"by": by} if by else {})
    _log(store.writing, row.id, "undo_started", body)
    paths = applying.undo(settings.run_folder(row.id) / "undo", Path(row.asked.source))
    _log(store.writing, row.id, "undone", body, applied_hash="")
    return paths


def _look(row: RunRow) -> str:
    return f"`crews inbox` lists what waits for a decision; `crews runs show {row.id}` shows what happened"


def _log(writing: Writing, run: str, kind: str, body: dict[str, Any], **values: Any) -> None:
    with writing() as connection:
        about = {k: v for k, v in body.items() if k != "content_hash"}
        keyed = {"content_hash": body.get("content_hash", "")}
        audit.append(connection, run, kind, about, keyed=keyed)
        if values:
            connection.execute(update(runs).where(runs.c.id == run).values(**values))
