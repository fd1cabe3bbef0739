"""Who is asked next, and when? A chain's stages in order, each with its time; silence ends in a denial.

A stage's time begins when the review comes to it: whoever is asked has the whole of it, however late the
review was handed up. So a sweep moves a review by one stage at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import JsonValue
from sqlalchemy import Connection, select, update

from crews.records import audit, runs
from crews.records.questions import Decision, ReviewRow
from crews.records.reviews import choices, read_review
from crews.records.store import Store, dump
from crews.records.tables import reviews
from crews.teams.spec import Chain, PolicySpec, Stage

DEADLINE = "the deadline"
"""Who has decided where nobody did; no person can have this name."""
UNANSWERED = "nobody answered in time, so this was denied"
BATCH = 100
"""Reviews that one transaction of a sweep settles: nobody else waits long for the lock."""

Tell = Callable[[Connection, ReviewRow, str], object]
"""Told in the transaction: `review_reminder`, `review_handed_up` or `review_decided`."""
Wake = Callable[[Connection, str], object]
"""Has the run go on, in the transaction of the decision."""


def untold(connection: Connection, review: ReviewRow, kind: str) -> None:
    """Tell nobody."""
    del connection, review, kind


def for_rule(policy: PolicySpec, rule_names: Sequence[str]) -> tuple[tuple[Stage, ...], bool]:
    """Who is asked about a review that these rules have caused.

    Args:
        policy: The team's policy.
        rule_names: The rules that ask, the first one first; names that are no rule count for nothing.

    Returns:
        The stages of the first rule that names a chain, else of the chain `default`, else none: the review then
        waits for as long as it takes. A stage's people decide together with the `role` of each rule whose own
        chain names nobody. And whether any of the rules wants four eyes.
    """
    rules = [rule for name in rule_names for rule in policy.rules if rule.name == name]
    named = next((rule.chain for rule in rules if rule.chain), "")
    chain = policy.chain(named) or policy.chain("")
    own = [rule.role for rule in rules if rule.role and not _names_people(policy.chain(rule.chain))]
    stages = tuple(_joined(stage, own) for stage in (chain.stages if chain else ()))
    return stages, any(rule.four_eyes for rule in rules)


def _names_people(chain: Chain | None) -> bool:
    return chain is not None and any(stage.role for stage in chain.stages)


def _joined(stage: Stage, roles: Sequence[str]) -> Stage:
    """The chain of one rule does not speak for the people of another."""
    if not stage.role:
        return stage  # it asks whom the review names, and those are all of them
    return stage.model_copy(update={"role": ", ".join(dict.fromkeys((stage.role, *roles)))})


def opening(stages: tuple[Stage, ...], role: str, now: float) -> dict[str, Any]:
    """The columns of a review that begins this chain; `role`: whom its rule names."""
    waits = {"stage": 0, "role": role, "due_at": None, "remind_at": None}
    begun = _place(stages, 0, role, now) if stages else waits
    return {"chain": dump([s.model_dump(mode="json") for s in stages]), **begun}


def _place(stages: Sequence[Stage], stage: int, role: str, now: float) -> dict[str, Any]:
    station = stages[stage]
    due = now + station.within
    return {
        "stage": stage,
        # A stage that names nobody leaves it to whoever could decide before: silence loosens nothing.
        "role": station.role or role,
        "due_at": due,
        "remind_at": _reminder(station, now, due),
    }


def _reminder(station: Stage, now: float, due: float) -> float | None:
    """The next reminder; None where the stage is over by then."""
    if station.remind is None or now + station.remind >= due:
        return None
    return now + station.remind


def settle(
    connection: Connection, row: ReviewRow, now: float, tell: Tell = untold, wake: Wake = runs.wake
) -> ReviewRow:
    """Do what is due to one review by `now`: remind, hand it up, or deny it. Twice does no more than once."""
    if row.state != "open":
        return row
    if row.due_at is not None and row.due_at <= now:
        if row.stage + 1 < len(row.stages):
            return hand_up(connection, row, now, by=DEADLINE, tell=tell)
        return _deny(connection, row, now, tell, wake)
    if row.remind_at is not None and row.remind_at <= now:
        return _remind(connection, row, now, tell)
    return row


def hand_up(
    connection: Connection, row: ReviewRow, now: float, *, by: str, signed_in: str = "",
    why: str = "", tell: Tell = untold,
) -> ReviewRow:  # fmt: skip
    """Give an open review to the next stage of its chain; there must be one. A claim ends with its stage."""
    stages = row.stages
    to = row.stage + 1
    values = _place(stages, to, row.role, now) | {
        "allowed": dump(list(choices(row.kind, more_stages=to + 1 < len(stages)))),
        "claimed_by": "",
        "claimed_until": None,
    }
    body: dict[str, JsonValue] = {
        "review": row.id, "by": by, "signed_in": signed_in, "from": row.stage, "to": to,
        "from_role": row.role, "to_role": values["role"],
    }  # fmt: skip
    row = _change(connection, row, values)
    audit.append(connection, row.run, "review_handed_up", body, contents={"why": why})
    tell(connection, row, "review_handed_up")
    return row


def _remind(connection: Connection, row: ReviewRow, now: float, tell: Tell) -> ReviewRow:
    due = row.due_at or now
    row = _change(connection, row, {"remind_at": _reminder(row.stages[row.stage], now, due)})
    body: dict[str, JsonValue] = {"review": row.id, "stage": row.stage, "role": row.role}
    audit.append(connection, row.run, "review_reminder", body)
    tell(connection, row, "review_reminder")
    return row


def _deny(
    connection: Connection, row: ReviewRow, now: float, tell: Tell, wake: Wake
) -> ReviewRow:  # fmt: skip
    """The last stage is over: refuse, or end the run where a review knows no refusal."""
    decision: Decision = "reject" if "reject" in row.choices else "stop"
    values: dict[str, Any] = {
        "state": "decided", "decision": decision, "answer": UNANSWERED, "decided_by": DEADLINE,
        "decided_at": now, "claimed_by": "", "claimed_until": None, "remind_at": None,
    }  # fmt: skip
    row = _change(connection, row, values)
    body: dict[str, JsonValue] = {
        "review": row.id, "decision": decision, "by": DEADLINE, "signed_in": "", "role": row.role,
        "edited": False, "scope": "",
    }  # fmt: skip
    wake(connection, row.run)
    audit.append(
        connection,
        row.run,
        "review_decided",
        body,
        contents={"answer": UNANSWERED},
        keyed={"content_hash": row.content_hash},
    )
    tell(connection, row, "review_decided")
    return row


def _change(connection: Connection, row: ReviewRow, values: dict[str, Any]) -> ReviewRow:
    connection.execute(update(reviews).where(reviews.c.id == row.id).values(**values))
    return replace(row, **values)


def sweep(
    store: Store, now: float, tell: Tell = untold, wake: Wake = runs.wake
) -> tuple[ReviewRow, ...]:
    """Do what is due to every open review: reminders, hand-ups, denials.

    Level-triggered: it looks at what is due now, whatever happened before, so that any process may call it, at
    any time, several at once. Where nothing is due it costs two look-ups in an index and takes no lock.

    Args:
        store: The journal.
        now: Seconds since the epoch.
        tell: Told of each step, in its transaction.
        wake: Has a run go on whose review was denied, in the same transaction.

    Returns:
        The reviews that changed, as they now are.
    """
    found = due(store, now)
    changed: list[ReviewRow] = []
    for start in range(0, len(found), BATCH):
        with store.writing() as connection:
            for name in found[start : start + BATCH]:
                row = read_review(connection, name)
                after = settle(connection, row, now, tell, wake)
                if after is not row:
                    changed.append(after)
    return tuple(changed)


def due(store: Store, now: float) -> tuple[str, ...]:
    """Ids of the open reviews to which something is due."""
    is_open = reviews.c.state == "open"
    # Two queries, each by its own index: an OR would read every open review on some databases.
    queries = [
        select(reviews.c.id).where(is_open, column <= now).order_by(column)
        for column in (reviews.c.due_at, reviews.c.remind_at)
    ]
    with store.reading() as connection:
        names = [name for query in queries for name in connection.execute(query).scalars()]
    return tuple(dict.fromkeys(names))
