"""How is a review decided? Once, in one transaction, by somebody who may, about what they were shown.

What is due by the clock comes first: a review whose last stage is over was denied by its deadline, however late
a human, or a sweep, comes by. A refusal is recorded although nothing is decided.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from pydantic import JsonValue, ValidationError
from sqlalchemy import Connection, update

from crews.errors import CrewsError, Denied, UsageError
from crews.records import audit, rights, runs
from crews.records.chains import Tell, Wake, hand_up, settle, untold
from crews.records.questions import Decision, ReviewRow
from crews.records.reviews import get_review, read_review, same_question
from crews.records.store import Store, dump
from crews.records.tables import reviews
from crews.records.users import Decider
from crews.teams.spec import Limits


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a human decides."""

    decision: Decision
    answer: str = ""
    edit: dict[str, Any] | None = None
    content_hash: str | None = None
    scope: Literal["", "run"] = ""


@dataclass(frozen=True, slots=True)
class _Hand:
    """By whom, when, and who is told."""

    by: Decider
    now: float
    tell: Tell
    wake: Wake


def decide(
    store: Store,
    review: str,
    decision: Decision,
    *,
    by: Decider | str,
    answer: str = "",
    edit: dict[str, Any] | None = None,
    content_hash: str | None = None,
    scope: Literal["", "run"] = "",
    only: bool = False,
    wake: Wake = runs.wake,
    tell: Tell = untold,
) -> ReviewRow:
    """Decide a review, once.

    Args:
        store: The journal.
        review: The review's id.
        decision: One of the review's `choices`. `escalate` decides nothing: the next stage of the chain is asked.
        by: Who decides; see `people.identify`. A name alone stands for a person only where there are no users.
        answer: The reason of a rejection, or the answer to a question; required for both.
        edit: What is to be done instead; required for `edit`.
        content_hash: Hash of what the human was shown; refused if the review is about something else.
        scope: `run`: the approval holds for this tool under these rules in all of the run; see `tools.standing`.
        only: Leave the run's other open reviews of the very same action alone; else they are decided as well, those
            that this person may decide.
        wake: Has the run go on; called in the transaction of the decision.
        tell: Told when the review was handed up, in the same transaction.

    Returns:
        The review as it now is; open, after `escalate`.

    Raises:
        UsageError: unknown or decided review, a decision that it does not take, a missing reason.
        Denied: this person may not decide it. The attempt is recorded.
    """
    ruling = Ruling(decision, answer, edit, content_hash, scope)
    refused: CrewsError | None = None
    store.read_through(answer)
    with store.writing() as connection:
        hand = _Hand(_known(connection, by), time.time(), tell, wake)
        row = settle(connection, read_review(connection, review), hand.now, tell, wake)
        try:
            _check(connection, row, ruling, hand)
        except CrewsError as error:
            refused = error
            if isinstance(error, Denied):
                _record_refusal(connection, row, ruling, hand.by, error)
        else:
            _decide_all(connection, row, ruling, hand, only=only)
    if refused is not None:
        raise refused
    return get_review(store, review)


def _known(connection: Connection, by: Decider | str) -> Decider:
    """A name alone is somebody only where there are no users; with users, `rights` refuses it."""
    if isinstance(by, str):
        by = Decider(by, frozenset(), every_role=True, signed_in="local")
    return rights.current(connection, by)


def _decide_all(
    connection: Connection, row: ReviewRow, ruling: Ruling, hand: _Hand, *, only: bool
) -> None:
    first, *others = (row,) if only else same_question(connection, row)
    _write(connection, first, ruling, hand)
    for other in others:
        other = settle(connection, other, hand.now, hand.tell, hand.wake)
        takes = other.state == "open" and ruling.decision in other.choices
        if takes and rights.refusal(connection, other, hand.by, hand.now) is None:
            # Where other rules ask, which nobody was shown, the approval is of that one call.
            shown = (other.rule, other.subject) == (first.rule, first.subject)
            _write(connection, other, ruling if shown else replace(ruling, scope=""), hand)


def _write(connection: Connection, row: ReviewRow, ruling: Ruling, hand: _Hand) -> None:
    by = hand.by
    if ruling.decision == "escalate":
        hand_up(
            connection, row, hand.now, by=by.name, signed_in=by.signed_in, why=ruling.answer,
            tell=hand.tell,
        )  # fmt: skip
        return
    values: dict[str, Any] = {
        "state": "decided", "decision": ruling.decision, "answer": ruling.answer,
        "edit": None if ruling.edit is None else dump(ruling.edit), "decided_by": by.name,
        "decided_at": hand.now, "signed_in": by.signed_in, "scope": ruling.scope,
        "claimed_by": "", "claimed_until": None, "remind_at": None,
    }  # fmt: skip
    connection.execute(update(reviews).where(reviews.c.id == row.id).values(**values))
    hand.wake(connection, row.run)
    body: dict[str, JsonValue] = {
        "review": row.id, "decision": ruling.decision, "by": by.name, "signed_in": by.signed_in,
        "role": row.role, "edited": ruling.edit is not None, "scope": ruling.scope,
    }  # fmt: skip
    audit.append(
        connection,
        row.run,
        "review_decided",
        body,
        contents={"answer": ruling.answer},
        keyed={"content_hash": row.content_hash},
    )


def _record_refusal(
    connection: Connection, row: ReviewRow, ruling: Ruling, by: Decider, why: Denied
) -> None:
    body: dict[str, JsonValue] = {
        "review": row.id, "decision": ruling.decision, "by": by.name, "signed_in": by.signed_in,
        "role": row.role, "why": why.what,
    }  # fmt: skip
    audit.append(connection, row.run, "decision_refused", body)


# -- what is refused ------------------------------------------------------------------------------


def _check(connection: Connection, row: ReviewRow, ruling: Ruling, hand: _Hand) -> None:
    if row.state != "open":
        by = f" by {row.decided_by}: {row.decision}" if row.decided_by else ""
        raise UsageError(
            f"review `{row.id}` is {row.state}{by}", hint=f"`crews inbox show {row.id}`"
        )
    if denied := rights.refusal(connection, row, hand.by, hand.now):
        raise denied
    if ruling.decision not in row.choices:
        raise UsageError(
            f"review `{row.id}` cannot be decided with `{ruling.decision}`",
            hint=f"it takes: {', '.join(row.choices)}",
        )
    if ruling.content_hash is not None and ruling.content_hash != row.content_hash:
        raise UsageError(f"review `{row.id}` is not about what you were shown; look again",
                         hint=f"`crews inbox show {row.id}`")  # fmt: skip
    _check_scope(row, ruling)
    _check_words(row, ruling)
    if ruling.decision == "edit":
        _check_edit(row, ruling.edit)


def _check_scope(row: ReviewRow, ruling: Ruling) -> None:
    if ruling.scope and (ruling.decision, row.kind) != ("approve", "action"):
        raise UsageError("only the approval of an action can hold for the whole run",
                         hint="leave --for-run out")  # fmt: skip


def _check_words(row: ReviewRow, ruling: Ruling) -> None:
    """Some decisions say nothing without a text."""
    decision, answer = ruling.decision, ruling.answer
    if decision == "reject" and row.kind != "budget" and not answer.strip():
        raise UsageError("a rejection needs a reason: the agent is told what to do better",
                         hint="give it with --reason \"...\"")  # fmt: skip
    if decision == "answer" and not answer.strip():
        raise UsageError("the answer is empty")
    if decision == "answer" and row.kind == "unknown" and answer not in {"done", "not done"}:
        raise UsageError("say whether it happened: `done` or `not done`")


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
