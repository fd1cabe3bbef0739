"""What does the owner of a run write down, step by step? Every write is fenced by the run's epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, update

from crews.records import audit, days, prepared, reservations, steps
from crews.records.kept import read
from crews.records.leaving import leave
from crews.records.ownership import Later, Ownership, nobody
from crews.records.reservations import Key, Reserved
from crews.records.rows import (
    CallRow,
    HandOver,
    RunRow,
    RunStatus,
    ThreadRow,
    TurnRow,
    columns_of,
    row_as,
)
from crews.records.runs import get_run, list_threads
from crews.records.steps import Step
from crews.records.store import Store, dump
from crews.records.tables import runs, threads, turns
from crews.safety.action import Verdict
from crews.teams.spec import Limits


class Journal(Ownership):
    """One run's journal in the hands of the process that owns the run."""

    def __init__(self, store: Store, run: str, epoch: int) -> None:
        super().__init__(store, run, epoch)
        self.reserved: dict[tuple[str, int], Reserved] = {}
        """Thread and turn -> its reservation, where this owner made it."""
        self._unlimited: set[str] = set()
        """Threads whose calls no limit counts."""

    def _at(self, path: str) -> dict[str, Any]:
        """What the prepared statements call a thread's key."""
        return {"b_run": self.run, "b_path": path}

    # -- the run ------------------------------------------------------------------------------

    def row(self) -> RunRow:
        """The run as it stands."""
        return get_run(self.store, self.run)

    def set_run(self, **values: Any) -> None:
        """Change columns of the run."""
        with self.writing() as connection:
            prepared.SET_RUN.run(connection, {"b_run": self.run, **values})

    def release(
        self,
        status: RunStatus,
        *,
        reason: str = "",
        exit_code: int | None = None,
        worked: float = 0.0,
        summary: str | None = None,
    ) -> RunStatus:
        """Let go of the run; returns what it is then.

        A run that is to wait, but about which a human decided something meanwhile, is queued instead: the
        decision would otherwise wake nobody. A run that is to go on later, but about which somebody asked for
        the end, is stopped: who claims it next would not know.

        Args:
            status: What the run is to be.
            reason: Why, for people.
            exit_code: The code with which a command would end.
            worked: Seconds of working time in this activation.
            summary: The team's own words; None: as they are.
        """
        with self.writing(leaving=status != "completed") as connection:
            return leave(
                connection, self.run, status, reason=reason, exit_code=exit_code, worked=worked, summary=summary,
            )  # fmt: skip

    def note(self, kind: str, body: dict[str, JsonValue]) -> None:
        """Write an audit entry of its own."""
        with self.writing() as connection:
            audit.append(connection, self.run, kind, body)

    def calls_left(self, path: str) -> int | None:
        """How many calls the limits still allow to a thread that has begun; None: there is no limit."""
        if path in self._unlimited:
            return None
        found = self.store.look(prepared.CALLS_TAKEN, self._at(path)).one()
        run, taken, own, mine = (found[0], int(found[1]), found[2], int(found[3]))
        counts = ((read(Limits, run).calls, taken), (read(Limits, own).calls, mine))
        left = min((most - some for most, some in counts if most is not None), default=None)
        if left is None:
            self._unlimited.add(path)
        return left

    # -- threads ------------------------------------------------------------------------------

    def thread(self, path: str) -> ThreadRow | None:
        """One thread, if it has begun."""
        found = self.store.look(prepared.THREAD, self._at(path)).rows
        now = self._threads_ahead(row_as(ThreadRow, row) for row in found)
        return next((row for row in now if row.path == path), None)

    def threads(self) -> tuple[ThreadRow, ...]:
        """Every thread of the run, in the order in which they began."""
        return self._threads_ahead(list_threads(self.store, self.run))

    def begin_thread(self, row: ThreadRow, told: Callable[[], None] = nobody) -> None:
        """Write down a new thread, with what this owner writes next: nothing has happened in it yet.

        `told`: called once it is written.
        """

        def write(connection: Connection) -> None:
            prepared.ADD_THREAD.run(connection, columns_of(row))
            body: dict[str, JsonValue] = {"thread": row.path, "agent": row.agent, "kind": row.kind}
            audit.append(connection, self.run, "thread_started", body)

        self._write_later(Later(row.path, row, write, partial(self.thread, row.path), told))

    def set_thread(self, path: str, **values: Any) -> None:
        """Change columns of a thread."""
        with self.writing() as connection:
            prepared.SET_THREAD.run(connection, {**self._at(path), **values})

    def compact_thread(self, path: str, turns_before: int, tokens: int) -> None:
        """Take the long results of older turns out of what the model is sent; the rows keep them."""
        with self.writing() as connection:
            now = {"compacted": turns_before}
            prepared.SET_THREAD.run(connection, {**self._at(path), **now})
            body: dict[str, JsonValue] = {"thread": path, "turns": turns_before, "tokens": tokens}
            audit.append(connection, self.run, "compacted", body)

    def end_thread(
        self, path: str, handover: HandOver, *, flags: Sequence[str] = (), hash_after: str = "",
        worked: tuple[float, float] = (0.0, 0.0), told: Callable[[], None] = nobody,
    ) -> None:  # fmt: skip
        """Write down a thread's hand-over, with what this owner writes next: it follows from the thread's calls.

        `flags` is what code found wrong with it, `worked` as for a turn; `told` is called once it is written.
        """
        now: dict[str, Any] = {
            "state": "done", "handover": handover.model_dump_json(), "flags": dump(list(flags)),
            "hash_after": hash_after, "ended_at": time.time(),
        }  # fmt: skip
        row = self.thread(path)
        if row is None:
            raise LookupError(f"no thread {path} has begun")

        def write(connection: Connection) -> None:
            prepared.SET_THREAD.run(connection, {**self._at(path), **now})
            count_work(connection, self.run, path, worked)
            steps.note_handover(connection, self.run, path, handover, flags, hash_after)

        worked_in = row.working_seconds + worked[1]
        ended = replace(row, **now, working_seconds=worked_in)
        self._write_later(Later(path, ended, write, partial(self.thread, path), told))

    def add_working_time(self, path: str, worked: tuple[float, float]) -> None:
        """Write down work that is in no row yet: seconds of the run, of the thread."""
        with self.writing() as connection:
            count_work(connection, self.run, path, worked)

    # -- turns and calls ----------------------------------------------------------------------

    def turns(self, path: str) -> tuple[TurnRow, ...]:
        """A thread's turns, oldest first."""
        found = self.store.look(prepared.TURNS, self._at(path))
        return tuple(row_as(TurnRow, row) for row in found.rows)

    def calls(self, path: str | None = None, turn: int | None = None) -> tuple[CallRow, ...]:
        """Calls of the run, of a thread, or of one turn, in order."""
        which, place = prepared.CALLS_OF_RUN, {"b_run": self.run, "b_path": path, "b_turn": turn}
        if path is not None:
            which = prepared.CALLS_OF_THREAD if turn is None else prepared.CALLS_OF_TURN
        return self._ahead(row_as(CallRow, row) for row in self.store.look(which, place).rows)

    def calls_before(self, call: CallRow, most: int) -> tuple[CallRow, ...]:
        """The calls of the same thread that came before this one, newest first, at most so many."""
        this = {**_is_call(call), "b_run": self.run, "b_most": most}
        found = self.store.look(prepared.CALLS_BEFORE, this)
        return self._ahead(row_as(CallRow, row) for row in found.rows)

    def call(self, path: str, turn: int, place: int) -> CallRow | None:
        """One call."""
        this = {**self._at(path), "b_turn": turn, "b_place": place}
        row = self.store.look(prepared.CALL, this).first()
        return None if row is None else self._ahead([row_as(CallRow, row)])[0]

    def record_turn(
        self, turn: TurnRow, proposed: Sequence[CallRow], worked: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        """Write down an answer, what it cost and the calls that it asks for: all of it, or nothing.

        `worked`: seconds of work that are in no row yet: of the run, of the thread.
        """
        took = {
            **self._at(turn.path), "b_tokens": turn.tokens, "b_money": turn.money or 0, "b_turns": 1,
            "b_calls": len(proposed), "b_priced": turn.money is not None,
        }  # fmt: skip
        with self.writing() as connection:
            prepared.ADD_TURN.run(connection, columns_of(turn))
            if proposed:
                prepared.ADD_CALLS.run_all(connection, [columns_of(c) for c in proposed])
            prepared.COUNT_RUN.run(connection, took | {"b_seconds": worked[0]})
            prepared.COUNT_THREAD.run(connection, took | {"b_seconds": worked[1]})
            self._settle(connection, turn)
            steps.note_turn(connection, self.run, turn)
            if (seen := self._seen) is not None:
                money = seen.money + (turn.money or 0)
                self._seen = replace(seen, tokens=seen.tokens + turn.tokens, money=money)

    def _settle(self, connection: Connection, turn: TurnRow) -> None:
        """Turn the reservation into what it took, and count it on the team's day."""
        key = Key(self.run, turn.path, turn.turn, self.epoch)
        reservations.settle(connection, key, turn.tokens, turn.money)
        made = self.reserved.pop((turn.path, turn.turn), None)
        if made is None:
            mine = {**self._at(turn.path), "b_turn": turn.turn, "b_epoch": self.epoch}
            found = prepared.SPENT_ON.run(connection, mine).first()
            made = found and Reserved(found.team_name, found.model, found.reserved_at)
        if made and made.model:  # else nobody was asked: a tape answered
            days.add(connection, made.team, days.day_of(made.at), turn.money)

    def set_notice(self, path: str, turn: int, notice: str) -> None:
        """Keep what the engine tells the model after a turn."""
        with self.writing() as connection:
            connection.execute(
                update(turns)
                .where(turns.c.run == self.run, turns.c.path == path, turns.c.turn == turn)
                .values(notice=notice)
            )

    def set_call(self, call: CallRow, *taken: Step, **values: Any) -> CallRow:
        """Change columns of a call, with an audit entry for each step that was taken; returns the new row."""
        with self.writing() as connection:
            self._change(connection, call, taken, values)
        return replace(call, **values, epoch=self.epoch)

    def set_call_later(
        self, call: CallRow, *taken: Step, told: Callable[[CallRow], None], **values: Any
    ) -> CallRow:
        """The same with what this owner writes next: for what nothing outside the run hangs on.

        `told`: called with the row once it is written.
        """
        now = replace(call, **values, epoch=self.epoch)
        write = partial(self._change, call=call, taken=taken, values=values)
        kept = partial(self.call, call.path, call.turn, call.place)
        self._write_later(Later(call.address, now, write, kept, partial(told, now)))
        return now

    def _change(
        self, connection: Connection, call: CallRow, taken: Sequence[Step], values: dict[str, Any]
    ) -> None:
        now = {**_is_call(call), **values, "epoch": self.epoch}
        prepared.SET_CALL.run(connection, now)
        for step in taken:
            steps.note_call(connection, self.run, call, step)

    def rule_call(
        self, call: CallRow, verdict: Verdict, agent: str, arguments: str = "", standing: str = "",
        labels: Sequence[str] = (), reason: str | None = None,
    ) -> CallRow:  # fmt: skip
        """Keep what policy said of a call, before anything else happens with it.

        `arguments`, `reason`: as the audit log may show them; without one the verdict's own reason.
        `standing`: the review whose approval holds for it. `labels`: where its values come from (`safety.labels`).
        """
        said = verdict.reason if reason is None else reason
        step = steps.ruled(verdict, agent, arguments, said, standing, labels)
        return self.set_call(call, step, **ruling(verdict))

    def set_limits(self, limits: Limits, path: str | None = None) -> None:
        """Extend the run's limits, or one thread's."""
        self._unlimited.clear()
        mine = runs.c.id == self.run
        table, which = runs, mine
        if path is not None:
            table, which = threads, (threads.c.run == self.run) & (threads.c.path == path)
        with self.writing() as connection:
            connection.execute(update(table).where(which).values(limits=limits.model_dump_json()))
            body: dict[str, JsonValue] = {"limits": limits.model_dump(mode="json")}
            body |= {} if path is None else {"thread": path}
            audit.append(connection, self.run, "limits_extended", body)


def ruling(verdict: Verdict) -> dict[str, str]:
    """Columns of a call that hold what policy said of it."""
    return {
        "ruling": verdict.ruling,
        "rule": verdict.rule,
        "reason": verdict.reason,
        "findings": dump([asdict(f) for f in verdict.findings]),
        "rules": dump(list(verdict.asking or verdict.rules or (verdict.rule,))),
    }


def count_work(connection: Connection, run: str, path: str, worked: tuple[float, float]) -> None:
    """Add seconds of work to the rows of a run and of a thread, inside a transaction of their owner."""
    if worked == (0.0, 0.0):
        return
    key = {"b_run": run, "b_path": path}
    prepared.ADD_WORK_TO_RUN.run(connection, key | {"b_seconds": worked[0]})
    prepared.ADD_WORK_TO_THREAD.run(connection, key | {"b_seconds": worked[1]})


def _is_call(call: CallRow) -> dict[str, Any]:
    """What the prepared statements call a call's key."""
    return {"b_run": call.run, "b_path": call.path, "b_turn": call.turn, "b_place": call.place}
