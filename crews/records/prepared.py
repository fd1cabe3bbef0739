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
    func,
    insert,
    select,
    tuple_,
    update,
)

from crews.records.statement import Prepared
from crews.records.tables import calls, reviews, runs, spend, threads, turns

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

RUN = Prepared(select(runs).where(_THIS_RUN))
_SEEN = (runs.c.stop_asked, runs.c.tokens, runs.c.money)
OWNED = Prepared(select(*_SEEN).where(_THIS_RUN, runs.c.epoch == _EPOCH))
"""The run, if it still has this epoch. Enough where the transaction has the only write lock."""
OWN = Prepared(
    update(runs).where(_THIS_RUN, runs.c.epoch == _EPOCH).values(epoch=_EPOCH).returning(*_SEEN)
)
"""The same, taking the row's lock."""
TOTALS = Prepared(select(runs.c.tokens, runs.c.money).where(_THIS_RUN))
STOP_ASKED = Prepared(select(runs.c.stop_asked).where(_THIS_RUN))
SET_RUN = Prepared(update(runs).where(_THIS_RUN))

_BUDGET = ("limits", "tokens", "money", "money_known", "working_seconds", "turns", "calls")
_WHOLE_RUN = (
    select(reviews.c.id)
    .where(
        reviews.c.run == _RUN,
        reviews.c.kind == "budget",
        # No index is to be taken for the state: there are more decided reviews than there are of a run.
        func.coalesce(reviews.c.state, "") == "decided",
        reviews.c.decision == "reject",
        reviews.c.address.like("run#%") | reviews.c.address.like("team#%"),
    )
    .exists()
)
BUDGETS = Prepared(
    select(
        runs.c.team_name,
        threads.c.finish_now,
        _WHOLE_RUN.label("all_finish"),
        *(runs.c[name].label(f"run_{name}") for name in _BUDGET),
        *(threads.c[name] for name in _BUDGET),
    )
    .join(threads, threads.c.run == runs.c.id)
    .where(_THIS_THREAD)
)
"""What a run, and one of its threads, may take and has taken; were they told to finish with what there is?"""
CALLS_TAKEN = Prepared(
    select(runs.c.limits, runs.c.calls, threads.c.limits, threads.c.calls)
    .join(threads, threads.c.run == runs.c.id)
    .where(_THIS_THREAD)
)
"""Limits and calls of a run, and of one of its threads."""
THREAD = Prepared(select(threads).where(_THIS_THREAD))
THREADS = Prepared(select(threads).where(threads.c.run == _RUN).order_by(threads.c.started_at))
ADD_THREAD = Prepared(insert(threads))
SET_THREAD = Prepared(update(threads).where(_THIS_THREAD))

ADD_TURN = Prepared(insert(turns))
TURNS = Prepared(
    select(turns).where(turns.c.run == _RUN, turns.c.path == _PATH).order_by(turns.c.turn)
)

ADD_CALLS = Prepared(insert(calls))
_CALLS = select(calls).order_by(calls.c.path, calls.c.turn, calls.c.place)
CALLS_OF_RUN = Prepared(_CALLS.where(calls.c.run == _RUN))
CALLS_OF_THREAD = Prepared(_CALLS.where(calls.c.run == _RUN, calls.c.path == _PATH))
CALLS_OF_TURN = Prepared(_CALLS.where(_THIS_TURN))
CALLS_BEFORE = Prepared(
    select(calls)
    .where(calls.c.run == _RUN, calls.c.path == _PATH)
    .where(tuple_(calls.c.turn, calls.c.place) < tuple_(_TURN, _PLACE))
    .order_by(calls.c.turn.desc(), calls.c.place.desc())
    .limit(bindparam("b_most"))
)
CALL = Prepared(select(calls).where(_THIS_CALL))
SET_CALL = Prepared(update(calls).where(_THIS_CALL))

COUNT_RUN, COUNT_THREAD = (
    Prepared(
        update(table)
        .where(which)
        .values(
            {name: table.c[name] + bindparam(f"b_{name}") for name in _COUNTED}
            | {"working_seconds": table.c.working_seconds + bindparam("b_seconds")}
            | {"money_known": and_(table.c.money_known, bindparam("b_priced", type_=Boolean))}
        )
    )
    for table, which in ((runs, _THIS_RUN), (threads, _THIS_THREAD))
)
"""Add what a turn took; `b_priced`: is its price known?"""
ADD_WORK_TO_RUN, ADD_WORK_TO_THREAD = (
    Prepared(
        update(table)
        .where(which)
        .values(working_seconds=table.c.working_seconds + bindparam("b_seconds", type_=Float))
    )
    for table, which in ((runs, _THIS_RUN), (threads, _THIS_THREAD))
)
SPENT_ON = Prepared(
    select(runs.c.team_name, spend.c.model, spend.c.reserved_at)
    .join(spend, spend.c.run == runs.c.id)
    .where(THIS_SPEND)
)
"""Team, model and moment of a reservation."""
