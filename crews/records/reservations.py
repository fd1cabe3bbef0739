"""What was set aside for a request, and what became of it? Within the caller's transaction.

An attempt at a request that broke off may have been billed. It stays in the request's row as lost, whatever
becomes of the attempts after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    String,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from crews.records.prepared import THIS_SPEND
from crews.records.rows import NANO, dollars
from crews.records.statement import Prepared
from crews.records.tables import runs, spend
from crews.safety.budget import Spent

OPEN = ("reserved", "lost")
"""States in which a row counts beside what is in the rows of runs, threads and days."""

# Built once: each request of a model executes most of them.
_RESERVED = THIS_SPEND & (spend.c.state == "reserved")
_NEW = Prepared(insert(spend))
_AGAIN = Prepared(
    update(spend)
    .where(THIS_SPEND & (spend.c.state == "lost"))
    .values(
        lost_tokens=spend.c.lost_tokens + spend.c.tokens,
        lost_money=spend.c.lost_money + spend.c.money,
        lost_requests=spend.c.lost_requests + 1,
        beyond=spend.c.beyond + bindparam("b_over", type_=Integer),
    )
)
"""One more attempt at what was lost; what it reserves is given as parameters."""
_BACK = Prepared(
    update(spend)
    .where(_RESERVED & (spend.c.lost_requests > 0))
    .values(
        tokens=spend.c.lost_tokens,
        money=spend.c.lost_money,
        state="lost",
        lost_tokens=0,
        lost_money=0,
        lost_requests=spend.c.lost_requests - 1,
    )
)
"""What earlier attempts lost stays, whatever becomes of this one."""
_NOT_BEYOND = Prepared(
    update(spend).where(_RESERVED & (spend.c.beyond > 0)).values(beyond=spend.c.beyond - 1)
)
_END = Prepared(update(spend).where(_RESERVED))
_FIRST = Prepared(update(spend).where(_RESERVED & (spend.c.lost_requests == 0)))
"""The only attempt, as nearly always."""
_HELD = Prepared(
    select(spend).where(
        spend.c.run == bindparam("b_run", type_=String), or_(*(spend.c.state == s for s in OPEN))
    )
)


@dataclass(frozen=True, slots=True)
class Key:
    """Which request."""

    run: str
    path: str
    """Its thread."""
    turn: int
    epoch: int

    @property
    def bound(self) -> dict[str, str | int]:
        """What the statements below call its row."""
        return {
            "b_run": self.run, "b_path": self.path, "b_turn": self.turn, "b_epoch": self.epoch,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reserved:
    """What a reservation was made for."""

    team: str
    model: str
    """Empty: a tape answers."""
    at: float
    """Seconds since the epoch, by the database's clock."""


@dataclass(frozen=True, slots=True)
class Held:
    """A request, with all attempts at it, that was set aside and not settled."""

    path: str
    in_flight: bool
    amount: Spent
    least: Spent
    """What counts whatever comes: what was lost, and that there was a request."""


def set_aside(
    connection: Connection, key: Key, wanted: Spent, model: str, now: float, *, over: bool = False,
    again: bool = True,
) -> None:  # fmt: skip
    """Reserve the most that an attempt may take; what an attempt before it lost stays lost.

    `over`: it is made beyond a wall. `again`: there may have been an attempt before it.
    """
    money = wanted.money
    values: dict[str, object] = {
        "state": "reserved",
        "tokens": wanted.tokens,
        "money": None if money is None else int(money * NANO),
        "model": model,
        "reserved_at": now,
    }
    tried = again and _AGAIN.run(connection, key.bound | values | {"b_over": int(over)}).rowcount
    if not tried:
        where = {"run": key.run, "path": key.path, "turn": key.turn, "epoch": key.epoch}
        _NEW.run(connection, where | values | {"beyond": int(over)})


def settle(connection: Connection, key: Key, tokens: int, money: int | None) -> None:
    """Turn a reservation into what it took; `money` in nano-dollars, None: no price is known."""
    _end(connection, key, {"state": "settled", "tokens": tokens, "money": money})


def release(connection: Connection, key: Key) -> None:
    """Give a reservation back."""
    _NOT_BEYOND.run(connection, key.bound)
    _end(connection, key, {"state": "released"})


def lose(connection: Connection, key: Key) -> None:
    """Keep a reservation as spent."""
    _END.run(connection, key.bound | {"state": "lost"})


def _end(connection: Connection, key: Key, ended: dict[str, object]) -> None:
    if not _FIRST.run(connection, key.bound | ended).rowcount:
        _BACK.run(connection, key.bound)


def beyond(connection: Connection, run: str, path: str) -> int:
    """Attempts that a thread has made beyond a wall, by whichever process."""
    mine = (spend.c.run == run) & (spend.c.path == path)
    query = select(func.coalesce(func.sum(spend.c.beyond), 0)).where(mine)
    return int(connection.execute(query).scalar_one())


def held(connection: Connection, run: str) -> list[Held]:
    """What a run has reserved and not settled, and what may have been billed without an answer."""
    return [_as_held(row) for row in _HELD.run(connection, {"b_run": run}).rows]


def _as_held(row: Any) -> Held:
    lost = Spent(tokens=row.lost_tokens, money=_money(row.lost_money), turns=row.lost_requests)
    last = Spent(tokens=row.tokens, money=_money(row.money), turns=1)
    if row.state != "reserved":
        return Held(row.path, False, lost + last, lost + last)
    unpriced = None if last.money is None else Decimal(0)  # it will be no less unknown
    return Held(row.path, True, lost + last, lost + Spent(money=unpriced, turns=1))


def _money(nano: int | None) -> Decimal | None:
    return None if nano is None else dollars(nano)


def waited_for(
    connection: Connection, amount: ColumnElement[int], *which: ColumnElement[bool]
) -> list[tuple[str, int]]:
    """Owner and amount (an aggregate) of those requests, over all runs, that a run's present owner made.

    Whether an owner lives is for the caller to find out, who may not need to know.
    """
    query = (
        select(runs.c.owner, amount)
        .join(runs, (runs.c.id == spend.c.run) & (runs.c.epoch == spend.c.epoch))
        .where(*which, spend.c.state == "reserved", runs.c.status == "running")
        .group_by(runs.c.owner)
    )
    return [(str(owner), int(found)) for owner, found in connection.execute(query)]
