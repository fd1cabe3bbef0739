"""Which statements does every turn of a run execute? Built once: to build one takes longer than to run it.

What an update sets is named by the parameters that are given; those of its condition begin with `b_`.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Float,
    Integer,
    String,
    and_,
    bindparam,
    insert,
    select,
    tuple_,
    update,
)

from crews.records.tables import calls, runs, spend, threads, turns

_RUN, _PATH = bindparam("b_run", type_=String), bindparam("b_path", type_=String)
_TURN, _PLACE, _EPOCH = (
    bindparam(name, type_=Integer) for name in ("b_turn", "b_place", "b_epoch")
)
_THIS_RUN = runs.c.id == _RUN
_THIS_THREAD = (threads.c.run == _RUN) & (threads.c.path == _PATH)
_THIS_TURN = (calls.c.run == _RUN) & (calls.c.path == _PATH) & (calls.c.turn == _TURN)
_THIS_CALL = _THIS_TURN & (calls.c.place == _PLACE)
_OF_THREAD = (spend.c.run == _RUN) & (spend.c.path == _PATH)
THIS_SPEND = _OF_THREAD & (spend.c.turn == _TURN) & (spend.c.epoch == _EPOCH)
"""The row of a reservation."""
_COUNTED = ("tokens", "money", "turns", "calls")

RUN = select(runs).where(_THIS_RUN)
OWNED = select(runs.c.epoch).where(_THIS_RUN, runs.c.epoch == _EPOCH)
"""Has the run still this epoch? Enough where the transaction has the only write lock."""
OWN = update(runs).where(_THIS_RUN, runs.c.epoch == _EPOCH).values(epoch=_EPOCH)
"""The same, taking the row's lock."""
TOTALS = select(runs.c.tokens, runs.c.money).where(_THIS_RUN)
STOP_ASKED = select(runs.c.stop_asked).where(_THIS_RUN)
SET_RUN = update(runs).where(_THIS_RUN)

CALLS_TAKEN = (
    select(runs.c.limits, runs.c.calls, threads.c.limits, threads.c.calls)
    .join(threads, threads.c.run == runs.c.id)
    .where(_THIS_THREAD)
)
"""Limits and calls of a run, and of one of its threads."""
THREAD = select(threads).where(_THIS_THREAD)
THREADS = select(threads).where(threads.c.run == _RUN).order_by(threads.c.started_at)
SET_THREAD = update(threads).where(_THIS_THREAD)

ADD_TURN = insert(turns)
TURNS = select(turns).where(turns.c.run == _RUN, turns.c.path == _PATH).order_by(turns.c.turn)

ADD_CALLS = insert(calls)
CALLS_OF_RUN = (
    select(calls).where(calls.c.run == _RUN).order_by(calls.c.path, calls.c.turn, calls.c.place)
)
CALLS = CALLS_OF_RUN.where(calls.c.path == _PATH)
CALLS_BEFORE = (
    select(calls)
    .where(calls.c.run == _RUN, calls.c.path == _PATH)
    .where(tuple_(calls.c.turn, calls.c.place) < tuple_(_TURN, _PLACE))
    .order_by(calls.c.turn.desc(), calls.c.place.desc())
    .limit(bindparam("b_most"))
)
CALL = select(calls).where(_THIS_CALL)
SET_CALL = update(calls).where(_THIS_CALL)

COUNT_RUN, COUNT_THREAD = (
    update(table)
    .where(which)
    .values(
        {name: table.c[name] + bindparam(f"b_{name}") for name in _COUNTED}
        | {"working_seconds": table.c.working_seconds + bindparam("b_seconds")}
        | {"money_known": and_(table.c.money_known, bindparam("b_priced", type_=Boolean))}
    )
    for table, which in ((runs, _THIS_RUN), (threads, _THIS_THREAD))
)
"""Add what a turn took; `b_priced`: is its price known?"""
ADD_WORK_TO_RUN, ADD_WORK_TO_THREAD = (
    update(table)
    .where(which)
    .values(working_seconds=table.c.working_seconds + bindparam("b_seconds", type_=Float))
    for table, which in ((runs, _THIS_RUN), (threads, _THIS_THREAD))
)
SPENT_ON = (
    select(runs.c.team_name, spend.c.model, spend.c.reserved_at)
    .join(spend, spend.c.run == runs.c.id)
    .where(THIS_SPEND)
)
"""Team, model and moment of a reservation."""
