"""May this request be made? Reserved before it is sent, settled by what it took.

Limits of money, tokens, time and number are walls: only a human moves one. How much may be asked of a model
at a time is not: whoever finds no room waits and tries again.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, func, insert, select, update

from crews.records import days
from crews.records.journal import Journal, count_work
from crews.records.rows import NANO, RunRow, ThreadRow, dollars, row_as
from crews.records.tables import runs, spend, threads
from crews.records.workers import alive, clock
from crews.safety.budget import Breach, Spent, breach
from crews.settings import ModelLimits
from crews.teams.spec import Limits

Scope = Literal["run", "thread", "team"]
WINDOW = 60.0
"""Seconds over which `ModelLimits.per_minute` counts."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is about to be made."""

    path: str
    """The thread."""
    turn: int
    wanted: Spent
    """The most that the request may take."""
    model: str = ""
    """Which model is asked first; empty: none is, a tape answers."""
    worked: tuple[float, float] = (0.0, 0.0)
    """Seconds of work that are in no row yet: of the run, of the thread. They are written down."""
    over: bool = False
    """A human has decided about the wall: the thread may still say how far it has come."""


@dataclass(frozen=True, slots=True)
class Around:
    """Limits that a run has in common with others."""

    daily: Decimal | None = None
    """US dollars that the team may spend in a day."""
    room: ModelLimits | None = None
    """What may be asked of the model."""


ALONE = Around()


@dataclass(frozen=True, slots=True)
class Wall:
    """The limit that a request would pass, and whose limit it is."""

    scope: Scope
    breach: Breach
    spent: Spent
    day: str = ""
    """Which day of the team it is."""


@dataclass(frozen=True, slots=True)
class Full:
    """There is no room at the model: not now."""

    reason: str


def reserve(journal: Journal, asked: Asked, around: Around = ALONE) -> Wall | Full | None:
    """Set aside what a request may take at most; or say which wall is there, or that there is no room.

    All of it is one transaction under the journal's one write lock: requests that are made at once cannot
    pass a limit together.
    """
    with journal.writing() as connection:
        count_work(connection, journal.run, asked.path, asked.worked)
        now = clock(connection)
        if not asked.over and (wall := _wall(connection, journal.run, asked, around.daily, now)):
            return wall
        if around.room is not None and (full := _full(connection, asked.model, around.room, now)):
            return full
        money = asked.wanted.money
        connection.execute(
            insert(spend).values(
                run=journal.run,
                path=asked.path,
                turn=asked.turn,
                epoch=journal.epoch,
                state="reserved",
                tokens=asked.wanted.tokens,
                money=None if money is None else int(money * NANO),
                model=asked.model,
                reserved_at=now,
            )
        )
    return None


def _wall(
    connection: Connection, run: str, asked: Asked, daily: Decimal | None, now: float
) -> Wall | None:
    """The first limit that the request would pass: the run's, the thread's, the team's."""
    whole = row_as(RunRow, connection.execute(select(runs).where(runs.c.id == run)).one())
    mine = (threads.c.run == run) & (threads.c.path == asked.path)
    thread = row_as(ThreadRow, connection.execute(select(threads).where(mine)).one())
    held = total(whole) + _held(connection, run, None)
    if found := breach(whole.walls, held, asked.wanted):
        return Wall("run", found, held)
    held = total(thread) + _held(connection, run, asked.path)
    if found := breach(thread.walls, held, asked.wanted):
        return Wall("thread", found, held)
    if daily is None or not asked.model:
        return None
    return _day_wall(connection, whole.team_name, daily, asked, now)


def _day_wall(
    connection: Connection, team: str, daily: Decimal, asked: Asked, now: float
) -> Wall | None:
    day = days.get_day(connection, team, days.day_of(now))
    if (limit := day.limit(daily)) is None:
        return None
    held = days.committed(connection, day)
    found = breach(Limits(money=limit), held, asked.wanted)
    return None if found is None else Wall("team", found, held, day.day)


def _full(connection: Connection, model: str, room: ModelLimits, now: float) -> Full | None:
    if room.concurrent is not None:
        flying = _in_flight(connection, model, room.concurrent)
        if flying >= room.concurrent:
            return Full(f"{flying} requests of {model} in flight")
    if room.per_minute is not None:
        recent = (spend.c.model == model) & (spend.c.reserved_at > now - WINDOW)
        begun = _count(connection, recent)
        if begun >= room.per_minute:
            return Full(f"{begun} requests of {model} in the last minute")
    return None


def _in_flight(connection: Connection, model: str, most: int) -> int:
    """Requests of a model, by all runs, that somebody who lives waits for.

    Only where it matters, at the limit, are the owners looked at.
    """
    query = (
        select(runs.c.owner, func.count())
        .join(runs, (runs.c.id == spend.c.run) & (runs.c.epoch == spend.c.epoch))
        .where(spend.c.model == model, spend.c.state == "reserved", runs.c.status == "running")
        .group_by(runs.c.owner)
    )
    found = [(str(owner), int(count)) for owner, count in connection.execute(query)]
    if sum(count for _, count in found) < most:
        return 0
    return sum(count for owner, count in found if alive(connection, owner))


def _count(connection: Connection, which: object) -> int:
    query = select(func.count()).select_from(spend).where(which)  # type: ignore[arg-type]
    return int(connection.execute(query).scalar_one())


def total(row: RunRow | ThreadRow) -> Spent:
    """What a run or a thread has taken so far."""
    return Spent(
        tokens=row.tokens,
        money=dollars(row.money) if row.money_known else None,
        wall_seconds=row.working_seconds,
        turns=row.turns,
        calls=row.calls,
    )


def _held(connection: Connection, run: str, path: str | None) -> Spent:
    """What is reserved and not settled, and what a dead owner had reserved."""
    query = select(
        func.coalesce(func.sum(spend.c.tokens), 0),
        func.coalesce(func.sum(spend.c.money), 0),
        func.count(),
        func.count(spend.c.money),
    ).where(spend.c.run == run, spend.c.state.in_(("reserved", "lost")))
    if path is not None:
        query = query.where(spend.c.path == path)
    tokens, money, rows, priced = connection.execute(query).one()
    known = rows == priced
    return Spent(tokens=int(tokens), money=dollars(int(money)) if known else None, turns=int(rows))


def release(journal: Journal, path: str, turn: int) -> None:
    """Give a reservation back: the request was refused before it was answered."""
    _end(journal, path, turn, "released")


def lose(journal: Journal, path: str, turn: int) -> None:
    """Keep a reservation as spent: the request was broken off, and may have been billed."""
    _end(journal, path, turn, "lost")


def _end(journal: Journal, path: str, turn: int, state: Literal["released", "lost"]) -> None:
    mine = (spend.c.run == journal.run) & (spend.c.path == path) & (spend.c.turn == turn)
    mine &= (spend.c.epoch == journal.epoch) & (spend.c.state == "reserved")
    with journal.writing() as connection:
        connection.execute(update(spend).where(mine).values(state=state))
