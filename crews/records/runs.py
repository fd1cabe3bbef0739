"""Which runs are there, who may work on one, and how did it end?"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import fields
from typing import TypeVar

from pydantic import JsonValue
from sqlalchemy import Connection, Row, Select, insert, select, update

from crews.errors import UsageError
from crews.records import audit
from crews.records.owner import alive, this_process
from crews.records.rows import ENDED, RunOptions, RunRow, RunStatus, ThreadRow
from crews.records.store import Store, dump
from crews.records.tables import reviews, runs, spend, threads
from crews.teams.spec import TeamSpec

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
R = TypeVar("R")


def row_as(kind: type[R], row: Row[tuple[object, ...]]) -> R:
    """A database row as the dataclass whose fields are its columns."""
    return kind(**{f.name: getattr(row, f.name) for f in fields(kind)})  # type: ignore[arg-type]


def new_run(
    store: Store, *, goal: str, inputs: dict[str, str], team: TeamSpec, options: RunOptions
) -> RunRow:
    """Write down a new run; nobody works on it yet."""
    run = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    with store.writing() as connection:
        connection.execute(
            insert(runs).values(
                id=run,
                goal=goal,
                inputs=dump(inputs),
                team=team.model_dump_json(),
                team_name=team.name,
                options=options.model_dump_json(),
                status="queued",
                limits=team.policy.limits.model_dump_json(),
                created_at=time.time(),
            )
        )
        body: dict[str, JsonValue] = {
            "goal": goal,
            "team": team.name,
            "sources": _digests(team),
            "by": options.started_by,
        }
        audit.append(connection, run, "run_created", body)
    return get_run(store, run)


def _digests(team: TeamSpec) -> dict[str, JsonValue]:
    return {k: hashlib.sha256(v.encode()).hexdigest() for k, v in sorted(team.sources.items())}


def get_run(store: Store, run: str) -> RunRow:
    """One run; UsageError if there is none of that id."""
    with store.reading() as connection:
        row = connection.execute(select(runs).where(runs.c.id == run)).first()
    if row is None:
        raise _unknown(run)
    return row_as(RunRow, row)


def _unknown(run: str) -> UsageError:
    return UsageError(f"there is no run `{run}`", hint="`crews runs` lists them")


def list_runs(
    store: Store, *, limit: int = 50, status: RunStatus | None = None
) -> tuple[RunRow, ...]:
    """Runs, newest first."""
    query: Select[tuple[object, ...]] = select(runs).order_by(runs.c.created_at.desc()).limit(limit)
    if status is not None:
        query = query.where(runs.c.status == status)
    with store.reading() as connection:
        return tuple(row_as(RunRow, row) for row in connection.execute(query))


def list_threads(store: Store, run: str) -> tuple[ThreadRow, ...]:
    """A run's threads, in the order in which they began."""
    query = select(threads).where(threads.c.run == run).order_by(threads.c.started_at)
    with store.reading() as connection:
        return tuple(row_as(ThreadRow, row) for row in connection.execute(query))


def claim(store: Store, run: str) -> int:
    """Take a run over for this process and return its new epoch: older owners can write nothing more.

    Raises:
        UsageError: there is no such run, it has completed or was stopped, or a living process works on it.
    """
    me = this_process()
    with store.writing() as connection:
        row = connection.execute(select(runs).where(runs.c.id == run)).first()
        if row is None:
            raise _unknown(run)
        if row.status in {"completed", "stopped"}:
            raise UsageError(
                f"run `{run}` has ended: {row.status}", hint=f"`crews runs show {run}`"
            )
        if row.status == "running" and row.owner != me and alive(row.owner):
            raise UsageError(
                f"run `{run}` is being worked on by process {row.owner}",
                hint=f"wait for it, or end it with `crews stop {run}`",
            )
        epoch = row.epoch + 1
        connection.execute(
            update(runs)
            .where(runs.c.id == run)
            .values(
                owner=me,
                epoch=epoch,
                status="running",
                reason="",
                exit_code=None,
                stop_asked=False,
                started_at=row.started_at or time.time(),
            )
        )
        # What a dead owner had reserved and never settled may have been billed: it counts as spent.
        connection.execute(
            update(spend)
            .where(spend.c.run == run, spend.c.state == "reserved")
            .values(state="lost")
        )
        audit.append(connection, run, "run_claimed", {"owner": me, "epoch": epoch})
    return epoch


def fail_run(store: Store, run: str, reason: str, exit_code: int) -> None:
    """End a run that could not even begin."""
    with store.writing() as connection:
        values = {
            "status": "failed",
            "reason": reason,
            "exit_code": exit_code,
            "ended_at": time.time(),
        }
        connection.execute(update(runs).where(runs.c.id == run).values(**values))
        audit.append(connection, run, "run_failed", {"reason": reason})


def ask_stop(store: Store, run: str) -> RunRow:
    """Have a run end: at its owner's next step, or at once if nobody works on it."""
    with store.writing() as connection:
        # Read under the write lock: an owner that lets go meanwhile would not see the wish.
        row = connection.execute(select(runs).where(runs.c.id == run)).first()
        if row is None:
            raise _unknown(run)
        if row.status in ENDED:
            raise UsageError(f"run `{run}` has ended already: {row.status}")
        connection.execute(update(runs).where(runs.c.id == run).values(stop_asked=True))
        if row.status != "running" or not alive(row.owner):
            connection.execute(
                update(runs)
                .where(runs.c.id == run)
                .values(
                    status="stopped",
                    reason="stopped by a human",
                    exit_code=1,
                    owner="",
                    epoch=runs.c.epoch + 1,
                    ended_at=time.time(),
                )
            )
            close_questions(connection, run)
        audit.append(connection, run, "stop_asked", {})
    return get_run(store, run)


def wake(connection: Connection, run: str) -> None:
    """A human has decided something: whoever may work on the run is to look again.

    A run that waits is queued; an owner that is at work finds the mark when it lets go.
    """
    mine = runs.c.id == run
    connection.execute(update(runs).where(mine).values(woken=True))
    waits = mine & (runs.c.status == "waiting")
    connection.execute(update(runs).where(waits).values(status="queued"))


def close_questions(connection: Connection, run: str) -> None:
    """A run that has ended for good asks nothing any more."""
    mine = (reviews.c.run == run) & (reviews.c.state == "open")
    found = connection.execute(select(reviews.c.id).where(mine)).scalars().all()
    if found:
        connection.execute(update(reviews).where(mine).values(state="void"))
        body: dict[str, JsonValue] = {"reviews": list(found), "why": "the run has ended"}
        audit.append(connection, run, "review_void", body)
