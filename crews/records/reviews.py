"""Which reviews are there, and what can be decided of each?"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, select, text

from crews.errors import UsageError
from crews.records.glance import OLDEST_FIRST, having
from crews.records.questions import Decision, ReviewKind, ReviewRow
from crews.records.rows import row_as
from crews.records.statement import Prepared
from crews.records.store import Store
from crews.records.tables import reviews

CHOICES: dict[ReviewKind, tuple[Decision, ...]] = {
    "action": ("approve", "edit", "reject", "stop"),
    "change_set": ("approve", "edit", "reject", "stop"),
    "plan": ("approve", "edit", "reject", "stop"),
    "budget": ("approve", "edit", "reject", "stop"),
    "question": ("answer", "stop"),
    "unknown": ("answer", "stop"),
    "hand_over": ("approve", "answer", "reject", "stop"),
    "model": ("approve", "stop"),
}
"""What a human can decide of each kind; `escalate` beside it, where the chain has a next stage."""

MEANING: dict[ReviewKind, dict[Decision, str]] = {
    "action": {"approve": "let it happen", "edit": "let it happen with other arguments",
               "reject": "refuse; the agent is told why", "stop": "end the run"},
    "change_set": {"approve": "accept these changes", "edit": "accept them with your changes",
                   "reject": "refuse; the supervisor is told why", "stop": "end the run"},
    "plan": {"approve": "go on with this plan", "edit": "go on with your plan",
             "reject": "refuse; the supervisor is told why", "stop": "end the run"},
    "budget": {"approve": "extend by the same amount again", "edit": "set another limit",
               "reject": "finish with what there is", "stop": "end the run"},
    "question": {"answer": "answer the question", "stop": "end the run"},
    "unknown": {"answer": "`done` or `not done`", "stop": "end the run"},
    "hand_over": {"approve": "allow another round", "answer": "allow it, with your advice",
                  "reject": "no more rounds: finish with what there is", "stop": "end the run"},
    "model": {"approve": "try again", "stop": "end the run"},
}  # fmt: skip
"""What each decision means, in words for people."""
_RESULT: dict[Decision, str] = {
    "approve": "accept the result", "answer": "not yet: the agent goes on, with your advice",
    "reject": "not yet: the agent goes on, and is told why", "stop": "end the run",
}  # fmt: skip
_DELEGATION: dict[Decision, str] = {
    "approve": "let it be delegated", "answer": "let it, with your advice",
    "reject": "refuse; the supervisor does without it", "stop": "end the run",
}  # fmt: skip


def meaning(review: ReviewRow) -> dict[Decision, str]:
    """What each decision of a review means."""
    by_rule = {"human_input": _RESULT, "beyond-plan": _DELEGATION}
    meant = by_rule.get(review.rule, MEANING[review.kind])
    if "escalate" not in review.choices:
        return meant
    following = review.stages[review.stage + 1].role or "whoever is next"
    return {**meant, "escalate": f"decide nothing: hand it to {following} now"}


def choices(kind: ReviewKind, *, more_stages: bool) -> tuple[Decision, ...]:
    """What a review of that kind takes; `more_stages`: the chain goes on after the present one."""
    return (*CHOICES[kind], "escalate") if more_stages else CHOICES[kind]


def read_review(connection: Connection, review: str) -> ReviewRow:
    """One review as it stands in this transaction; UsageError if there is none of that id."""
    row = connection.execute(select(reviews).where(reviews.c.id == review)).first()
    if row is None:
        raise UsageError(f"there is no review `{review}`", hint="`crews inbox` lists the open ones")
    return row_as(ReviewRow, row)


def get_review(store: Store, review: str) -> ReviewRow:
    """One review; UsageError if there is none of that id."""
    with store.reading() as connection:
        return read_review(connection, review)


def list_reviews(
    store: Store,
    *,
    run: str | None = None,
    state: str | None = "open",
    kind: ReviewKind | None = None,
) -> tuple[ReviewRow, ...]:
    """Reviews, oldest first; by default the open ones of every run. `state=None`: all of them."""
    asked = {"run": run, "state": state, "kind": kind}
    given = {name: value for name, value in asked.items() if value is not None}
    return tuple(row_as(ReviewRow, row) for row in store.look(_listing(*given), given).rows)


@cache
def _listing(*columns: str) -> Prepared:
    """Built once: a run looks for its reviews at every turn."""
    which, order = text(having(*columns)), text(OLDEST_FIRST)
    return Prepared(select(reviews).where(which).order_by(order))


def same_question(connection: Connection, review: ReviewRow) -> tuple[ReviewRow, ...]:
    """The open reviews that ask the very same thing for the same run, this one first."""
    if review.kind != "action":
        return (review,)
    query = (
        select(reviews)
        .where(reviews.c.run == review.run, reviews.c.state == "open")
        .where(reviews.c.kind == "action", reviews.c.content_hash == review.content_hash)
        .where(reviews.c.id != review.id)
        .order_by(reviews.c.number)
    )
    others = tuple(row_as(ReviewRow, row) for row in connection.execute(query))
    return (review, *others)
