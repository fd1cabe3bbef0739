"""Is a model asked no more than it is allowed to be, over all runs, and is waiting for it nobody's work?"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import select

from crews.records import ledger
from crews.records.events import Event
from crews.records.journal import Journal
from crews.records.ledger import Asked
from crews.records.rows import RunOptions
from crews.records.runs import ask_stop, claim, new_run
from crews.records.store import open_store
from crews.records.tables import spend
from crews.safety.budget import Spent
from crews.settings import ModelLimits
from crews.teams.spec import TeamSpec
from tests.records.builders import thread
from tests.stories.players import (
    LOOK,
    MODEL,
    OFFICER,
    brief,
    delegate,
    finish,
    hand_over,
    limits,
    plan,
    played,
    step,
    team,
)
from tests.stories.scenes import Stage, staged
from tests.support.messages_api import Brain, Reply, Request
from tests.support.scripts import Script, call, reply

SIDE_BY_SIDE = played(
    {
        "boss": [plan(*[step(n) for n in ("a", "b", "c")]), delegate("a", "b", "c"), finish()],
        "coder": [LOOK, hand_over()],
    }
)
SHORT = played({"boss": [finish("There was nothing to do.")]})


@contextmanager
def roomy(brain: Brain, made: TeamSpec | None = None, **room: int) -> Generator[Stage]:
    """A stage where all runs share so much room at the model."""
    with staged(brain, made) as stage:
        settings = stage.settings.model_copy(update={"models": {MODEL: ModelLimits(**room)}})
        yield replace(stage, settings=settings)


def counted(script: Script, most: list[int]) -> Callable[[Request], Awaitable[Reply]]:
    """The same model, slower; `most` becomes the largest number of requests at a time."""
    flying: list[int] = []

    async def answer(request: Request) -> Reply:
        flying.append(1)
        most[:] = [max(*most, len(flying))] if most else [len(flying)]
        await asyncio.sleep(0.05)
        flying.pop()
        return script(request)

    return answer


def waits(events: list[Event]) -> list[Event]:
    return [e for e in events if e.kind == "retry" and "waiting for room" in e.text]


def test_delegations_at_once_take_turns_at_a_model() -> None:
    most: list[int] = []
    events: list[Event] = []
    with roomy(counted(SIDE_BY_SIDE, most), concurrent=1) as stage:
        result = stage.run(on_event=events.append)
        assert (result.status, result.exit_code) == ("completed", 0)
        assert most == [1]
    assert waits(events)
    assert {e.text for e in waits(events)} == {f"waiting for room: 1 requests of {MODEL} in flight"}


def test_without_such_limits_they_do_not() -> None:
    most: list[int] = []
    with staged(counted(SIDE_BY_SIDE, most)) as stage:
        assert stage.run().exit_code == 0
        assert most[0] > 1


def test_briefs_take_room_too() -> None:
    script = played(
        {
            "boss": [reply(call("escalate", what="is it safe?", why="unclear")), finish()],
            "officer": [LOOK, brief()],
        }
    )
    with roomy(script, team(OFFICER), concurrent=3) as stage:
        stage.run()
        asked = len(stage.requests("officer"))
        assert asked > 0
        with open_store(stage.settings.journal_url) as store, store.reading() as connection:
            officers = spend.c.path.contains("!") & (spend.c.model == MODEL)
            assert len(connection.execute(select(spend).where(officers)).all()) == asked


@contextmanager
def taken(stage: Stage) -> Generator[Journal]:
    """Another run, that has a request of the model in flight."""
    with open_store(stage.settings.journal_url) as store:
        row = new_run(store, goal="?", inputs={}, team=stage.team, options=RunOptions())
        journal = Journal(store, row.id, claim(store, row.id))
        thread(journal)
        ledger.reserve(journal, Asked("/", 0, Spent(turns=1), MODEL))
        yield journal


def test_waiting_for_room_is_no_work_and_is_told_once() -> None:
    events: list[Event] = []
    waited = 1.5
    with (
        roomy(SHORT, team(limits=limits(wall_seconds=60)), concurrent=1) as stage,
        taken(stage) as other,
    ):

        def on_event(event: Event) -> None:
            events.append(event)
            if waits([event]):
                threading.Timer(waited, ledger.release, (other, "/", 0)).start()

        began = time.monotonic()
        assert stage.run(on_event=on_event).exit_code == 0
        took = time.monotonic() - began
        row = next(r for r in stage.threads())
        assert row.agent == "boss"
        assert len(waits(events)) == 1
        assert not stage.reviews()
        assert stage.row.working_seconds <= took - waited
        assert row.working_seconds <= took - waited


def test_who_waits_for_room_can_be_stopped() -> None:
    with roomy(SHORT, concurrent=1) as stage, taken(stage) as other:

        def on_event(event: Event) -> None:
            if waits([event]):
                ask_stop(other.store, event.run)

        result = stage.run(on_event=on_event)
        assert (result.status, result.reason) == ("stopped", "stopped by a human")
        assert not stage.requests()


def test_only_so_many_begin_in_a_minute() -> None:
    numbers = itertools.count()
    with roomy(SIDE_BY_SIDE, per_minute=3) as stage:

        def on_event(event: Event) -> None:
            if waits([event]) and next(numbers) == 0:
                with open_store(stage.settings.journal_url) as store:
                    ask_stop(store, event.run)

        assert stage.run(on_event=on_event).status == "stopped"
        assert len(stage.requests()) == 3


def test_a_tape_needs_no_room() -> None:
    with roomy(SHORT, concurrent=1) as stage:
        assert stage.run(record="tape.jsonl").exit_code == 0
        with taken(stage):
            events: list[Event] = []
            assert stage.run(tape="tape.jsonl", on_event=events.append).exit_code == 0
            assert not waits(events)
