"""May a thread make one more request, and what happens at a wall? A human is asked: extend, finish or stop."""

from __future__ import annotations

import hashlib
import time
from decimal import Decimal

from crews.errors import EXIT_BUDGET, BudgetSpent, StopRun, Waiting
from crews.records import inbox, ledger
from crews.records.inbox import Question
from crews.records.ledger import Wall
from crews.records.rows import ReviewRow, ThreadRow, dollars
from crews.runtime.conversation import Conversation
from crews.runtime.models import price
from crews.runtime.scene import Scene
from crews.safety.budget import Spent, extend, limit_of
from crews.teams.spec import AgentSpec, Limits

NO_LIMIT = 1_000_000


async def reserve(
    scene: Scene, thread: ThreadRow, agent: AgentSpec, talk: Conversation, worked: float
) -> bool:
    """Reserve the next request of a thread. True: it must be the thread's last, a wall was reached.

    Raises:
        Waiting: a wall was reached and a human must decide.
        StopRun: a human decided that the run ends here.
    """
    wanted = _wanted(scene, agent, thread, talk)
    while True:
        if _finishing(scene, thread):
            return True
        before = time.monotonic() - scene.began
        wall = ledger.reserve(scene.journal, thread.path, talk.turns, wanted, (before, worked))
        if wall is None:
            return False
        await _at_wall(scene, thread, agent, wall)


def calls_left(scene: Scene, thread: ThreadRow) -> int:
    """How many tool calls the limits still allow to this thread."""
    run, fresh = scene.row(), scene.journal.thread(thread.path) or thread
    left = [row.walls.calls - row.calls for row in (run, fresh) if row.walls.calls is not None]
    return max(0, min(left, default=NO_LIMIT))


def _wanted(scene: Scene, agent: AgentSpec, thread: ThreadRow, talk: Conversation) -> Spent:
    """The most that the next request may take, whichever of the agent's models answers."""
    reads = talk.estimated_tokens()
    models = (thread.model,) if scene.options.model else (thread.model, *agent.oversight.fallback)
    prices = [_most(model, reads, agent.max_tokens) for model in models]
    known = [p for p in prices if p is not None]
    money = dollars(max(known)) if len(known) == len(prices) else None
    return Spent(tokens=reads + agent.max_tokens, money=money, turns=1, calls=0)


def _most(model: str, reads: int, writes: int) -> int | None:
    """The most that a request may cost: what it reads is kept in the cache, which may cost more than reading."""
    plain, kept = price(model, reads, writes), price(model, 0, writes, cache_write=reads)
    return None if plain is None or kept is None else max(plain, kept)


def _finishing(scene: Scene, thread: ThreadRow) -> bool:
    """Was this thread, or the whole run, told to finish with what there is?"""
    fresh = scene.journal.thread(thread.path)
    if fresh is not None and fresh.finish_now:
        return True
    if not any(r.decision == "reject" for r in _decided(scene, "run")):
        return False
    scene.journal.set_thread(thread.path, finish_now=True)
    return True


def _decided(scene: Scene, scope: str) -> list[ReviewRow]:
    reviews = inbox.list_reviews(
        scene.journal.store, run=scene.journal.run, state="decided", kind="budget"
    )
    return [r for r in reviews if r.address.startswith(f"{scope}#")]


async def _at_wall(scene: Scene, thread: ThreadRow, agent: AgentSpec, wall: Wall) -> None:
    """Ask a human, or act on what was decided; returns if the wall was moved or the thread is to finish."""
    where = "run" if wall.scope == "run" else thread.path
    address = f"{where}#{wall.breach.kind}>{wall.breach.limit}"
    reviews = inbox.list_reviews(
        scene.journal.store, run=scene.journal.run, state=None, kind="budget"
    )
    asked = [r for r in reviews if r.address == address and r.state != "void"]
    review = asked[-1] if asked else None
    if thread.kind == "brief":
        raise BudgetSpent(wall.breach.message, where=thread.path)
    if review is None:
        review = _open(scene, thread, agent, wall, address)
    if review.state == "open":
        raise Waiting(address)
    if review.decision == "stop":
        raise StopRun(f"the budget is spent: {wall.breach.message}", exit_code=EXIT_BUDGET)
    if review.decision == "reject":
        scene.journal.set_thread(thread.path, finish_now=True)
    else:
        _extend(scene, thread, wall, review)


def _open(scene: Scene, thread: ThreadRow, agent: AgentSpec, wall: Wall, address: str) -> ReviewRow:
    breach = wall.breach
    whose = "the run" if wall.scope == "run" else f"{agent.name}'s delegation"
    subject = {
        "scope": wall.scope,
        "thread": thread.path,
        "which": breach.kind,
        "limit": str(breach.limit),
        "spent": str(breach.spent),
        "wanted": str(breach.wanted),
        "done_so_far": [
            f"{t.agent}: {t.outcome.summary}" for t in scene.journal.threads() if t.outcome
        ],
    }
    question = Question(
        kind="budget",
        address=address,
        agent=agent.name,
        title=f"A limit of {whose} is reached: {breach.kind}",
        subject=subject,
        content_hash=hashlib.sha256(address.encode()).hexdigest(),
        rule=f"limit:{breach.kind}",
        reason=breach.message,
    )
    review = inbox.open_review(scene.journal, question)
    scene.emit(
        "budget_breached",
        thread=thread.path,
        agent=agent.name,
        text=breach.message,
        review=review.id,
    )
    scene.emit(
        "review_opened", thread=thread.path, agent=agent.name, text=review.title, review=review.id
    )
    return review


def _extend(scene: Scene, thread: ThreadRow, wall: Wall, review: ReviewRow) -> None:
    """Move the wall: to what the human wrote, else by the same amount again."""
    path = None if wall.scope == "run" else thread.path
    fresh = scene.journal.thread(thread.path) or thread
    limits = scene.row().walls if path is None else fresh.walls
    kind = wall.breach.kind
    if review.decision == "edit":
        values = {**limits.model_dump(), **(review.edited or {})}
        moved = Limits.model_validate(values)
        scene.journal.set_limits(moved, path)
        if limit_of(moved, kind) == wall.breach.limit:
            inbox.void_review(scene.journal, review, "the edit left the limit where it was")
        return
    # A price that is not known cannot be kept under any limit of money: approving lifts that limit.
    unknown = wall.breach.spent is None or wall.breach.wanted is None
    step = None if unknown else _first_limit(scene, review)
    scene.journal.set_limits(extend(limits, kind, step), path)


def _first_limit(scene: Scene, review: ReviewRow) -> Decimal:
    """The limit at which this wall was first met, so that each extension adds the same amount again."""
    reviews = inbox.list_reviews(
        scene.journal.store, run=scene.journal.run, state=None, kind="budget"
    )
    wall = review.address.partition(">")[0]
    first = next(r for r in reviews if r.address.partition(">")[0] == wall)
    return Decimal(first.about["limit"])
