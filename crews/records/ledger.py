"""May this request be paid for? Reserved before it is sent, settled by what it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select, update

from crews.records.journal import Journal
from crews.records.rows import RunRow, ThreadRow, dollars
from crews.records.runs import row_as
from crews.records.tables import runs, spend, threads
from crews.safety.budget import Breach, Spent, breach

Scope = Literal["run", "thread"]


@dataclass(frozen=True, slots=True)
class Wall:
    """The limit that a request would pass, and whose limit it is."""

    scope: Scope
    breach: Breach
    spent: Spent


def reserve(
    journal: Journal, path: str, turn: int, wanted: Spent, worked: tuple[float, float]
) -> Wall | None:
    """Set aside what a request may take at most, for its run and its thread; or say which wall is there.

    Args:
        journal: The run's journal.
        path: The thread.
        turn: The turn that the request is for.
        wanted: The most that the request may take.
        worked: Seconds of this activation that are in no row yet: of the run, of the thread.
    """
    with journal.writing() as connection:
        run = row_as(RunRow, connection.execute(select(runs).where(runs.c.id == journal.run)).one())
        mine = (threads.c.run == journal.run) & (threads.c.path == path)
        thread = row_as(ThreadRow, connection.execute(select(threads).where(mine)).one())
        for scope, row, outside in (("run", run, worked[0]), ("thread", thread, worked[1])):
            held = _held(connection, journal.run, path if scope == "thread" else None)
            spent = total(row, outside) + held
            if wall := breach(row.walls, spent, wanted):
                return Wall(scope, wall, spent)  # type: ignore[arg-type]
        connection.execute(
            insert(spend).values(
                run=journal.run,
                path=path,
                turn=turn,
                epoch=journal.epoch,
                state="reserved",
                tokens=wanted.tokens,
                money=None if wanted.money is None else int(wanted.money * 1_000_000_000),
            )
        )
    return None


def total(row: RunRow | ThreadRow, worked: float = 0.0) -> Spent:
    """What a run or a thread has taken so far."""
    return Spent(
        tokens=row.tokens,
        money=dollars(row.money) if row.money_known else None,
        wall_seconds=row.working_seconds + worked,
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
    mine: Any = (
        (spend.c.run == journal.run)
        & (spend.c.path == path)
        & (spend.c.turn == turn)
        & (spend.c.epoch == journal.epoch)
        & (spend.c.state == "reserved")
    )
    with journal.writing() as connection:
        connection.execute(update(spend).where(mine).values(state="released"))
