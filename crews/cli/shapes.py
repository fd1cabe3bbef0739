"""What does `--json` print? One frozen model for each kind; times ISO 8601, money US dollars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from crews.cli.output import iso

if TYPE_CHECKING:
    from crews.api import Result
    from crews.records.events import Event
    from crews.records.questions import ReviewRow
    from crews.records.rows import RunRow
    from crews.records.tokens import Token
    from crews.records.users import Person


class Shape(BaseModel):
    """Base of everything that is printed as JSON."""

    model_config = ConfigDict(frozen=True)


class RunShape(Shape):
    """A run."""

    id: str
    goal: str
    team: str
    status: str
    reason: str
    exit_code: int | None
    folder: str | None
    started_by: str
    autonomy: int
    observe: bool
    created_at: str | None
    started_at: str | None
    ended_at: str | None
    turns: int
    calls: int
    tokens: int
    cost_usd: float | None
    """None: a model was used whose price is unknown."""
    working_seconds: float
    applied: bool
    summary: str
    origin: str
    """What made it: `retry:RUN`, `fork:RUN@TURN`, `schedule:NAME`; empty: a person."""
    purged_at: str | None


class StageShape(Shape):
    """One station of a review's chain."""

    role: str
    within: float
    """Seconds."""
    remind: float | None


class ReviewShape(Shape):
    """A review."""

    id: str
    run: str
    kind: str
    address: str
    agent: str
    title: str
    subject: dict[str, JsonValue]
    content_hash: str
    rule: str
    reason: str
    role: str
    four_eyes: bool
    chain: list[StageShape]
    stage: int
    """Where in the chain it stands, from 0."""
    due_at: str | None
    """When the present stage ends; None: it waits for as long as it takes."""
    claimed_by: str
    claimed_until: str | None
    may_decide: list[str] | None = None
    """Users who may; None: not looked up, or the journal knows no users."""
    findings: list[JsonValue]
    brief: dict[str, JsonValue] | None
    brief_note: str
    choices: list[str]
    state: str
    decision: str
    answer: str
    edit: dict[str, JsonValue] | None
    decided_by: str
    signed_in: str
    """How the decider was known: `local`, `login` or `token`."""
    scope: str
    """`run`: the approval holds for the whole run."""
    opened_at: str | None
    decided_at: str | None


class UserShape(Shape):
    """A user."""

    name: str
    roles: list[str]
    login: str
    active: bool
    created_at: str | None


class TokenShape(Shape):
    """A token, without what it is."""

    id: str
    user: str
    label: str
    state: str
    """`active`, `expired` or `revoked`."""
    created_at: str | None
    expires_at: str | None
    """None: never."""
    used_at: str | None


class MeShape(Shape):
    """Who is at work here."""

    name: str
    signed_in: str
    roles: list[str]
    every_role: bool


class UsageShape(Shape):
    """What a run took."""

    turns: int
    calls: int
    tokens: int
    working_seconds: float


class ResultShape(Shape):
    """The last line of `run --json`."""

    type: Literal["result"] = "result"
    status: str
    exit_code: int
    run_id: str
    reason: str
    cost_usd: float | None
    usage: UsageShape
    reviews: list[ReviewShape]
    files: list[dict[str, JsonValue]]
    report: str


class ProblemShape(Shape):
    """One mistake in a team's files."""

    file: str
    line: int
    column: int
    length: int = 1
    severity: str
    message: str
    source_line: str = ""
    hint: str = ""


class ErrorShape(Shape):
    """What went wrong."""

    type: Literal["error"] = "error"
    error: str
    """Name of the error's class."""
    what: str
    where: str
    hint: str
    exit_code: int
    problems: list[ProblemShape] = []
    """What is wrong in a team's files, each with its place."""
    notes: list[str] = []


def run_shape(run: RunRow) -> RunShape:
    """A run for machines."""
    asked = run.asked
    return RunShape(
        id=run.id,
        goal=run.goal,
        team=run.team_name,
        status=run.status,
        reason=run.reason,
        exit_code=run.exit_code,
        folder=asked.source,
        started_by=asked.started_by,
        autonomy=asked.autonomy,
        observe=asked.observe,
        created_at=iso(run.created_at),
        started_at=iso(run.started_at),
        ended_at=iso(run.ended_at),
        turns=run.turns,
        calls=run.calls,
        tokens=run.tokens,
        cost_usd=run.money / 1e9 if run.money_known else None,
        working_seconds=run.working_seconds,
        applied=bool(run.applied_hash),
        summary=run.summary,
        origin=run.origin,
        purged_at=iso(run.purged_at),
    )


def review_shape(review: ReviewRow, may_decide: tuple[str, ...] | None = None) -> ReviewShape:
    """A review for machines; `may_decide`: the users who may."""
    brief = review.briefing
    return ReviewShape(
        id=review.id,
        run=review.run,
        kind=review.kind,
        address=review.address,
        agent=review.agent,
        title=review.title,
        subject=review.about,
        content_hash=review.content_hash,
        rule=review.rule,
        reason=review.reason,
        role=review.role,
        four_eyes=review.four_eyes,
        chain=[StageShape(**s.model_dump()) for s in review.stages],
        stage=review.stage,
        due_at=iso(review.due_at) if review.state == "open" else None,
        claimed_by=review.claimed_by,
        claimed_until=iso(review.claimed_until),
        may_decide=None if may_decide is None else list(may_decide),
        findings=json.loads(review.findings),
        brief=None if brief is None else brief.model_dump(mode="json"),
        brief_note=review.brief_note,
        choices=list(review.choices),
        state=review.state,
        decision=review.decision,
        answer=review.answer,
        edit=review.edited,
        decided_by=review.decided_by,
        signed_in=review.signed_in,
        scope=review.scope,
        opened_at=iso(review.opened_at),
        decided_at=iso(review.decided_at),
    )


def user_shape(person: Person) -> UserShape:
    """A user for machines."""
    return UserShape(
        name=person.name,
        roles=sorted(person.roles),
        login=person.login,
        active=person.active,
        created_at=iso(person.created_at),
    )


def token_shape(token: Token, now: float) -> TokenShape:
    """A token for machines, as it stands at that time."""
    return TokenShape(
        id=token.id,
        user=token.user,
        label=token.label,
        state=token.state(now),
        created_at=iso(token.created_at),
        expires_at=iso(token.expires_at),
        used_at=iso(token.used_at),
    )


def result_shape(result: Result) -> ResultShape:
    """Where a run stands, for machines."""
    used = result.usage
    return ResultShape(
        status=result.status,
        exit_code=result.exit_code,
        run_id=result.run_id,
        reason=result.reason,
        cost_usd=None if result.cost is None else float(result.cost),
        usage=UsageShape(
            turns=used.turns,
            calls=used.calls,
            tokens=used.tokens,
            working_seconds=used.working_seconds,
        ),
        reviews=[review_shape(r) for r in result.reviews],
        files=files_shape(result),
        report=result.report,
    )


def files_shape(result: Result) -> list[dict[str, JsonValue]]:
    """The files of a result's change set."""
    return [
        {"path": f.path, "kind": f.kind, "additions": f.additions, "deletions": f.deletions}
        for f in result.change_set.files
    ]


def event_shape(event: Event) -> dict[str, Any]:
    """One event; fields that say nothing about its kind are left out."""
    fields: dict[str, Any] = {
        "thread": event.thread, "agent": event.agent, "turn": event.turn, "place": event.place,
        "tool": event.tool, "state": event.state, "text": event.text, "review": event.review,
        "tokens": event.tokens, "run_tokens": event.run_tokens,
    }  # fmt: skip
    silent = {"turn": -1, "place": -1, "tokens": 0, "run_tokens": 0}
    said = {k: v for k, v in fields.items() if v != silent.get(k, "")}
    if event.kind == "turn_ended":
        said["cost_usd"] = None if event.money is None else event.money / 1e9
        said["run_cost_usd"] = event.run_money / 1e9
    return {
        "type": "event", "kind": event.kind, "run_id": event.run, "at": iso(event.at), **said,
    }  # fmt: skip
