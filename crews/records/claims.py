"""Who is looking at a review right now? A lease: while it lasts, nobody else decides."""

from __future__ import annotations

import time

from pydantic import JsonValue
from sqlalchemy import Connection, update

from crews.errors import CrewsError, Denied, UsageError
from crews.records import audit, rights, runs
from crews.records.chains import Tell, Wake, settle, untold
from crews.records.questions import ReviewRow
from crews.records.reviews import get_review, read_review
from crews.records.store import Store
from crews.records.tables import reviews
from crews.records.users import Decider

LASTS = 1800.0
"""Seconds that a claim lasts where nobody says how long."""
LONGEST = 7 * 86400.0


def claim(
    store: Store, review: str, *, by: Decider, lasts: float = LASTS, wake: Wake = runs.wake,
    tell: Tell = untold,
) -> ReviewRow:  # fmt: skip
    """Take a review for oneself; claiming it again makes the claim last anew.

    Args:
        store: The journal.
        review: The review's id.
        by: Who looks at it.
        lasts: Seconds, a week at most. A claim ends with its stage of the chain, too: it holds no deadline up.
        wake: Has the run go on where its deadline was quicker; called in the transaction.
        tell: Told what became of the review by the clock, in the transaction.

    Raises:
        UsageError: unknown or decided review, or a time that cannot be.
        Denied: this person may not decide it, or another looks at it. The attempt is recorded.
    """
    if not 0 < lasts <= LONGEST:
        raise UsageError("a claim lasts up to seven days", hint="--for 30m")
    now = time.time()
    refused: CrewsError | None = None
    with store.writing() as connection:
        row = settle(connection, read_review(connection, review), now, tell, wake)
        refused = _not_open(row) or rights.refusal(
            connection, row, rights.current(connection, by), now
        )
        if refused is None:
            _set(connection, row, by.name, now + lasts)
            _note(connection, row, "review_claimed", by, until=now + lasts)
        elif isinstance(refused, Denied):
            _note(connection, row, "claim_refused", by, why=refused.what)
    if refused is not None:
        raise refused
    return get_review(store, review)


def release(store: Store, review: str, *, by: Decider) -> ReviewRow:
    """Let go of a review that one has claimed.

    Raises:
        UsageError: nobody looks at it.
        Denied: another does.
    """
    now = time.time()
    refused: CrewsError | None = None
    with store.writing() as connection:
        row = read_review(connection, review)
        holder = rights.claimed_by(row, now)
        if not holder:
            refused = UsageError(f"nobody looks at review `{review}`")
        elif holder != by.name:
            refused = Denied(
                f"review `{review}` was claimed by `{holder}`", hint="only they let go"
            )
            _note(connection, row, "claim_refused", by, why=refused.what)
        else:
            _set(connection, row, "", None)
            _note(connection, row, "review_released", by)
    if refused is not None:
        raise refused
    return get_review(store, review)


def _not_open(row: ReviewRow) -> UsageError | None:
    if row.state == "open":
        return None
    return UsageError(f"review `{row.id}` is {row.state}", hint=f"`crews inbox show {row.id}`")


def _set(connection: Connection, row: ReviewRow, name: str, until: float | None) -> None:
    values = {"claimed_by": name, "claimed_until": until}
    connection.execute(update(reviews).where(reviews.c.id == row.id).values(**values))


def _note(
    connection: Connection, row: ReviewRow, kind: str, by: Decider, **more: JsonValue
) -> None:
    body: dict[str, JsonValue] = {"review": row.id, "by": by.name, "signed_in": by.signed_in}
    audit.append(connection, row.run, kind, body | more)
