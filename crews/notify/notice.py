"""What are people told of a review or a run? Enough to know whether to look; never a way to decide."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from crews.plain import one_line
from crews.records.questions import ReviewRow
from crews.records.rows import RunRow
from crews.safety.redact import Redactor
from crews.settings import NotifyEvent, Settings

GOAL, TITLE, REASON = 300, 200, 300
"""Characters of a text that are told."""

_HEADLINES: dict[NotifyEvent, str] = {
    "review_opened": "a review waits",
    "review_reminder": "a review waits still",
    "review_handed_up": "a review was handed up",
    "run_ended": "a run has ended",
}


class Notice(BaseModel):
    """One event, as it is sent. No arguments, no diff, no file's contents, no token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: NotifyEvent
    run: str
    team: str
    goal: str
    link: str
    """Address of the page where one signs in and looks; without a `public_url` the command that shows it."""
    review: str = ""
    kind: str = ""
    """What the review is about: `action`, `change_set` ..."""
    title: str = ""
    rule: str = ""
    role: str = ""
    """Who is asked; empty: anybody."""
    due_at: str | None = None
    """When the review is handed up or denied: ISO 8601, UTC."""
    status: str = ""
    """Of a run that ended: completed, failed or stopped."""
    reason: str = ""


def of_review(
    event: NotifyEvent, review: ReviewRow, run: RunRow, settings: Settings, redactor: Redactor
) -> Notice:
    """What is told of a review."""
    return Notice(
        event=event,
        run=run.id,
        team=_told(run.team_name, 100, redactor),
        goal=_told(run.goal, GOAL, redactor),
        link=_link(settings, f"reviews/{review.id}", f"crews inbox show {review.id}"),
        review=review.id,
        kind=review.kind,
        title=_told(review.title, TITLE, redactor),
        rule=_told(review.rule, 100, redactor),
        role=_told(review.role, 100, redactor),
        due_at=None if review.due_at is None else _iso(review.due_at),
    )


def of_run(run: RunRow, settings: Settings, redactor: Redactor) -> Notice:
    """What is told of a run that has ended."""
    return Notice(
        event="run_ended",
        run=run.id,
        team=_told(run.team_name, 100, redactor),
        goal=_told(run.goal, GOAL, redactor),
        link=_link(settings, f"runs/{run.id}", f"crews runs show {run.id}"),
        status=run.status,
        reason=_told(run.reason, REASON, redactor),
    )


def a_test(settings: Settings) -> Notice:
    """A notice that says that it is only a test."""
    return Notice(
        event="review_opened",
        run="test",
        team="test",
        goal="See whether notifications arrive",
        link=_link(settings, "", "crews inbox"),
        review="test-1",
        kind="question",
        title="This is a test: nothing waits for you",
    )


def headline(notice: Notice) -> str:
    """One line for a chat or the subject of a mail."""
    status = f": {notice.status}" if notice.status else ""
    return f"crews: {_HEADLINES[notice.event]} ({notice.review or notice.run}){status}"


def words(notice: Notice) -> str:
    """The notice for people. What a model may have written can neither link anywhere nor call anybody."""
    about = {
        "what": notice.title,
        "kind": notice.kind.replace("_", " "),
        "rule": notice.rule,
        "for": notice.role,
        "until": notice.due_at or "",
        "why": notice.reason,
        "goal": notice.goal,
        "team": notice.team,
        "run": notice.run,
    }
    lines = [f"{name}: {inert(text)}" for name, text in about.items() if text]
    return "\n".join([*lines, notice.link])


def inert(text: str) -> str:
    """Text in which chats find no link, no mention and no markup of their own.

    >>> inert("<!here> https://evil.example [Approve](https://evil.example)")
    '‹!here› https: //evil.example (Approve)(https: //evil.example)'
    """
    table = str.maketrans({"<": "‹", ">": "›", "@": "＠", "[": "(", "]": ")"})
    return text.translate(table).replace("://", ": //").replace("www.", "www .")


def _told(text: str, width: int, redactor: Redactor) -> str:
    # Redacted before it is cut: half a secret is not known for one.
    return one_line(redactor.outward(text), width)


def _link(settings: Settings, place: str, command: str) -> str:
    base = settings.public_url.rstrip("/")
    return f"{base}/{place}" if base else command


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
