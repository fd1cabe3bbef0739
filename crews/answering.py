"""Who is at work here, and how are a run's questions put to them? Only those that they may answer, each once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any, cast

from crews.errors import CrewsError, Denied
from crews.outcome import Answer, Asker
from crews.records import inbox, people, rights
from crews.records.chains import Tell, Wake
from crews.records.owner import home_id
from crews.records.questions import ReviewRow, group_key
from crews.records.store import Store
from crews.records.users import Decider
from crews.safety.own_secrets import redactor_for
from crews.settings import Settings


def identified(store: Store, settings: Settings, *, by: str = "", about: str = "") -> Decider:
    """Who is at work in this process; see `people.identify`.

    Args:
        store: The journal.
        settings: The process's settings: the name to go by, the token.
        by: A name that the caller gave; with users, it must be their own.
        about: What they want to do, for the audit log.

    Raises:
        Denied: the journal knows users, and this is none of them, or not the one that `by` names.
    """
    token = None if settings.token is None else settings.token.get_secret_value()
    me = people.identify(store, user=by or settings.user, token=token, about=about)
    if by and by != me.name:
        raise Denied(f"you are `{me.name}` and cannot decide as `{by}`",
                     hint="leave the name out: the journal knows who you are")  # fmt: skip
    return me


@contextlib.contextmanager
def waking(store: Store, settings: Settings) -> Generator[Wake]:
    """Wakes a run in the transaction of a decision: by its mark, and by the queue where there is one."""
    from crews.runtime.engine import Engine

    engine = Engine(store, home_id(settings.home))
    engine.ready()
    try:
        yield engine.wake
    finally:
        engine.close()


async def put_to(ask: Asker, run: str, store: Store, settings: Settings) -> bool:
    """Ask about every open question that this person may decide.

    Returns:
        False if nothing was decided, here or in another place.

    Raises:
        Denied: while they thought about it, this person ceased to be one whom the journal knows.
    """
    from crews.notify import teller

    try:
        me = identified(store, settings)
    except Denied:  # somebody whom the journal does not know is asked nothing
        return False
    decided = False
    for group in _questions(store, run, me):
        answer = await asyncio.to_thread(ask, _counted(group))
        review = group[0]
        if inbox.get_review(store, review.id).state != "open":
            decided = True  # by somebody else
        elif answer is not None:
            # They may have thought for hours: who they are by now decides.
            me = identified(store, settings, about=f"{answer.decision} {review.id}")
            with waking(store, settings) as wake:
                decided |= _take(
                    _clean(answer, settings), review, me, store, wake, teller(settings)
                )
    return decided


def _clean(answer: Answer, settings: Settings) -> Answer:
    """The answer without the secrets that this process holds: the journal, and a model, will read it."""
    redactor = redactor_for(settings, os.environ)
    edit = answer.edit and cast("dict[str, Any]", redactor.known_json(answer.edit))
    return replace(answer, text=redactor.known(answer.text), edit=edit)


def _questions(store: Store, run: str, me: Decider) -> tuple[list[ReviewRow], ...]:
    """The open reviews that this person may decide; those that ask the very same thing together."""
    groups: dict[tuple[str, str], list[ReviewRow]] = {}
    for review in rights.mine(store, inbox.list_reviews(store, run=run), me, time.time()):
        groups.setdefault(group_key(review), []).append(review)
    return tuple(groups.values())


def _counted(group: list[ReviewRow]) -> ReviewRow:
    """The question, with how many calls wait for its answer."""
    more = f" ({len(group)} calls at once)" if len(group) > 1 else ""
    return replace(group[0], title=group[0].title + more)


def _take(
    answer: Answer, review: ReviewRow, me: Decider, store: Store, wake: Wake, tell: Tell
) -> bool:
    """Write an answer down; False if the review stays open. A deadline may have been quicker than the human."""
    try:
        row = inbox.decide(
            store,
            review.id,
            answer.decision,
            by=me,
            answer=answer.text,
            edit=answer.edit,
            content_hash=review.content_hash,
            wake=wake,
            tell=tell,
        )
    except CrewsError:
        now = inbox.get_review(store, review.id)
        if (now.state, now.stage) == (review.state, review.stage):
            raise
        row = now
    return row.state != "open"
