"""What has a team spent on a day, and how much may it spend? Days are those of UTC.

A turn counts on the day on which it was reserved: what was set aside before midnight never surprises the
day after. What a death cut off may have been billed and counts against the day's limit for good, but not
as money of the day. A run whose answers come from a tape asks no model and counts nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    func,
    insert,
    select,
    update,
)

from crews.records import audit, reservations
from crews.records.rows import NANO, dollars, row_as
from crews.records.runs import wake
from crews.records.statement import Prepared
from crews.records.store import Store
from crews.records.tables import reviews, runs, spend, team_days
from crews.records.workers import alive
from crews.safety.budget import Spent

if TYPE_CHECKING:
    from crews.records.journal import Journal

SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class DayRow:
    """One day of one team."""

    team: str
    day: str
    """`2026-01-31`."""
    money: int = 0
    """Nano-dollars of the answers that were asked for on this day."""
    money_known: bool = True
    extended: int = 0
    """Nano-dollars that a human allowed beyond the team's daily limit."""
    lifted: bool = False
    """A human allowed what has no known price: the limit does not hold on this day."""

    def limit(self, daily: Decimal) -> Decimal | None:
        """US dollars that may be spent on this day, where the policy allows `daily`; None: no limit."""
        if self.lifted:
            return None
        return daily + dollars(self.extended) if self.extended else daily


# Built once: each answer executes it.
_ADD = Prepared(
    update(team_days)
    .where(team_days.c.team == bindparam("b_team"), team_days.c.day == bindparam("b_day"))
    .values(money=team_days.c.money + bindparam("b_money", type_=BigInteger))
)


def day_of(at: float) -> str:
    """The day of a time in seconds since the epoch."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def get_day(connection: Connection, team: str, day: str) -> DayRow:
    """One day of a team; all zero where nothing was spent yet."""
    row = connection.execute(select(team_days).where(_is(team, day))).first()
    return DayRow(team, day) if row is None else row_as(DayRow, row)


def list_days(store: Store, limit: int | None = None) -> tuple[DayRow, ...]:
    """What teams spent, the newest day first; of the newest `limit` days."""
    newest = select(team_days.c.day).distinct().order_by(team_days.c.day.desc())
    query = select(team_days).order_by(team_days.c.day.desc(), team_days.c.team)
    if limit is not None:
        query = query.where(team_days.c.day.in_(newest.limit(limit)))
    with store.reading() as connection:
        return tuple(row_as(DayRow, row) for row in connection.execute(query))


def add(connection: Connection, team: str, day: str, money: int | None) -> None:
    """Count an answer's nano-dollars; None: its price is not known."""
    taken = {"b_team": team, "b_day": day, "b_money": money}
    if money is not None and _ADD.run(connection, taken).rowcount:
        return
    values: dict[str, object] = {"money": team_days.c.money + (money or 0)}
    if money is None:
        values["money_known"] = False
    _change(connection, team, day, values, DayRow(team, day, money or 0, money is not None))


def committed(connection: Connection, day: DayRow) -> Spent:
    """What all runs of the team have spent on the day, have reserved, or may have been billed for."""
    query = (
        select(
            func.coalesce(func.sum(spend.c.money + spend.c.lost_money), 0),
            func.count(),
            func.count(spend.c.money + spend.c.lost_money),
        )
        .join(runs, runs.c.id == spend.c.run)
        .where(*_counted(day), spend.c.state.in_(("reserved", "lost")))
    )
    money, rows, priced = connection.execute(query).one()
    known = day.money_known and rows == priced
    return Spent(money=dollars(day.money + int(money)) if known else None)


def in_flight(connection: Connection, day: DayRow) -> Decimal:
    """US dollars that requests have reserved on the day for which somebody who lives still waits.

    They hardly ever take all of it. What a dead owner had reserved may have been billed, and is not among it.
    """
    money_of = func.coalesce(func.sum(spend.c.money), 0)
    found = reservations.waited_for(connection, money_of, *_counted(day))
    return dollars(sum(money for owner, money in found if alive(connection, owner)))


def _counted(day: DayRow) -> tuple[ColumnElement[bool], ...]:
    """Rows of requests that count on the day."""
    start = datetime.fromisoformat(day.day).replace(tzinfo=UTC).timestamp()
    return (
        runs.c.team_name == day.team,
        spend.c.model != "",
        spend.c.reserved_at >= start,
        spend.c.reserved_at < start + SECONDS,
    )


def extend(
    journal: Journal,
    team: str,
    day: str,
    *,
    daily: Decimal,
    was: Decimal,
    to: Decimal | None,
    review: str,
) -> bool:
    """Move a day's limit, for every run of the team, as a human decided; once, however many decided so.

    Questions of other runs about the same day are answered by it: they are void, and those runs go on.

    Args:
        journal: Of the run in which it was decided.
        team: Whose day it is.
        day: Which.
        daily: US dollars that the policy of that run allows on any day.
        was: The limit that was asked about; nothing happens where another one holds by now.
        to: The new limit; None: there is none on this day.
        review: Where it was decided.

    Returns:
        Was it moved?
    """
    with journal.writing() as connection:
        found = get_day(connection, team, day)
        if found.limit(daily) != was:
            return False
        extended = found.extended if to is None else int((to - daily) * NANO)
        changed = DayRow(team, day, 0, True, extended, to is None)
        values: dict[str, object] = {"extended": extended, "lifted": to is None}
        _change(connection, team, day, values, changed)
        audit.append(
            connection,
            journal.run,
            "day_extended",
            {"team": team, "day": day, "limit": None if to is None else str(to), "review": review},
        )
        _answer_others(connection, journal.run, team, day, review)
    return True


def address(day: str, limit: Decimal) -> str:
    """Where a question about a day's limit stands; the same for every run that meets it."""
    return f"{_about(day)}>{limit}"


def is_about(address: str) -> tuple[str, Decimal] | None:
    """The day and the limit that an address is about; None: it is about something else."""
    head, _, limit = address.partition(">")
    kind, _, day = head.partition("@")
    return (day, Decimal(limit)) if kind == "team#money" else None


def _about(day: str) -> str:
    return f"team#money@{day}"


def _answer_others(connection: Connection, run: str, team: str, day: str, review: str) -> None:
    query = (
        select(reviews.c.id, reviews.c.run)
        .join(runs, runs.c.id == reviews.c.run)
        .where(
            runs.c.team_name == team,
            reviews.c.state == "open",
            reviews.c.kind == "budget",
            reviews.c.address.startswith(f"{_about(day)}>", autoescape=True),
        )
    )
    for other in connection.execute(query).all():
        connection.execute(update(reviews).where(reviews.c.id == other.id).values(state="void"))
        why = f"the limit of the team's day was moved at review {review}"
        audit.append(connection, other.run, "review_void", {"review": other.id, "why": why})
        if other.run != run:
            wake(connection, other.run)


def _is(team: str, day: str) -> ColumnElement[bool]:
    return and_(team_days.c.team == team, team_days.c.day == day)


def _change(
    connection: Connection, team: str, day: str, values: dict[str, object], new: DayRow
) -> None:
    """Change a day's row, or write it; the caller holds the one write lock."""
    mine = update(team_days).where(_is(team, day))
    if not connection.execute(mine.values(**values)).rowcount:
        columns = {c.name: getattr(new, c.name) for c in team_days.c}
        connection.execute(insert(team_days).values(**columns))
