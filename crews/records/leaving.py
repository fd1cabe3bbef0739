"""How does a process leave a run, at its end or for another to go on with? In one transaction of its owner."""

from __future__ import annotations

import time

from pydantic import JsonValue
from sqlalchemy import Connection, Float, String, bindparam, or_, select, update

from crews.errors import EXIT_FAILED
from crews.records import audit
from crews.records.rows import RunStatus
from crews.records.statement import Prepared
from crews.records.store import Store
from crews.records.tables import reviews, runs

_RUN = bindparam("b_run", type_=String)
_THIS = runs.c.id == _RUN
_TOLD = Prepared(select(runs.c.woken, runs.c.stop_asked).where(_THIS))
_LEAVE = Prepared(
    update(runs)
    .where(_THIS)
    .values(working_seconds=runs.c.working_seconds + bindparam("b_seconds", type_=Float))
)
_OPEN = Prepared(select(reviews.c.id).where(reviews.c.run == _RUN, reviews.c.state == "open"))
_KEPT = (
    _THIS
    & or_(runs.c.status == "queued", runs.c.status == "waiting")
    & (runs.c.owner == bindparam("b_owner"))
)
_IS_KEPT = Prepared(select(runs.c.id).where(_KEPT))
_DISOWN = Prepared(update(runs).where(_KEPT).values(owner=""))


def leave(
    connection: Connection,
    run: str,
    status: RunStatus,
    *,
    reason: str,
    exit_code: int | None,
    worked: float,
    summary: str | None,
) -> RunStatus:
    """Let go of a run; see `Journal.release`."""
    told = _TOLD.run(connection, {"b_run": run}).one()
    if told.stop_asked and status in {"waiting", "queued"}:
        status, reason, exit_code = "stopped", "stopped by a human", EXIT_FAILED
    elif told.woken and status == "waiting":
        status, exit_code = "queued", None
    values = {
        "b_run": run, "b_seconds": worked, "status": status, "reason": reason, "exit_code": exit_code,
        "owner": "", "deaths": 0,
        "ended_at": time.time() if status in {"completed", "failed", "stopped"} else None,
    }  # fmt: skip
    if summary is not None:
        values["summary"] = summary
    _LEAVE.run(connection, values)
    if status in {"completed", "stopped"}:
        close_questions(connection, run)
    audit.append(connection, run, "run_released", {"status": status}, contents={"reason": reason})
    return status


def close_questions(connection: Connection, run: str) -> None:
    """A run that has ended for good asks nothing any more."""
    found = [row.id for row in _OPEN.run(connection, {"b_run": run}).rows]
    if found:
        mine = (reviews.c.run == run) & (reviews.c.state == "open")
        connection.execute(update(reviews).where(mine).values(state="void"))
        body: dict[str, JsonValue] = {"reviews": found, "why": "the run has ended"}
        audit.append(connection, run, "review_void", body)


def keep(connection: Connection, run: str, owner: str) -> None:
    """Keep a run that waits, and that nobody has, for one process."""
    mine = (runs.c.id == run) & (runs.c.status == "waiting") & (runs.c.owner == "")
    connection.execute(update(runs).where(mine).values(owner=owner))


def is_kept(store: Store, run: str, owner: str) -> bool:
    """Does a run stand still, and is it kept for one process?"""
    return store.look(_IS_KEPT, {"b_run": run, "b_owner": owner}).first() is not None


def disown(connection: Connection, run: str, owner: str) -> None:
    """Leave a run that stands still and was kept for one process to whoever wants it."""
    _DISOWN.run(connection, {"b_run": run, "b_owner": owner})
