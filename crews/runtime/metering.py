"""May a thread make one more request? Set aside before it is sent; at a wall a human is asked.

Where the model itself has no room (`settings.models`), the thread waits for it and tries again: no human can
help, and the time is nobody's working time. What is counted is the thread's own model. Which fallback will answer
is not known beforehand, so a fallback's requests count as requests of the model that was asked first.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Generator, Sequence
from dataclasses import replace

from crews.errors import StopRun, Waiting
from crews.records import ledger
from crews.records.ledger import Around, Asked, Full, Told, Wall
from crews.records.rows import ThreadRow, dollars
from crews.runtime import walls
from crews.runtime.conversation import Conversation
from crews.runtime.models import ModelRequest
from crews.runtime.prices import price
from crews.runtime.scene import Scene
from crews.safety.budget import Spent
from crews.teams.spec import AgentSpec

NO_LIMIT = 1_000_000
WORTH_A_ROW = 1.0
"""Seconds of work that are written down at once; less goes with the next answer, unless this process dies before."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds between two looks for room."""


async def reserve(
    scene: Scene, thread: ThreadRow, agent: AgentSpec, talk: Conversation, request: ModelRequest
) -> Asked | None:
    """Reserve the next request of a thread; what was reserved.

    First the most that the request may read is set aside, by the size of what is in it. Only where that passes
    a limit is the model's provider asked how many tokens it is: far from a wall no request is made for it.

    Returns:
        None: a wall was reached and the thread is to end; nothing is reserved.

    Raises:
        Waiting: a wall was reached and a human must decide.
        StopRun: a human decided that the run ends here.
    """
    forced = request.forced_tool is not None
    asked, counted = _asked(scene, agent, thread, talk, forced=forced), False
    while True:
        walls.heed_days(scene)
        wall = await _with_room(scene, thread, asked)
        if wall is None:
            return asked
        if isinstance(wall, Told):
            walls.finish(scene, thread, wall)
            return None
        if not counted and wall.breach.kind in {"tokens", "money"}:
            counted = True
            if (count := await scene.model.count(request)) is not None:
                asked = _asked(scene, agent, thread, talk, count, forced=forced)
            continue  # others may have moved the wall meanwhile, whatever was counted
        walls.stop_at(scene, thread, agent, wall)


async def reserve_end(
    scene: Scene, thread: ThreadRow, agent: AgentSpec, talk: Conversation
) -> Asked:
    """Reserve a request beyond a wall, in which a thread says how far it has come: it is counted as any other."""
    asked = replace(_asked(scene, agent, thread, talk, forced=True), over=True)
    await _with_room(scene, thread, asked)
    return asked


def may_end(scene: Scene, path: str) -> bool:
    """May a thread make one more request beyond its wall? However often it was broken off and begun again."""
    return ledger.beyond(scene.journal, path) < walls.REQUESTS_BEYOND


def again(scene: Scene, asked: Asked) -> bool:
    """Reserve one more attempt at a request that broke off; False: that takes a human, or time."""
    if asked.over and not may_end(scene, asked.path):
        return False
    return _reserve(scene, asked) is None


def calls_left(scene: Scene, thread: ThreadRow) -> int:
    """How many tool calls the limits still allow to this thread."""
    left = scene.journal.calls_left(thread.path)
    return NO_LIMIT if left is None else max(0, left)


async def _with_room(scene: Scene, thread: ThreadRow, asked: Asked) -> Wall | Told | None:
    """Reserve as soon as the model has room; what stands against it by then, if anything does.

    Raises:
        Waiting: the process is to end before there was room.
        StopRun: a human asked for the end.
    """
    found = _reserve(scene, asked)
    if not isinstance(found, Full):
        return found
    scene.emit(
        "retry", thread=thread.path, agent=thread.agent, text=f"waiting for room: {found.reason}"
    )
    with scene.clock.resting(thread.path):
        for pause in _pauses():
            await asyncio.sleep(pause)
            if scene.journal.stop_asked():
                raise StopRun("stopped by a human")
            if scene.shift.draining():
                raise Waiting(thread.path)
            found = _reserve(scene, asked)
            if not isinstance(found, Full):
                break
    return None if isinstance(found, Full) else found


def _pauses() -> Generator[float]:
    """Growing pauses without end, spread so that those who wait do not all come at once."""
    pause = FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311 - no secret hangs on it
        pause = min(LONGEST_PAUSE, pause * 1.5)


def _reserve(scene: Scene, asked: Asked) -> Wall | Full | Told | None:
    around = Around(scene.team.policy.daily.money, scene.settings.models.get(asked.model))
    unwritten = scene.clock.unwritten(), scene.clock.unwritten(asked.path)
    if max(unwritten) < WORTH_A_ROW:
        return ledger.reserve(scene.journal, replace(asked, unwritten=unwritten), around)
    with scene.clock.writing(asked.path) as worked:
        return ledger.reserve(scene.journal, replace(asked, worked=worked), around)


def _asked(
    scene: Scene,
    agent: AgentSpec,
    thread: ThreadRow,
    talk: Conversation,
    count: int | None = None,
    *,
    forced: bool,
) -> Asked:
    # Nobody is asked where a tape answers: it takes no room, and costs the team nothing today.
    model = "" if scene.options.tape else thread.model
    models = (thread.model,) if scene.options.model else (thread.model, *agent.oversight.fallback)
    reads = talk.most_tokens(by_one_model=len(models) == 1, forced=forced)
    wanted = _wanted(models, reads if count is None else min(reads, count), agent.max_tokens)
    return Asked(thread.path, talk.turns, wanted, model)


def _wanted(models: Sequence[str], reads: int, writes: int) -> Spent:
    """The most that the next request may take, whichever of the agent's models answers."""
    prices = [_most(model, reads, writes) for model in models]
    known = [p for p in prices if p is not None]
    money = dollars(max(known)) if len(known) == len(prices) else None
    return Spent(tokens=reads + writes, money=money, turns=1, calls=0)


def _most(model: str, reads: int, writes: int) -> int | None:
    """The most that a request may cost: what it reads is kept in the cache, which may cost more than reading."""
    plain, kept = price(model, reads, writes), price(model, 0, writes, cache_write=reads)
    return None if plain is None or kept is None else max(plain, kept)
