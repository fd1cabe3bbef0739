"""What happens at a wall? A human is asked: extend, set another limit, finish with what there is, or stop.

A run or a thread that was extended has its new limit in its own row. A team's day is extended for every run of
the team: one approval answers those that wait at the same wall. A run that waits at a day's wall over midnight
(UTC) is not woken by the new day: its question stays open, and the run finds the new day's limit whenever it goes on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from crews.errors import EXIT_BUDGET, BudgetSpent, StopRun, Waiting
from crews.records import days, inbox
from crews.records.days import DayRow
from crews.records.inbox import Question
from crews.records.ledger import Told, Wall
from crews.records.questions import ReviewRow
from crews.records.rows import ThreadRow, dollars
from crews.records.workers import clock
from crews.runtime.reviewing import with_chain, without_secrets
from crews.runtime.scene import Scene
from crews.safety.budget import Breach, described, extend, limit_of
from crews.teams.spec import AgentSpec, Limits

GRACE_TURNS = 2
"""Turns beyond the last one in which an agent may still hand over."""
REQUESTS_BEYOND = 1 + GRACE_TURNS
"""Requests of a thread beyond a wall, in which it says how far it has come."""


def finish(scene: Scene, thread: ThreadRow, told: Told) -> None:
    """Keep in the thread's row that it was told to finish with what there is."""
    if not told.thread:
        scene.journal.set_thread(thread.path, finish_now=True)


def stop_at(scene: Scene, thread: ThreadRow, agent: AgentSpec, wall: Wall) -> None:
    """Ask a human, or act on what was decided; returns if the wall was moved or the thread is to finish.

    Raises:
        Waiting: the question is open.
        StopRun: a human ended the run here.
        BudgetSpent: the thread writes a brief; nobody is asked about that.
    """
    if thread.kind == "brief":
        raise BudgetSpent(wall.breach.message, where=thread.path)
    address = _address(thread, wall)
    asked = [r for r in _asked(scene) if r.address == address and r.state != "void"]
    review = asked[-1] if asked else _open(scene, thread, agent, wall, address)
    if review.state == "open":
        raise Waiting(address)
    if review.decision == "stop":
        raise StopRun(f"the budget is spent: {wall.breach.message}", exit_code=EXIT_BUDGET)
    if review.decision == "reject":
        scene.journal.set_thread(thread.path, finish_now=True)
    elif wall.scope == "team":
        # What was decided has been done before this request was tried: it moved nothing.
        inbox.void_review(scene.journal, review, LEFT)
    else:
        _extend(scene, thread, wall, review)


LEFT = "the edit left the limit where it was"


def heed_days(scene: Scene) -> None:
    """Do what was decided about the team's day, and take back what was asked about a day that is over."""
    daily = scene.team.policy.daily.money
    if daily is None:
        return
    today = _today(scene)
    holds = today.limit(daily)
    for review in _asked(scene):
        about = days.is_about(review.address)
        if about is None or review.state == "void":
            continue
        day, limit = about
        if day != today.day:
            if review.state == "open":
                inbox.void_review(scene.journal, review, f"{day} is over")
        elif limit == holds and review.decision in {"approve", "edit"}:
            _extend_day(scene, review, day, limit, daily)


def _extend_day(scene: Scene, review: ReviewRow, day: str, limit: Decimal, daily: Decimal) -> None:
    to: Decimal | None = limit + daily
    if review.decision == "edit":
        edited = Limits.model_validate(review.edited or {})
        to = edited.money or limit
    elif review.about["unpriced"]:
        to = None  # see `_extend`
    if to != limit:
        days.extend(
            scene.journal, scene.team.name, day, daily=daily, was=limit, to=to, review=review.id
        )


def _today(scene: Scene) -> DayRow:
    with scene.journal.store.reading() as connection:
        return days.get_day(connection, scene.team.name, days.day_of(clock(connection)))


def _asked(scene: Scene) -> tuple[ReviewRow, ...]:
    """Every question about a budget of the run, oldest first."""
    return inbox.list_reviews(scene.journal.store, run=scene.journal.run, state=None, kind="budget")


def _address(thread: ThreadRow, wall: Wall) -> str:
    if wall.scope == "team":
        return days.address(wall.day, Decimal(wall.breach.limit))
    where = "run" if wall.scope == "run" else thread.path
    return f"{where}#{wall.breach.kind}>{wall.breach.limit}"


# -- the question ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    reason: str


def _open(scene: Scene, thread: ThreadRow, agent: AgentSpec, wall: Wall, address: str) -> ReviewRow:
    words = _words(scene, agent, thread, wall)
    question = Question(
        kind="budget",
        address=address,
        agent=agent.name,
        title=words.title,
        subject=_subject(scene, thread, wall),
        content_hash=hashlib.sha256(address.encode()).hexdigest(),
        rule=f"limit:{wall.breach.kind}",
        reason=words.reason,
    )
    review = inbox.open_review(scene.journal, without_secrets(scene, with_chain(scene, question)))
    told = {"thread": thread.path, "agent": agent.name, "review": review.id}
    scene.emit("budget_breached", text=wall.breach.message, **told)
    scene.emit("review_opened", text=review.title, **told)
    return review


def _subject(scene: Scene, thread: ThreadRow, wall: Wall) -> dict[str, Any]:
    breach = wall.breach
    return {
        "scope": wall.scope,
        "day": wall.day,
        "thread": thread.path,
        "which": breach.kind,
        "limit": str(breach.limit),
        "spent": str(breach.spent),
        "wanted": str(breach.wanted),
        "unpriced": _unpriced(breach),
        "done_so_far": [
            f"{t.agent}: {t.outcome.summary}" for t in scene.journal.threads() if t.outcome
        ],
    }


def _words(scene: Scene, agent: AgentSpec, thread: ThreadRow, wall: Wall) -> _Words:
    breach = wall.breach
    reason = f"{breach.message} {_buys(scene, thread, wall)} {_ENDS}"
    if wall.scope != "team":
        whose = "the run" if wall.scope == "run" else f"{agent.name}'s delegation"
        return _Words(f"A limit of {whose} is reached: {breach.kind}", reason)
    head = f"Team {scene.team.name} has reached its limit of {wall.day} (UTC)"
    if breach.spent is None or breach.wanted is None:
        return _Words(f"{head}: a price is not known", reason)
    spent = f"{head}: ${breach.spent:.4f} of ${breach.limit:.4f} are spent or reserved"
    return _Words(spent, reason)


_ENDS = (
    "A rejection ends the work with what there is: whoever has reached the limit may say how far it has come, "
    f"in at most {REQUESTS_BEYOND} more requests."
)


def _buys(scene: Scene, thread: ThreadRow, wall: Wall) -> str:
    """What an approval allows, and how far that goes at the pace so far."""
    breach = wall.breach
    if breach.spent is None or breach.wanted is None:
        return "An approval takes this limit away."
    if wall.scope == "team":
        step = scene.team.policy.daily.money or Decimal(0)
        left = step + Decimal(breach.limit) - Decimal(breach.spent)
        more = f"${step:.4f} more on that day, to every run of the team"
        requests, like = left / max(Decimal(breach.wanted), dollars(1)), "the next one"
    else:
        step = _first_limit(scene, thread, wall)
        pace, like = Decimal(str(breach.spent)) / max(wall.spent.turns, 1), "those so far"
        if not pace:  # nothing has been asked yet
            pace, like = Decimal(str(breach.wanted)), "the next one"
        more = f"{described(breach.kind, step)} more"
        requests = step / max(pace, dollars(1))
    return (
        f"An approval allows {more}: about {int(max(requests, Decimal(0))):,} requests like {like}."
    )


def _unpriced(breach: Breach) -> bool:
    """A price that is not known cannot be kept under any limit of money: approving lifts that limit."""
    return breach.spent is None or breach.wanted is None


# -- the answer -----------------------------------------------------------------------------------


def _extend(scene: Scene, thread: ThreadRow, wall: Wall, review: ReviewRow) -> None:
    """Move the wall: to what the human wrote, else by the same amount again."""
    path = None if wall.scope == "run" else thread.path
    fresh = scene.journal.thread(thread.path) or thread
    limits = scene.row().walls if path is None else fresh.walls
    kind = wall.breach.kind
    if limit_of(limits, kind) != wall.breach.limit:
        return  # another thread has done what was decided: once is all that it allows
    if review.decision == "edit":
        values = {**limits.model_dump(), **(review.edited or {})}
        moved = Limits.model_validate(values)
        scene.journal.set_limits(moved, path)
        if limit_of(moved, kind) == wall.breach.limit:
            inbox.void_review(scene.journal, review, LEFT)
        return
    step = None if _unpriced(wall.breach) else _first_limit(scene, thread, wall)
    scene.journal.set_limits(extend(limits, kind, step), path)


def _first_limit(scene: Scene, thread: ThreadRow, wall: Wall) -> Decimal:
    """The limit at which this wall was first met, so that each extension adds the same amount again."""
    place = _address(thread, wall).partition(">")[0]
    met = [r for r in _asked(scene) if r.address.partition(">")[0] == place]
    return Decimal(str(met[0].about["limit"] if met else wall.breach.limit))
