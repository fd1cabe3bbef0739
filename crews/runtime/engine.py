"""How are activations queued, started, delayed and scheduled? The only file that knows DBOS.

DBOS keeps the queue in the journal's own database and runs one short workflow for each activation. A run that
waits has no workflow. Facts about dbos 3.4 on which this file is built, all read in its source:

- Priorities order a queue only where it has no partitions: a partitioned queue takes its partitions at random
  (`_sys_db.start_queued_partitioned_workflows`). That no run is ever active twice is therefore left to `claim`.
- A dead process' workflows stay `PENDING` for ever and count against the queue's limits: `drop_dead` cancels them.
- Every workflow version is dequeued by whoever has the same `application_version`: it is set here, so that an
  upgrade of this package, or of DBOS, strands nothing.
- The application is named after the folder of runs: a worker that does not see a run's workspace does not see
  its activation either.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, inspect, update

from crews.logs import adopt
from crews.records.lost import rest_after
from crews.records.rows import RunRow
from crews.records.runs import run_in
from crews.records.runs import wake as mark_woken
from crews.records.store import Store
from crews.records.tables import runs
from crews.records.workers import alive
from crews.teams.spec import Queueing

if TYPE_CHECKING:
    from dbos import DBOSClient

POLL: Final = 0.25
"""Seconds between two looks at a queue."""
VERSION: Final = "1"
"""Of what a queued activation is; changes only with its arguments."""
_ACTIVATION: Final = "activation"
_SCHEDULED: Final = "scheduled"
_LIVE: Final = ["ENQUEUED", "DELAYED", "PENDING"]

Activate = Callable[[str], Coroutine[Any, Any, str]]
"""Works on a run; returns one word about how that went."""
Fire = Callable[[str, datetime], Awaitable[str]]
"""Makes the run of a schedule: its order and the moment for which it was due."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A goal that is pursued again and again."""

    name: str
    cron: str
    """Five fields; or six, the first of which are seconds. In UTC."""
    order: str
    """What is to be run, as JSON (`runtime.schedules.Order`)."""
    active: bool
    last_fired_at: str | None


class Engine:
    """The queue of one journal, for the runs of one folder."""

    def __init__(self, store: Store, home: str) -> None:
        self.store = store
        self.home = home
        self._client: DBOSClient | None = None
        self._ready = False
        self._queues: dict[str, Queueing] = {}

    @property
    def url(self) -> str:
        """The journal's own database."""
        return self.store.engine.url.render_as_string(hide_password=False)

    @property
    def application(self) -> str:
        """Whose activations these are."""
        return _application(self.home)

    def close(self) -> None:
        """Give back what the client holds."""
        if self._client is not None:
            self._client.destroy()
            self._client = None

    # -- the queue ----------------------------------------------------------------------------

    def ready(self) -> bool:
        """Does this journal have a queue? It gets one when the first worker starts, or by `prepare`."""
        if not self._ready:
            with self.store.reading() as connection:
                schema = "dbos" if connection.dialect.name == "postgresql" else None
                self._ready = inspect(connection).has_table("workflow_status", schema=schema)
        return self._ready

    def prepare(self, concurrency: int | None = None) -> None:
        """Give the journal a queue, or bring an older one up to date.

        Args:
            concurrency: Activations that each worker works on at once; None: as it is. The queue keeps it, so
                that it holds for all workers of this folder of runs.
        """
        from dbos import DBOS

        adopt("dbos")
        DBOS.migrate(self.url)
        self._dbos().register_queue(
            f"{self.application}/",
            worker_concurrency=concurrency,
            polling_interval_sec=POLL,
            on_conflict="never_update" if concurrency is None else "always_update",
        )
        self._ready = True

    def queue_of(self, run: RunRow) -> str:
        """The queue of a run: its team's own where that has limits; made, or changed, if need be."""
        limits = run.spec.policy.queue
        name = self._known_queue(run)
        if self._queues.get(name) != limits and not name.endswith("/"):
            per = {"limit": limits.starts, "period": limits.per} if limits.starts else None
            home = name.partition("/")[0]
            general = self._dbos().retrieve_queue(f"{home}/")
            # As many as each worker has room for: what it takes beyond waits there, and no other gets it.
            room = [n for n in (limits.concurrency, general and general.worker_concurrency) if n]
            self._dbos().register_queue(
                name,
                worker_concurrency=min(room, default=None),
                global_concurrency=limits.concurrency,
                limiter=per,  # type: ignore[arg-type]
                polling_interval_sec=POLL,
                on_conflict="always_update",
                application_name=home,
            )
            self._queues[name] = limits
        return name

    def enqueue(
        self, connection: Connection, run: RunRow, queue: str, why: str, delay: float = 0.0
    ) -> None:
        """Queue an activation of a run inside the caller's transaction.

        Args:
            connection: The transaction: the activation exists if, and only if, it is committed.
            run: The run.
            queue: From `queue_of`, asked for before the transaction began.
            why: Makes the activation's name: the same reason twice is one activation.
            delay: Seconds before which it is not begun.
        """
        name = f"{run.id}@{why}"
        options: dict[str, Any] = {
            "workflow_name": _ACTIVATION, "queue_name": queue, "workflow_id": name,
            "priority": run.priority, "application_name": queue.partition("/")[0],
            "app_version": VERSION,
        }  # fmt: skip
        if delay > 0:
            options["delay_seconds"] = delay
        self._dbos().enqueue_in_transaction(connection, options, run.id)  # type: ignore[arg-type]
        connection.execute(update(runs).where(runs.c.id == run.id).values(workflow=name))

    def wake(self, connection: Connection, run: str) -> None:
        """A human has decided: mark the run and queue an activation, in the decision's own transaction."""
        mark_woken(connection, run)
        row = run_in(connection, run)
        kept = row.status != "running" and bool(row.owner) and alive(connection, row.owner)
        queue = self._known_queue(row)
        # Where no worker looks nothing would ever begin: then a worker finds the run by its row, and makes the queue.
        if self._ready and not kept and (queue.endswith("/") or self._dbos().retrieve_queue(queue)):
            self.enqueue(connection, row, queue, f"woken-{secrets.token_hex(4)}")

    def _known_queue(self, run: RunRow) -> str:
        limits = run.spec.policy.queue
        team = run.team_name if limits.concurrency or limits.starts else ""
        # Of the folder that holds the run, which need not be the one that this process sees.
        return f"{_application(run.home or self.home)}/{team}"

    def queue_again(self, run: RunRow) -> bool:
        """Queue an activation of a run that is ready and has none; False: somebody else was quicker."""
        queue = self.queue_of(run)
        with self.store.writing() as connection:
            now = run_in(connection, run.id)
            if (now.status, now.workflow) != (run.status, run.workflow):
                return False
            why = f"{now.epoch}-{secrets.token_hex(4)}"
            self.enqueue(connection, now, queue, why, rest_after(now.deaths))
        return True

    def live(self, names: Iterable[str]) -> set[str]:
        """Which of these activations are still to come, or under way."""
        wanted = [name for name in names if name]
        if not wanted:
            return set()
        found = self._dbos().list_workflows(
            workflow_ids=wanted, status=_LIVE, load_input=False, load_output=False
        )
        return {status.workflow_id for status in found}

    def drop_dead(self, is_alive: Callable[[str], bool]) -> int:
        """Cancel the activations of processes that are gone; their runs are queued anew from their rows."""
        found = self._dbos().list_workflows(
            status="PENDING", application_name=self.application,
            load_input=False, load_output=False,
        )  # fmt: skip
        executors = {str(one.executor_id) for one in found}
        dead = {name for name in executors if not is_alive(name)}
        gone = [one for one in found if str(one.executor_id) in dead]
        # A moment of a schedule has no row before it has made its run: another process takes it up.
        if moments := [one.workflow_id for one in gone if one.name == _SCHEDULED]:
            self._dbos().resume_workflows(moments, queue_name=f"{self.application}/")
        if rest := [one.workflow_id for one in gone if one.name != _SCHEDULED]:
            self._dbos().cancel_workflows(rest)
        return len(gone)

    def cancel(self, run: RunRow) -> None:
        """Take a run's activation off the queue, if it has not begun."""
        if run.workflow and self.ready():
            self._dbos().cancel_workflow(run.workflow)

    def sweep(self, older_than: float) -> int:
        """Delete what is left of activations that ended more than so many seconds ago."""
        before = datetime.fromtimestamp(time.time() - older_than).astimezone().isoformat()
        found = self._dbos().list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"], completed_before=before, limit=500,
            application_name=self.application, load_input=False, load_output=False,
        )  # fmt: skip
        if names := [one.workflow_id for one in found]:
            self._dbos().delete_workflows(names)
        return len(names)

    # -- schedules ----------------------------------------------------------------------------

    def put_schedule(self, name: str, cron: str, order: str) -> None:
        """Keep a schedule; ValueError if the expression cannot be read."""
        from dbos import error

        try:
            self._dbos().create_schedule(
                schedule_name=self._schedule(name), workflow_name=_SCHEDULED, schedule=cron,
                context=order, queue_name=f"{self.application}/",
            )  # fmt: skip
        except error.DBOSException as problem:
            raise ValueError(str(problem)) from problem

    def schedules(self) -> tuple[Schedule, ...]:
        """Every schedule of this folder of runs, by name."""
        found = self._dbos().list_schedules()
        mine = [one for one in found if one["schedule_name"].startswith(self._schedule(""))]
        return tuple(
            Schedule(
                name=one["schedule_name"].removeprefix(self._schedule("")),
                cron=one["schedule"],
                order=str(one["context"]),
                active=one["status"] == "ACTIVE",
                last_fired_at=one["last_fired_at"],
            )
            for one in sorted(mine, key=lambda one: one["schedule_name"])
        )

    def drop_schedule(self, name: str) -> None:
        """Remove a schedule."""
        self._dbos().delete_schedule(self._schedule(name))

    def pause_schedule(self, name: str, *, paused: bool) -> None:
        """Let a schedule rest, or go on."""
        act = self._dbos().pause_schedule if paused else self._dbos().resume_schedule
        act(self._schedule(name))

    def _schedule(self, name: str) -> str:
        return f"{self.application}/{name}"

    def _dbos(self) -> DBOSClient:
        if self._client is None:
            from dbos import DBOSClient, DBOSPortableJSONSerializer

            adopt("dbos")
            self._client = DBOSClient(
                system_database_url=self.url,
                serializer=DBOSPortableJSONSerializer(),  # the default is pickle: code for who can write rows
                application_name=self.application,
                lazy=True,
            )
        return self._client


def _application(home: str) -> str:
    return f"crews-{home}"


@contextlib.contextmanager
def working(
    engine: Engine, *, executor: str, activate: Activate, fire: Fire
) -> Generator[Callable[[], None]]:
    """Take activations from the queue, and run them on the running event loop, until the block is left.

    The block is given what stops the taking; what has been taken goes on.
    """
    from dbos import DBOS, DBOSPortableJSONSerializer

    adopt("dbos")
    DBOS.workflow(name=_ACTIVATION)(_activation(activate))
    DBOS.workflow(name=_SCHEDULED)(_scheduled(fire))
    dbos = DBOS(
        config={
            "name": engine.application,
            "system_database_url": engine.url,
            "application_version": VERSION,
            "executor_id": executor,
            "serializer": DBOSPortableJSONSerializer(),
            "use_listen_notify": False,  # nobody sends messages; on SQLite there is none anyway
            "notification_listener_polling_interval_sec": 1.0,
            "scheduler_polling_interval_sec": 2.0,
            "enable_otlp": False,
            "log_level": "WARNING",
        }
    )
    DBOS.launch()

    def take_no_more() -> None:
        for one in dbos.background_thread_stop_events:
            one.set()

    try:
        yield take_no_more
    finally:
        DBOS.destroy(destroy_registry=True)


def _activation(activate: Activate) -> Callable[[str], Awaitable[str]]:
    async def activation(run: str) -> str:
        # In a context of its own: what the run's libraries do must not look like steps of this workflow.
        return await asyncio.get_running_loop().create_task(
            activate(run), context=contextvars.Context()
        )

    return activation


def _scheduled(fire: Fire) -> Callable[[datetime, Any], Awaitable[None]]:
    async def scheduled(due: datetime, order: Any) -> None:
        await fire(str(order), due)

    return scheduled
