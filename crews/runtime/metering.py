"""May a thread make one more request, and what happens at a wall? A human is asked: extend, finish or stop."""

from __future__ import annotations

import hashlib
import time
from decimal import Decimal

from crews.errors import EXIT_BUDGET, BudgetSpent, StopRun, Waiting
from crews.records import inbox, ledger
from crews.records.inbox import Question
from crews.records.ledger import Wall
from crews.records.rows import NANO, ReviewRow, ThreadRow
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
    wanted = _wanted(agent, thread, talk)
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


def _wanted(agent: AgentSpec, thread: ThreadRow, talk: Conversation) -> Spent:
    """The most that the next request may take: what it reads at full price, and its longest answer."""
    reads = talk.estimated_tokens()
    nano = price(thread.model, reads, agent.max_tokens)
    money = None if nano is None else Decimal(nano) / NANO
    return Spent(tokens=reads + agent.max_tokens, money=money, turns=1, calls=0)


def _finishing(scene: Scene, thread: ThreadRow) -> bool:
    """Was this thread, or the whole run, told to finish with what there is?"""
    fresh = scene.journal.thread(thread.path)
    if fresh is not None and fresh.finish_now:
        return True
    return any(r.decision == "reject" for r in _decided(scene, "run"))


def _decided(scene: Scene, scope: str) -> list[ReviewRow]:
    reviews = inbox.list_reviews(scene.journal.store, run=scene.journal.run, state="decided")
    return [r for r in reviews if r.kind == "budget" and r.address.startswith(f"{scope}#")]


async def _at_wall(scene: Scene, thread: ThreadRow, agent: AgentSpec, wall: Wall) -> None:
    """Ask a human, or act on what was decided; returns if the wall was moved or the thread is to finish."""
    where = "run" if wall.scope == "run" else thread.path
    address = f"{where}#{wall.breach.kind}>{wall.breach.limit}"
    reviews = inbox.list_reviews(scene.journal.store, run=scene.journal.run, state=None)
    review = next((r for r in reviews if r.address == address), None)
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
        scene.journal.set_limits(Limits.model_validate(values), path)
        return
    # A price that is not known cannot be kept under any limit of money: approving lifts that limit.
    unknown = wall.breach.spent is None or wall.breach.wanted is None
    step = None if unknown else limit_of(_initial(scene, thread, path), kind)
    scene.journal.set_limits(extend(limits, kind, step), path)


def _initial(scene: Scene, thread: ThreadRow, path: str | None) -> Limits:
    """The limits before any extension, so that each adds the same amount again."""
    fresh = scene.journal.thread(thread.path) or thread
    return scene.team.policy.limits if path is None else fresh.walls
