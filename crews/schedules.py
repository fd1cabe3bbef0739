"""Which goals are pursued again and again, and what does one moment of a schedule make?

The queue keeps a schedule with its order as JSON, and sees to it that each moment is due once, however many
workers there are. The run that is made carries the moment as its submission key, so it is made once, too.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger
from pydantic import BaseModel, ConfigDict

from crews import work
from crews.answering import identified
from crews.errors import CrewsError, UsageError
from crews.outcome import Kickoff
from crews.records import audit
from crews.records.store import Store
from crews.settings import Settings

if TYPE_CHECKING:
    from crews.runtime.engine import Schedule
    from crews.runtime.worker import Worker


class Order(BaseModel):
    """What a schedule has done each time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    goal: str
    team: str
    workspace: str
    inputs: dict[str, str] = {}
    autonomy: int | None = None
    observe: bool = False
    apply: bool = True
    model: str = ""
    priority: int = 0
    by: str = ""
    """Who made the schedule: the runs are started in that name."""

    def kickoff(self, due: datetime, home: str) -> Kickoff:
        """The order as a kickoff for one moment; other folders of runs may have a schedule of that name."""
        return Kickoff(
            goal=self.goal,
            team=self.team or None,
            workspace=Path(self.workspace),
            inputs=self.inputs,
            autonomy=self.autonomy,
            observe=self.observe,
            apply=self.apply,
            model=self.model,
            priority=self.priority,
            submission=f"schedule {home} {self.name} {due.isoformat()}",
        )


async def fire(worker: Worker, order: str, due: datetime) -> str:
    """Make the run that is due; what is wrong with it is logged, and the schedule goes on."""
    wanted = Order.model_validate_json(order)
    try:
        run = await asyncio.to_thread(
            work.submit,
            wanted.kickoff(due, worker.home),
            worker.store,
            worker.settings,
            origin=f"schedule:{wanted.name}",
            by=wanted.by,
        )
    except CrewsError as error:
        logger.error("schedule {}: {}", wanted.name, error)
        worker.said("", f"schedule {wanted.name} could not make its run: {error.what}")
        return "failed"
    worker.said(run.id, f"made by schedule {wanted.name}")
    return run.id


def add(cron: str, order: Order, store: Store, settings: Settings) -> None:
    """Keep a schedule.

    Args:
        cron: Five fields, or six of which the first are seconds; in UTC.
        order: What is done each time.
        store: The journal.
        settings: The process's settings.

    Raises:
        UsageError: the expression cannot be read, or there is a schedule of that name.
    """
    engine = work.engine_of(store, settings)
    try:
        if not engine.ready():
            engine.prepare()
        if any(one.name == order.name for one in engine.schedules()):
            raise UsageError(
                f"there is a schedule `{order.name}` already",
                hint=f"remove it first: crews schedules remove {order.name}",
            )
        by = identified(store, settings).name
        order = order.model_copy(update={"by": by})
        try:
            engine.put_schedule(order.name, cron, order.model_dump_json())
        except ValueError as error:
            raise UsageError(f"`{cron}` is no schedule", hint=_FORM) from error
        _note(store, "schedule_added", order.name, by)
    finally:
        engine.close()


def found(store: Store, settings: Settings) -> tuple[Schedule, ...]:
    """Every schedule, by name."""
    engine = work.engine_of(store, settings)
    try:
        return engine.schedules() if engine.ready() else ()
    finally:
        engine.close()


def change(name: str, what: str, store: Store, settings: Settings) -> None:
    """`pause`, `resume` or `remove` a schedule. Raises UsageError: there is none of that name."""
    engine = work.engine_of(store, settings)
    try:
        names = [one.name for one in engine.schedules()] if engine.ready() else []
        if name not in names:
            raise UsageError(f"there is no schedule `{name}`", hint="`crews schedules` lists them")
        by = identified(store, settings).name
        if what == "remove":
            engine.drop_schedule(name)
        else:
            engine.pause_schedule(name, paused=what == "pause")
        _note(store, f"schedule_{what}d", name, by)
    finally:
        engine.close()


def _note(store: Store, kind: str, name: str, by: str) -> None:
    with store.writing() as connection:
        audit.append(connection, "", kind, {"schedule": name, "by": by})


_FORM = "five fields: minute hour day month weekday, as in `0 7 * * 1-5`; UTC"
