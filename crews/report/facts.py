"""Who did what in a run, what was asked, decided and refused, and what did it take?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crews.records.forks import differences
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.questions import Brief, Decision, ReviewKind, ReviewRow
from crews.records.rows import (
    CallRow,
    CallState,
    HandOver,
    RunRow,
    RunStatus,
    ThreadKind,
    ThreadRow,
)
from crews.records.runs import check_kept, get_run
from crews.records.store import Store
from crews.report.money import Money


@dataclass(frozen=True, slots=True)
class Evidence:
    """A call that an agent names as evidence."""

    address: str
    tool: str
    state: CallState | None
    """None: there is no such call."""


@dataclass(frozen=True, slots=True)
class Work:
    """One thread: what an agent was given, handed over and used."""

    path: str
    kind: ThreadKind
    agent: str
    task: str
    step: str
    model: str
    state: str
    handover: HandOver | None
    said: str
    """The hand-over's summary: the agent's own words."""
    evidence: tuple[Evidence, ...]
    flags: tuple[str, ...]
    """What code found wrong with the hand-over."""
    turns: int
    calls: int
    tokens: int
    money: Money
    working_seconds: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One review and what became of it."""

    id: str
    kind: ReviewKind
    agent: str
    title: str
    rule: str
    state: str
    decision: Decision | None
    by: str
    answer: str
    waited: float | None
    """Seconds until the decision; None: there is none yet."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One call that was not let happen."""

    address: str
    agent: str
    tool: str
    rule: str
    reason: str
    by: str
    """Who refused it; empty: policy."""


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file of the change set that was last put to a review."""

    path: str
    kind: str
    additions: int
    deletions: int
    edited: bool = False
    """Did the human put another text in its place? The counts are those of the team's text."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a run took."""

    turns: int
    calls: int
    tokens: int
    money: Money
    working_seconds: float
    waiting_seconds: float
    """Seconds in which at least one review was open that has been decided since."""
    delegations: int
    at_once: int
    """Most delegations that were open at the same time."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did, as its rows tell it."""

    run: str
    goal: str
    team: str
    status: RunStatus
    reason: str
    started_by: str
    created_at: float
    origin: str
    """What made the run, in words; empty: a person did."""
    differences: tuple[str, ...]
    """Why a fork's files were not quite those that there were."""
    summary: str
    """The team's own words."""
    work: tuple[Work, ...]
    asked: tuple[Asked, ...]
    refusals: tuple[Refusal, ...]
    files: tuple[ChangedFile, ...]
    delivery: str
    """What became of the change set, in a few words; empty: there is none."""
    took: Took
    open_questions: tuple[str, ...]


def report(store: Store, run: str) -> Report:
    """The facts of a run, whatever its state.

    Raises:
        UsageError: there is no such run, or its contents were purged.
    """
    row = get_run(store, run)
    check_kept(row)
    journal = Journal(store, run, row.epoch)
    threads, calls = journal.threads(), journal.calls()
    reviews = list_reviews(store, run=run, state=None)
    work = tuple(_work(t, calls) for t in threads)
    files = _files(reviews)
    return Report(
        run=run,
        goal=row.goal,
        team=row.team_name,
        status=row.status,
        reason=row.reason,
        started_by=row.asked.started_by,
        created_at=row.created_at,
        origin=_origin(row.origin),
        differences=differences(store, run) if row.origin.startswith("fork:") else (),
        summary=row.summary,
        work=work,
        asked=tuple(_asked(r) for r in reviews),
        refusals=_refusals(threads, calls, reviews),
        files=files,
        delivery=_delivery(row, files),
        took=_took(row, threads, reviews),
        open_questions=_open_questions(work),
    )


def _origin(origin: str) -> str:
    kind, _, of = origin.partition(":")
    run, _, turn = of.partition("@")
    if kind == "fork":
        return f"forked from run {run} at turn {turn}"
    return f"run {run} made again" if kind == "retry" else origin


def _work(thread: ThreadRow, calls: Sequence[CallRow]) -> Work:
    handover = thread.outcome
    named = handover.evidence if handover else ()
    return Work(
        path=thread.path,
        kind=thread.kind,
        agent=thread.agent,
        task=thread.task,
        step=thread.step,
        model=thread.model,
        state=thread.state,
        handover=handover,
        said=in_words(thread),
        evidence=tuple(_evidence(thread.path, name, calls) for name in named),
        flags=thread.flagged,
        turns=thread.turns,
        calls=thread.calls,
        tokens=thread.tokens,
        money=Money(thread.money, thread.money_known),
        working_seconds=thread.working_seconds,
    )


def in_words(thread: ThreadRow) -> str:
    """What an agent says at its end; a brief's fields one a line. Empty: it has not ended."""
    summary = thread.outcome.summary if thread.outcome else ""
    if thread.kind != "brief":
        return summary
    try:
        brief = Brief.model_validate_json(summary)
    except ValueError:
        return summary
    lines = [brief.what, brief.why, f"Risk: {brief.risk}. Recommends: {brief.recommendation}"]
    lines += [f"Checked: {entry}" for entry in brief.checked]
    return "\n\n".join(lines + [f"Could not know: {entry}" for entry in brief.unknown])


def _evidence(path: str, named: str, calls: Sequence[CallRow]) -> Evidence:
    address = named if ":" in named else f"{path}:{named}"
    found = next((c for c in calls if c.address == address), None)
    if found is None:
        return Evidence(named, "", None)
    return Evidence(found.address, found.tool, found.state)


def _asked(review: ReviewRow) -> Asked:
    waited = None if review.decided_at is None else review.decided_at - review.opened_at
    return Asked(
        id=review.id,
        kind=review.kind,
        agent=review.agent,
        title=review.title,
        rule=review.rule,
        state=review.state,
        decision=review.decision or None,
        by=review.decided_by,
        answer=review.answer,
        waited=waited,
    )


def _refusals(
    threads: Sequence[ThreadRow], calls: Sequence[CallRow], reviews: Sequence[ReviewRow]
) -> tuple[Refusal, ...]:
    agents = {t.path: t.agent for t in threads}
    asked = {r.id: r for r in reviews if r.decision == "reject"}
    return tuple(
        _refusal(c, agents.get(c.path, ""), asked.get(c.review))
        for c in calls
        if c.state == "denied" or c.ruling == "deny"
    )


def _refusal(call: CallRow, agent: str, review: ReviewRow | None) -> Refusal:
    return Refusal(
        address=call.address,
        agent=agent,
        tool=call.tool,
        rule=call.rule,
        reason=review.answer if review else call.reason,
        by=review.decided_by if review else "",
    )


def _files(reviews: Sequence[ReviewRow]) -> tuple[ChangedFile, ...]:
    sets = [r for r in reviews if r.kind == "change_set" and r.state != "void"]
    files: list[dict[str, Any]] = sets[-1].about.get("files", []) if sets else []
    edit: dict[str, Any] = (sets[-1].edited or {}) if sets else {}
    return tuple(
        ChangedFile(
            path=str(f.get("path", "")),
            kind=str(f.get("kind", "")),
            additions=int(f.get("additions") or 0),
            deletions=int(f.get("deletions") or 0),
            edited=f.get("path") in edit.get("files", {}),
        )
        for f in files
        if f.get("path") not in edit.get("drop", [])
    )


def _delivery(run: RunRow, files: Sequence[ChangedFile]) -> str:
    if run.applied_hash:
        return "applied"
    if run.approved_hash:
        return "approved, not applied"
    return "not approved" if files else ""


def _took(run: RunRow, threads: Sequence[ThreadRow], reviews: Sequence[ReviewRow]) -> Took:
    given = [t for t in threads if t.kind == "delegation"]
    # What a fork took over was decided before it began.
    decided = [
        (r.opened_at, r.decided_at)
        for r in reviews
        if r.decided_at is not None and r.decided_at >= run.created_at
    ]
    return Took(
        turns=run.turns,
        calls=run.calls,
        tokens=run.tokens,
        money=Money(run.money, run.money_known),
        working_seconds=run.working_seconds,
        waiting_seconds=covered(decided),
        delegations=len(given),
        at_once=most_at_once([(t.started_at, t.ended_at) for t in given]),
    )


def _open_questions(work: Sequence[Work]) -> tuple[str, ...]:
    """Each question once, in the order in which it came up."""
    found = (q for w in work if w.handover for q in w.handover.open_questions)
    return tuple(dict.fromkeys(q.strip() for q in found if q.strip()))


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Seconds that the spans cover together; what overlaps counts once."""
    seconds, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        seconds += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return seconds


def most_at_once(spans: Sequence[tuple[float, float | None]]) -> int:
    """Most spans that share a moment; an end of None has not come yet."""
    edges = [(start, 1) for start, _ in spans]
    edges += [(end, -1) for _, end in spans if end is not None]
    most = now = 0
    for _, step in sorted(edges):  # at the same moment an end comes before a start
        now += step
        most = max(most, now)
    return most
