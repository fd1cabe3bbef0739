"""May this request be made? Reserved before it is sent, settled by what it took.

Limits of money, tokens, time and number are walls: only a human moves one. How much may be asked of a model
at a time is not: whoever finds no room waits and tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, func, select

from crews.records import days, prepared, reservations
from crews.records.journal import Journal, count_work
from crews.records.reservations import Held, Key, Reserved
from crews.records.rows import Budget, RunRow, ThreadRow, dollars
from crews.records.tables import spend
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
    unwritten: tuple[float, float] = (0.0, 0.0)
    """The same, which the next answer brings into the rows."""
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


@dataclass(frozen=True, slots=True)
class Told:
    """A human has told the thread, or the whole run, to finish with what there is."""

    thread: bool
    """Its own row says so."""


def reserve(journal: Journal, asked: Asked, around: Around = ALONE) -> Wall | Full | Told | None:
    """Set aside what a request may take at most; or say what stands against it: a wall, no room, a human's word.

    All of it is one transaction under the journal's one write lock: requests that are made at once cannot
    pass a limit together.
    """
    with journal.writing() as connection:
        count_work(connection, journal.run, asked.path, asked.worked)
        now = clock(connection)
        known = None if asked.over else _known(connection, journal, asked)
        if known is not None and (against := _against(connection, asked, around, known, now)):
            return against
        if around.room is not None and (full := _full(connection, asked.model, around.room, now)):
            return full
        key = Key(journal.run, asked.path, asked.turn, journal.epoch)
        # Of a request that was never tried nothing can have been lost.
        again = known is None or any(h.path == asked.path and not h.in_flight for h in known.held)
        reservations.set_aside(
            connection, key, asked.wanted, asked.model, now, over=asked.over, again=again
        )
        journal.reserved.pop((asked.path, asked.turn), None)  # of an attempt before this one
        if known is not None:
            journal.reserved[asked.path, asked.turn] = Reserved(known.team, asked.model, now)
    return None


@dataclass(frozen=True, slots=True)
class _Known:
    """What a request is measured by."""

    team: str
    own: bool
    """Was the thread told to finish?"""
    whole: bool
    """Was the run?"""
    run: Budget
    thread: Budget
    held: Sequence[Held]
    """What the run has reserved and not settled."""


def _known(connection: Connection, journal: Journal, asked: Asked) -> _Known:
    mine = {"b_run": journal.run, "b_path": asked.path}
    team, own, whole, *taken = prepared.BUDGETS.run(connection, mine).one()
    half = len(taken) // 2
    held = reservations.held(connection, journal.run)
    run, thread = Budget(*taken[:half]), Budget(*taken[half:])
    return _Known(str(team), bool(own), bool(whole), run, thread, held)


def _against(
    connection: Connection, asked: Asked, around: Around, known: _Known, now: float
) -> Wall | Full | Told | None:
    """A human's word, or the first limit that the request would pass: the run's, the thread's, the team's."""
    if known.own or known.whole:
        return Told(known.own)
    of_run, of_thread = (Spent(wall_seconds=seconds) for seconds in asked.unwritten)
    if found := _in_row("run", known.run, of_run, known.held, asked.wanted):
        return found
    own = [h for h in known.held if h.path == asked.path]
    if found := _in_row("thread", known.thread, of_thread, own, asked.wanted):
        return found
    if around.daily is None or not asked.model:
        return None
    return _day_wall(connection, known.team, around.daily, asked, now)


def _in_row(
    scope: Scope, row: Budget, unwritten: Spent, held: Sequence[Held], wanted: Spent
) -> Wall | Full | None:
    """The limit of a run or a thread that is passed."""
    spent = total(row) + unwritten
    committed = sum((h.amount for h in held), spent)
    if (found := breach(row.walls, committed, wanted)) is None:
        return None
    least = sum((h.least for h in held), spent)
    return _passed(row.walls, least, wanted, Wall(scope, found, committed))


def _day_wall(
    connection: Connection, team: str, daily: Decimal, asked: Asked, now: float
) -> Wall | Full | None:
    day = days.get_day(connection, team, days.day_of(now))
    if (limit := day.limit(daily)) is None:
        return None
    walls, held = Limits(money=limit), days.committed(connection, day)
    if (found := breach(walls, held, asked.wanted)) is None:
        return None
    least = held
    if held.money is not None:
        least = Spent(money=held.money - days.in_flight(connection, day))
    return _passed(walls, least, asked.wanted, Wall("team", found, held, day.day))


def _passed(walls: Limits, least: Spent, wanted: Spent, wall: Wall) -> Wall | Full:
    """The wall; where only reservations in flight pass it, they are waited for.

    They hardly ever take all that was set aside for them, and nobody needs to be asked about the rest. `least`: what
    counts whatever becomes of them.
    """
    if breach(walls, least, wanted) is not None:
        return wall
    whose = "team's day" if wall.scope == "team" else f"{wall.scope}'s budget"
    return Full(f"requests in flight may take what is left of the {whose}")


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
    found = reservations.waited_for(connection, func.count(), spend.c.model == model)
    if sum(count for _, count in found) < most:
        return 0
    return sum(count for owner, count in found if alive(connection, owner))


def _count(connection: Connection, which: object) -> int:
    query = select(func.count()).select_from(spend).where(which)  # type: ignore[arg-type]
    return int(connection.execute(query).scalar_one())


def total(row: RunRow | ThreadRow | Budget) -> Spent:
    """What a run or a thread has taken so far."""
    return Spent(
        tokens=row.tokens,
        money=dollars(row.money) if row.money_known else None,
        wall_seconds=row.working_seconds,
        turns=row.turns,
        calls=row.calls,
    )


def beyond(journal: Journal, path: str) -> int:
    """Attempts at requests that a thread has made beyond a wall, whoever owned the run then."""
    with journal.store.reading() as connection:
        return reservations.beyond(connection, journal.run, path)


def release(journal: Journal, path: str, turn: int) -> None:
    """Give a reservation back: the request was refused before it was answered."""
    with journal.writing() as connection:
        reservations.release(connection, Key(journal.run, path, turn, journal.epoch))


def lose(journal: Journal, path: str, turn: int) -> None:
    """Keep a reservation as spent: the request was broken off, and may have been billed."""
    with journal.writing() as connection:
        reservations.lose(connection, Key(journal.run, path, turn, journal.epoch))
