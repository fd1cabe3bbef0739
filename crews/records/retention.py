"""Whose contents may go, what goes with them, and what stays for ever?

Purging a run removes what was said and done in it: its threads, turns, calls and settled spend, its goal, inputs, team
and summary, what its reviews asked and were answered, the bodies of its notifications, and its folder. The
run's row stays with its status, times and totals, and each review's row with who decided what and when. The
audit log keeps every entry as it was written; what they say of goals, arguments, reasons and answers stands in them
only under the run's own key, which is thrown away (`vault`). Entries from before schema 3 hold such words themselves,
and keep them: the chain is proof only while nobody can take anything out of it. Backups keep what they have, keys too.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, Table, delete, select, update

from crews.errors import UsageError, WorkspaceError
from crews.records import audit, vault
from crews.records.leaving import close_questions
from crews.records.owner import home_id
from crews.records.rows import ENDED, RunOptions, RunRow
from crews.records.runs import get_run, run_in
from crews.records.store import Store, dump
from crews.records.tables import calls, deliveries, reviews, runs, spend, threads, turns
from crews.settings import Settings

_REMOVED: tuple[Table, ...] = (threads, turns, calls, spend)
"""Tables whose rows of a purged run are deleted."""
_EMPTIED: dict[Table, dict[str, Any]] = {
    reviews: {
        "title": "", "subject": "{}", "reason": "", "findings": "[]", "brief": None, "brief_note": "",
        "answer": "", "edit": None,
    },
    deliveries: {"body": "{}", "error": ""},
    runs: {"goal": "", "inputs": "{}", "team": "{}", "summary": "", "reason": ""},
}  # fmt: skip
"""Tables whose rows of a purged run stay, without these contents."""


@dataclass(frozen=True, slots=True)
class Purged:
    """What was removed."""

    run: str
    counts: dict[str, int]
    """Rows that were deleted or emptied, by table; none where an earlier purge had done so."""
    sha256: str
    """Over those rows as they were."""
    folder: bool
    """Was there a folder, and is it gone now?"""
    elsewhere: bool
    """Its folder is on another machine: purge it there as well."""
    erased: int = 0
    """Entries of the audit log whose contents are gone with the run's key."""


def purgeable(
    store: Store, settings: Settings, *, before: float | None, team: str = "", run: str = ""
) -> tuple[RunRow, ...]:
    """Ended runs with contents, oldest first, and those whose purge was interrupted.

    Args:
        store: The journal.
        settings: The process's settings; they say where folders are.
        before: Only runs that ended before this moment (seconds since the epoch); None: any.
        team: Only runs of this team; empty: of all.
        run: Only this run; empty: all.

    Raises:
        UsageError: there is no such run, or it has not ended.
    """
    if run and (row := get_run(store, run)).status not in ENDED:
        raise UsageError(f"run `{run}` has not ended: {row.status}",
                         hint=f"`crews stop {run}` ends it")  # fmt: skip
    query = select(runs).where(runs.c.status.in_(ENDED)).order_by(runs.c.ended_at)
    if before is not None:
        query = query.where(runs.c.ended_at < before)
    if team:
        query = query.where(runs.c.team_name == team)
    if run:
        query = query.where(runs.c.id == run)
    with store.reading() as connection:
        found = [run_in(connection, row.id) for row in connection.execute(query).all()]
    return tuple(r for r in found if r.purged_at is None or settings.run_folder(r.id).exists())


def purge(store: Store, settings: Settings, run: str, by: str) -> Purged:
    """Remove a run's contents; done again, it goes on where it was interrupted.

    Args:
        store: The journal.
        settings: The process's settings; they say where the run's folder is.
        run: The run; it must have ended.
        by: Who asks for it; the audit log keeps the name.

    Raises:
        UsageError: there is no such run, or it has not ended.
        WorkspaceError: its folder cannot be removed; its rows are gone.
    """
    counts: dict[str, int] = {}
    digest = ""
    erased = 0
    with store.writing() as connection:
        row = _ended(connection, run)
        if row.purged_at is None:
            counts, digest = _empty(connection, row)
            erased = vault.erase(connection, run)
            body: dict[str, JsonValue] = {
                "by": by, "rows": dict(counts), "sha256": digest, "erased": erased,
            }  # fmt: skip
            audit.append(connection, run, "run_purged", body)
    # Only now: rows without their files can be purged again, files without their rows would be lost.
    folder = settings.run_folder(run)
    there = folder.exists()
    if there:
        _remove(folder)
    elsewhere = not there and row.home not in ("", home_id(settings.home))
    return Purged(run, counts, digest, there, elsewhere, erased)


def _ended(connection: Connection, run: str) -> RunRow:
    """The run, if it has ended; a failed one may be at work again by now."""
    row = run_in(connection, run)
    if row.status not in ENDED:
        raise UsageError(f"run `{run}` has not ended: {row.status}")
    return row


def _empty(connection: Connection, row: RunRow) -> tuple[dict[str, int], str]:
    """Delete and empty the run's rows; returns how many, and the digest of what they held."""
    close_questions(connection, row.id)
    digest = hashlib.sha256()
    counts: dict[str, int] = {}
    for table in (*_REMOVED, *_EMPTIED):
        mine = (table.c.id if table is runs else table.c.run) == row.id
        if (
            table is spend
        ):  # what a death cut off counts against its day for good, and says nothing of what it was
            mine &= spend.c.state != "lost"
        found = connection.execute(select(table).where(mine).order_by(*table.primary_key)).all()
        for one in found:
            digest.update(f"{dump([table.name, dict(one._mapping)])}\n".encode())  # pyright: ignore[reportPrivateUsage]
        counts[table.name] = len(found)
        if table in _EMPTIED:
            connection.execute(update(table).where(mine).values(**_EMPTIED[table]))
        else:
            connection.execute(delete(table).where(mine))
    waiting = (deliveries.c.run == row.id) & (deliveries.c.state == "due")
    connection.execute(update(deliveries).where(waiting).values(state="dropped"))
    options = row.asked
    kept = RunOptions(
        autonomy=options.autonomy, observe=options.observe, started_by=options.started_by
    )
    values = {"options": kept.model_dump_json(), "purged_at": time.time(), "epoch": row.epoch + 1}
    connection.execute(update(runs).where(runs.c.id == row.id).values(**values))
    return counts, digest.hexdigest()


def _remove(folder: Path) -> None:
    """Remove a run's folder, also where a command of an agent took rights away in it."""
    try:
        folder.chmod(0o700)
        for above, folders, _ in os.walk(folder):
            for name in folders:
                if not (below := Path(above, name)).is_symlink():
                    below.chmod(0o700)
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass  # another purge was quicker
    except OSError as error:
        raise WorkspaceError(f"the run's folder cannot be removed: {error.strerror}", where=str(folder),
                             hint="remove it yourself, or purge the run again") from error  # fmt: skip
