"""Which questions wait for a human, and what was decided? Each is answered once, for one content."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from pydantic import JsonValue, ValidationError
from sqlalchemy import Connection, func, insert, select, update

from crews.errors import UsageError
from crews.records import audit
from crews.records.journal import Journal
from crews.records.rows import Brief, Decision, ReviewKind, ReviewRow
from crews.records.runs import row_as
from crews.records.store import Store, dump
from crews.records.tables import calls, reviews
from crews.safety.action import Finding
from crews.teams.spec import Limits

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
"""What a human can decide of each kind."""

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
    return by_rule.get(review.rule, MEANING[review.kind])


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


def open_review(journal: Journal, question: Question, **call: Any) -> ReviewRow:
    """Open a review; `call`: columns to set, in the same transaction, on the call it belongs to."""
    with journal.writing() as connection:
        number = 1 + _count(connection, journal.run)
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
            role=question.role,
            findings=dump([asdict(f) for f in question.findings]),
            brief=None if question.brief is None else question.brief.model_dump_json(),
            brief_note=question.brief_note,
            allowed=dump(list(CHOICES[question.kind])),
            state="open",
            decision="",
            answer="",
            edit=None,
            decided_by="",
            opened_at=time.time(),
            decided_at=None,
            four_eyes=False,
            chain="[]",
            stage=0,
            due_at=None,
            remind_at=None,
            claimed_by="",
            claimed_until=None,
            scope="",
            signed_in="",
        )
        connection.execute(insert(reviews).values(**asdict(row)))
        path, _, place = question.address.rpartition(":")
        if call and path:
            turn, _, index = place.partition(".")
            mine = (calls.c.run == journal.run) & (calls.c.path == path)
            mine &= (calls.c.turn == int(turn)) & (calls.c.place == int(index))
            connection.execute(update(calls).where(mine).values(review=row.id, **call))
        audit.append(connection, journal.run, "review_opened", _facts(row))
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
        "content_hash": row.content_hash,
        "briefed": row.brief is not None,
    }


def void_review(journal: Journal, review: ReviewRow, why: str) -> None:
    """What was asked about has changed: the review, decided or not, counts for nothing any more."""
    with journal.writing() as connection:
        connection.execute(update(reviews).where(reviews.c.id == review.id).values(state="void"))
        audit.append(connection, journal.run, "review_void", {"review": review.id, "why": why})


def get_review(store: Store, review: str) -> ReviewRow:
    """One review; UsageError if there is none of that id."""
    with store.reading() as connection:
        row = connection.execute(select(reviews).where(reviews.c.id == review)).first()
    if row is None:
        raise UsageError(f"there is no review `{review}`", hint="`crews inbox` lists the open ones")
    return row_as(ReviewRow, row)


def list_reviews(
    store: Store,
    *,
    run: str | None = None,
    state: str | None = "open",
    kind: ReviewKind | None = None,
) -> tuple[ReviewRow, ...]:
    """Reviews, oldest first; by default the open ones of every run. `state=None`: all of them."""
    query = select(reviews).order_by(reviews.c.opened_at, reviews.c.number)
    if run is not None:
        query = query.where(reviews.c.run == run)
    if state is not None:
        query = query.where(reviews.c.state == state)
    if kind is not None:
        query = query.where(reviews.c.kind == kind)
    with store.reading() as connection:
        return tuple(row_as(ReviewRow, row) for row in connection.execute(query))


def decide(
    store: Store,
    review: str,
    decision: Decision,
    *,
    by: str,
    answer: str = "",
    edit: dict[str, Any] | None = None,
    content_hash: str | None = None,
) -> ReviewRow:
    """Decide a review, once.

    Args:
        store: The journal.
        review: The review's id.
        decision: One of the review's `choices`.
        by: Who decides.
        answer: The reason of a rejection, or the answer to a question; required for both.
        edit: What is to be done instead; required for `edit`.
        content_hash: Hash of what the human was shown; refused if the review is about something else.

    Raises:
        UsageError: unknown or decided review, a decision that it does not take, a missing reason.
    """
    row = get_review(store, review)
    _check(row, decision, answer, edit, content_hash)
    with store.writing() as connection:
        done = connection.execute(
            update(reviews)
            .where(reviews.c.id == review, reviews.c.state == "open")
            .values(
                state="decided",
                decision=decision,
                answer=answer,
                edit=None if edit is None else dump(edit),
                decided_by=by,
                decided_at=time.time(),
            )
        )
        if not done.rowcount:
            raise UsageError(
                f"review `{review}` was decided meanwhile", hint=f"`crews inbox show {review}`"
            )
        body: dict[str, JsonValue] = {
            "review": review, "decision": decision, "by": by, "answer": answer,
            "content_hash": row.content_hash, "edited": edit is not None,
        }  # fmt: skip
        audit.append(connection, row.run, "review_decided", body)
    return get_review(store, review)


def _check(
    row: ReviewRow,
    decision: Decision,
    answer: str,
    edit: dict[str, Any] | None,
    content_hash: str | None,
) -> None:
    if row.state != "open":
        by = f" by {row.decided_by}: {row.decision}" if row.decided_by else ""
        raise UsageError(
            f"review `{row.id}` is {row.state}{by}", hint=f"`crews inbox show {row.id}`"
        )
    if decision not in row.choices:
        raise UsageError(
            f"review `{row.id}` cannot be decided with `{decision}`",
            hint=f"it takes: {', '.join(row.choices)}",
        )
    if content_hash is not None and content_hash != row.content_hash:
        raise UsageError(f"review `{row.id}` is not about what you were shown; look again",
                         hint=f"`crews inbox show {row.id}`")  # fmt: skip
    if decision == "reject" and row.kind != "budget" and not answer.strip():
        raise UsageError("a rejection needs a reason: the agent is told what to do better",
                         hint="give it with --reason \"...\"")  # fmt: skip
    if decision == "answer" and not answer.strip():
        raise UsageError("the answer is empty")
    if decision == "answer" and row.kind == "unknown" and answer not in {"done", "not done"}:
        raise UsageError("say whether it happened: `done` or `not done`")
    if decision == "edit":
        _check_edit(row, edit)


def _check_edit(row: ReviewRow, edit: dict[str, Any] | None) -> None:
    """What can never be done is said now, not when the run goes on."""
    if edit is None:
        raise UsageError(
            "an edit needs what is to be done instead", hint="give it with --set NAME=VALUE"
        )
    if row.kind == "change_set":
        _check_files(row, edit)
    if row.kind == "budget":
        _check_limit(row, edit)


def _check_files(row: ReviewRow, edit: dict[str, Any]) -> None:
    """A name that is not in the change set would leave in what the human means to leave out."""
    texts, dropped = edit.get("files", {}), edit.get("drop", [])
    if not isinstance(texts, dict) or not isinstance(dropped, (list, tuple)):
        raise UsageError(
            "this is no edit of a change set",
            hint="`files` holds other texts by path, `drop` is a list of paths that are left out",
        )
    known: list[str] = [f["path"] for f in row.about.get("files", [])]
    named: list[str] = [*texts, *dropped]
    if known and (unknown := [path for path in named if path not in known]):
        raise UsageError(
            f"not in the change set: {', '.join(unknown)}", hint=f"it holds: {', '.join(known)}"
        )
    if strange := edit.keys() - {"files", "drop"}:
        raise UsageError(
            f"an edit of a change set has no `{min(strange)}`",
            hint="`files` holds other texts by path, `drop` paths that are left out",
        )


def _check_limit(row: ReviewRow, edit: dict[str, Any]) -> None:
    """Limits that cannot be read would break the run each time that it goes on."""
    try:
        new = getattr(Limits.model_validate(edit), which := str(row.about.get("which")), None)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"this is no limit: {place}: {first['msg']}",
            hint=f"limits are {', '.join(Limits.model_fields)}",
        ) from error
    # Walls only move outwards: one that could come back would be met, and moved, for ever.
    if new is not None and Decimal(str(new)) <= Decimal(str(row.about["limit"])):
        raise UsageError(
            f"a limit of {new} {which} is reached already",
            hint=f"set it above {row.about['limit']}, or reject: the team then finishes with what it has",
        )
