"""What was set aside for a request, and what became of it? Within the caller's transaction.

An attempt at a request that broke off may have been billed. It stays in the request's row as lost, whatever
becomes of the attempts after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from crews.records.rows import NANO, dollars
from crews.records.tables import spend
from crews.safety.budget import Spent

OPEN = ("reserved", "lost")
"""States in which a row counts beside what is in the rows of runs, threads and days."""


@dataclass(frozen=True, slots=True)
class Key:
    """Which request."""

    run: str
    path: str
    """Its thread."""
    turn: int
    epoch: int

    @property
    def row(self) -> ColumnElement[bool]:
        """Its row."""
        mine = (spend.c.run == self.run) & (spend.c.path == self.path)
        return mine & (spend.c.turn == self.turn) & (spend.c.epoch == self.epoch)


@dataclass(frozen=True, slots=True)
class Held:
    """A request, with all attempts at it, that was set aside and not settled."""

    path: str
    in_flight: bool
    amount: Spent
    least: Spent
    """What counts whatever comes: what was lost, and that there was a request."""


def set_aside(
    connection: Connection, key: Key, wanted: Spent, model: str, now: float, *, over: bool = False
) -> None:
    """Reserve the most that an attempt may take; what an attempt before it lost stays lost.

    `over`: it is made beyond a wall.
    """
    money = wanted.money
    values: dict[str, object] = {
        "state": "reserved",
        "tokens": wanted.tokens,
        "money": None if money is None else int(money * NANO),
        "model": model,
        "reserved_at": now,
    }
    again: dict[str, object] = {
        "lost_tokens": spend.c.lost_tokens + spend.c.tokens,
        "lost_money": spend.c.lost_money + spend.c.money,
        "lost_requests": spend.c.lost_requests + 1,
        "beyond": spend.c.beyond + int(over),
    }
    mine = key.row & (spend.c.state == "lost")
    if not connection.execute(update(spend).where(mine).values(**values, **again)).rowcount:
        where = {"run": key.run, "path": key.path, "turn": key.turn, "epoch": key.epoch}
        connection.execute(insert(spend).values(**where, **values, beyond=int(over)))


def settle(connection: Connection, key: Key, tokens: int, money: int | None) -> None:
    """Turn a reservation into what it took; `money` in nano-dollars, None: no price is known."""
    _end(connection, key, {"state": "settled", "tokens": tokens, "money": money})


def release(connection: Connection, key: Key) -> None:
    """Give a reservation back."""
    mine = key.row & (spend.c.state == "reserved") & (spend.c.beyond > 0)
    connection.execute(update(spend).where(mine).values(beyond=spend.c.beyond - 1))
    _end(connection, key, {"state": "released"})


def lose(connection: Connection, key: Key) -> None:
    """Keep a reservation as spent."""
    mine = key.row & (spend.c.state == "reserved")
    connection.execute(update(spend).where(mine).values(state="lost"))


def _end(connection: Connection, key: Key, ended: dict[str, object]) -> None:
    mine = key.row & (spend.c.state == "reserved")
    before = {"tokens": spend.c.lost_tokens, "money": spend.c.lost_money, "state": "lost"}
    none = {"lost_tokens": 0, "lost_money": 0, "lost_requests": spend.c.lost_requests - 1}
    again = mine & (spend.c.lost_requests > 0)
    if not connection.execute(update(spend).where(again).values(**before, **none)).rowcount:
        connection.execute(update(spend).where(mine).values(**ended))


def beyond(connection: Connection, run: str, path: str) -> int:
    """Attempts that a thread has made beyond a wall, by whichever process."""
    mine = (spend.c.run == run) & (spend.c.path == path)
    query = select(func.coalesce(func.sum(spend.c.beyond), 0)).where(mine)
    return int(connection.execute(query).scalar_one())


def held(connection: Connection, run: str) -> list[Held]:
    """What a run has reserved and not settled, and what may have been billed without an answer."""
    query = select(spend).where(spend.c.run == run, spend.c.state.in_(OPEN))
    return [_as_held(row) for row in connection.execute(query)]


def _as_held(row: Any) -> Held:
    lost = Spent(tokens=row.lost_tokens, money=_money(row.lost_money), turns=row.lost_requests)
    last = Spent(tokens=row.tokens, money=_money(row.money), turns=1)
    if row.state != "reserved":
        return Held(row.path, False, lost + last, lost + last)
    unpriced = None if last.money is None else Decimal(0)  # it will be no less unknown
    return Held(row.path, True, lost + last, lost + Spent(money=unpriced, turns=1))


def _money(nano: int | None) -> Decimal | None:
    return None if nano is None else dollars(nano)
