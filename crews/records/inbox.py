"""How is a question put to a human? It waits as a row, bound to what was asked about."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, func, insert, select, update

from crews.records import audit, chains
from crews.records.deciding import decide
from crews.records.journal import Journal
from crews.records.questions import Brief, ReviewKind, ReviewRow
from crews.records.reviews import CHOICES, MEANING, choices, get_review, list_reviews, meaning
from crews.records.store import dump
from crews.records.tables import calls, reviews
from crews.safety.action import Finding
from crews.teams.spec import Stage

__all__ = [
    "CHOICES",
    "MEANING",
    "Question",
    "decide",
    "get_review",
    "list_reviews",
    "meaning",
    "open_review",
    "void_review",
]


@dataclass(frozen=True, slots=True)
class Question:
    """A review that is to be opened."""

    kind: ReviewKind
    address: str
    agent: str
    title: str
    subject: dict[str, Any]
    content_hash: str
    rule: str = ""
    reason: str = ""
    role: str = ""
    findings: tuple[Finding, ...] = ()
    brief: Brief | None = None
    brief_note: str = ""
    chain: tuple[Stage, ...] = ()
    """Who is asked, in which order; see `chains.for_rule`."""
    four_eyes: bool = False
    """Whoever started the run cannot decide it."""


def open_review(journal: Journal, question: Question, **call: Any) -> ReviewRow:
    """Open a review; `call`: columns to set, in the same transaction, on the call it belongs to."""
    with journal.writing() as connection:
        number, now = 1 + _count(connection, journal.run), time.time()
        begun = chains.opening(question.chain, question.role, now)
        more = len(question.chain) > 1
        row = ReviewRow(
            id=f"{journal.run}-{number}",
            run=journal.run,
            number=number,
            kind=question.kind,
            address=question.address,
            agent=question.agent,
            title=question.title,
            subject=dump(question.subject),
            content_hash=question.content_hash,
            rule=question.rule,
            reason=question.reason,
            findings=dump([asdict(f) for f in question.findings]),
            brief=None if question.brief is None else question.brief.model_dump_json(),
            brief_note=question.brief_note,
            allowed=dump(list(choices(question.kind, more_stages=more))),
            state="open",
            decision="",
            answer="",
            edit=None,
            decided_by="",
            opened_at=now,
            decided_at=None,
            four_eyes=question.four_eyes,
            claimed_by="",
            claimed_until=None,
            scope="",
            signed_in="",
            **begun,
        )
        connection.execute(insert(reviews).values(**asdict(row)))
        path, _, place = question.address.rpartition(":")
        if call and path:
            turn, _, index = place.partition(".")
            mine = (calls.c.run == journal.run) & (calls.c.path == path)
            mine &= (calls.c.turn == int(turn)) & (calls.c.place == int(index))
            connection.execute(update(calls).where(mine).values(review=row.id, **call))
        keyed: dict[str, JsonValue] = {"content_hash": row.content_hash}
        audit.append(connection, journal.run, "review_opened", _facts(row), keyed=keyed)
    return row


def _count(connection: Connection, run: str) -> int:
    query = select(func.count()).select_from(reviews).where(reviews.c.run == run)
    return int(connection.execute(query).scalar() or 0)


def _facts(row: ReviewRow) -> dict[str, JsonValue]:
    return {
        "review": row.id,
        "kind": row.kind,
        "address": row.address,
        "rule": row.rule,
        "role": row.role,
        "four_eyes": row.four_eyes,
        "briefed": row.brief is not None,
    }


def void_review(journal: Journal, review: ReviewRow, why: str) -> None:
    """What was asked about has changed: the review, decided or not, counts for nothing any more."""
    with journal.writing() as connection:
        connection.execute(update(reviews).where(reviews.c.id == review.id).values(state="void"))
        audit.append(connection, journal.run, "review_void", {"review": review.id, "why": why})
