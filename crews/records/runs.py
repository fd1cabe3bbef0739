"""Which runs are there, who may work on one, and how did it end?"""

from __future__ import annotations

import hashlib
import secrets
import time
from datetime import UTC, datetime

from pydantic import JsonValue
from sqlalchemy import Connection, Select, String, bindparam, insert, select, update

from crews.errors import RunBusy, UsageError
from crews.records import audit, prepared
from crews.records.leaving import close_questions
from crews.records.owner import presence, this_process
from crews.records.rows import ENDED, RunOptions, RunRow, RunStatus, ThreadRow, row_as
from crews.records.statement import Found, Prepared
from crews.records.store import Store, check_version, dump
from crews.records.tables import meta, runs, spend
from crews.records.workers import alive
from crews.teams.spec import TeamSpec

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"

_RUN = bindparam("b_run", type_=String)
_ADD = Prepared(insert(runs))
_POLICY = Prepared(select(meta.c.value).where(meta.c.name == bindparam("b_name")))
_LOSE_RESERVED = Prepared(
    update(spend).where(spend.c.run == _RUN, spend.c.state == "reserved").values(state="lost")
)


def new_id() -> str:
    """An id for a run: random, of letters and digits that nobody takes for each other."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def new_run(
    store: Store,
    *,
    goal: str,
    inputs: dict[str, str],
    team: TeamSpec,
    options: RunOptions,
    home: str = "",
    origin: str = "",
    submission: str | None = None,
    owner: str = "",
    as_id: str = "",
) -> RunRow:
    """Write down a new run; nobody works on it yet.

    Args:
        store: The journal.
        goal: What is to be done.
        inputs: Values of the placeholders.
        team: The team, filled in.
        options: How the run was asked for.
        home: Which folder of runs holds its workspace.
        origin: What made it, if not a person.
        submission: The caller's idempotency key: the run that has it already is returned.
        owner: Process that will claim it at once; empty: the workers may take it.
        as_id: Its id; empty: any.

    Raises:
        UsageError: the submission key belongs to a run with another goal or team.
    """
    run = as_id or new_id()
    store.read_through(goal)
    with store.writing() as connection:
        if submission is not None and (found := _submitted(connection, submission)):
            return _same(found, goal, team)
        _ADD.run(
            connection,
            {
                "id": run,
                "goal": goal,
                "inputs": dump(inputs),
                "team": team.model_dump_json(),
                "team_name": team.name,
                "options": options.model_dump_json(),
                "status": "queued",
                "limits": team.policy.limits.model_dump_json(),
                "created_at": time.time(),
                "home": home,
                "origin": origin,
                "submission": submission,
                "owner": owner,
                "priority": options.priority or team.policy.queue.priority,
            },
        )
        note_created(connection, run, goal, team, by=options.started_by, origin=origin)
    return get_run(store, run)


def note_created(
    connection: Connection, run: str, goal: str, team: TeamSpec, *, by: str, origin: str
) -> None:
    """Tell the audit log of a new run, and of a policy that is not the one of the team's last run."""
    policy = hashlib.sha256(dump(team.policy).encode()).hexdigest()
    body: dict[str, JsonValue] = {
        "team": team.name, "sources": digests(team), "policy": policy, "by": by,
    }  # fmt: skip
    audit.append(
        connection,
        run,
        "run_created",
        body | ({"origin": origin} if origin else {}),
        contents={"goal": goal},
    )
    name = f"policy:{team.name}"
    last = _POLICY.run(connection, {"b_name": name}).scalar()
    if last is None:
        connection.execute(insert(meta).values(name=name, value=policy))
    elif last != policy:
        connection.execute(update(meta).where(meta.c.name == name).values(value=policy))
        changed: dict[str, JsonValue] = {"team": team.name, "from": last, "to": policy, "by": by}
        audit.append(connection, run, "policy_changed", changed)


def _submitted(connection: Connection, key: str) -> RunRow | None:
    row = connection.execute(select(runs).where(runs.c.submission == key)).first()
    return None if row is None else row_as(RunRow, row)


def _same(found: RunRow, goal: str, team: TeamSpec) -> RunRow:
    """A submission that is made again is the run that it made; another one under its key is a mistake."""
    if found.purged_at is None and (found.goal, found.team_name) != (goal, team.name):
        raise UsageError(
            f"submission key `{found.submission}` was used for run `{found.id}`, which has another goal or team",
            hint="give each submission a key of its own",
        )
    return found


def digests(team: TeamSpec) -> dict[str, JsonValue]:
    """SHA-256 of each of the team's files."""
    return {k: hashlib.sha256(v.encode()).hexdigest() for k, v in sorted(team.sources.items())}


def get_run(store: Store, run: str) -> RunRow:
    """One run; UsageError if there is none of that id."""
    return _known(store.look(prepared.RUN, {"b_run": run}), run)


def run_in(connection: Connection, run: str) -> RunRow:
    """One run, as the caller's transaction sees it; UsageError if there is none of that id."""
    return _known(prepared.RUN.run(connection, {"b_run": run}), run)


def _known(found: Found, run: str) -> RunRow:
    row = found.first()
    if row is None:
        raise _unknown(run)
    return row_as(RunRow, row)


def check_kept(row: RunRow) -> None:
    """Raise UsageError if the run's contents were purged."""
    if row.purged_at is not None:
        day = datetime.fromtimestamp(row.purged_at, UTC).strftime("%Y-%m-%d")
        raise UsageError(f"the contents of run `{row.id}` were purged on {day}",
                         hint="the audit log keeps what was decided")  # fmt: skip


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
    found = store.look(prepared.THREADS, {"b_run": run})
    return tuple(row_as(ThreadRow, row) for row in found.rows)


def claim(store: Store, run: str) -> int:
    """Take a run over for this process and return its new epoch: older owners can write nothing more.

    Raises:
        UsageError: there is no such run, or it has completed or was stopped.
        RunBusy: a living process works on it.
        StoreError: the journal belongs to a newer version by now.
    """
    me = this_process()
    with store.writing() as connection:
        check_version(connection)
        row = run_in(connection, run)
        check_kept(row)
        if row.status in {"completed", "stopped"}:
            raise ended(row)
        if row.owner not in {"", me} and alive(connection, row.owner):
            raise RunBusy(
                f"run `{run}` is being worked on by process {row.owner}",
                hint=f"wait for it, or end it with `crews stop {run}`",
            )
        epoch = row.epoch + 1
        prepared.SET_RUN.run(
            connection,
            {
                "b_run": run,
                "owner": me,
                "left_by": zombie(row),
                "epoch": epoch,
                "status": "running",
                "reason": "",
                "exit_code": None,
                # Somebody asked its owner to end it, who died before they did: that wish stands.
                "stop_asked": row.stop_asked and row.status == "running",
                "woken": False,
                "started_at": row.started_at or time.time(),
            },
        )
        # What a dead owner had reserved and never settled may have been billed: it counts as spent.
        _LOSE_RESERVED.run(connection, {"b_run": run})
        audit.append(connection, run, "run_claimed", {"owner": me, "epoch": epoch})
    return epoch


def zombie(row: RunRow) -> str:
    """The owner that loses a run, if it may still be there; whoever lost it before, if nobody else does."""
    lost = row.owner if row.status == "running" else ""
    if not lost or lost == this_process() or presence(lost) == "gone":
        return row.left_by
    return lost


def ended(row: RunRow) -> UsageError:
    """There is nothing more to do in this run."""
    check_kept(row)
    return UsageError(f"run `{row.id}` has ended: {row.status}", hint=f"`crews runs show {row.id}`")


def fail_run(store: Store, run: str, reason: str, exit_code: int) -> None:
    """End a run that could not even begin; one that another process has begun meanwhile goes on."""
    with store.writing() as connection:
        row = run_in(connection, run)
        if (row.status, row.epoch) != ("queued", 0):
            return
        values = {
            "status": "failed",
            "reason": reason,
            "exit_code": exit_code,
            "ended_at": time.time(),
            "owner": "",
        }
        connection.execute(update(runs).where(runs.c.id == run).values(**values))
        audit.append(connection, run, "run_failed", {}, contents={"reason": reason})


def ask_stop(store: Store, run: str, by: str = "") -> RunRow:
    """Have a run end: at its owner's next step, or at once if nobody works on it. `by`: who wants it."""
    with store.writing() as connection:
        # Read under the write lock: an owner that lets go meanwhile would not see the wish.
        row = connection.execute(select(runs).where(runs.c.id == run)).first()
        if row is None:
            raise _unknown(run)
        if row.status in ENDED:
            raise UsageError(f"run `{run}` has ended already: {row.status}")
        connection.execute(update(runs).where(runs.c.id == run).values(stop_asked=True))
        if row.status != "running" or not alive(connection, row.owner):
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
        audit.append(connection, run, "stop_asked", {"by": by} if by else {})
    return get_run(store, run)


def requeue(connection: Connection, run: str) -> None:
    """Let the workers take a run that stands still: waiting, interrupted, or failed."""
    mine = (runs.c.id == run) & runs.c.status.in_(("queued", "waiting", "failed"))
    mine &= runs.c.purged_at.is_(None)
    connection.execute(update(runs).where(mine).values(status="queued", reason="", owner=""))


def wake(connection: Connection, run: str) -> None:
    """A human has decided something: whoever may work on the run is to look again.

    A run that waits is queued; an owner that is at work finds the mark when it lets go.
    """
    mine = runs.c.id == run
    connection.execute(update(runs).where(mine).values(woken=True))
    waits = mine & (runs.c.status == "waiting")
    connection.execute(update(runs).where(waits).values(status="queued"))
