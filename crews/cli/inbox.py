"""Which questions wait for a human, what is each about, and how is one decided?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crews.cli.common import Json, Resume, ReviewId, journal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crews.records.questions import Decision, ReviewRow
    from crews.records.store import Store
    from crews.records.users import Decider
    from crews.settings import Settings

Only = Annotated[
    bool, typer.Option("--only", help="This call alone, not the others that wait for the same.")
]

inbox_app = typer.Typer(
    help="List what waits for you, look at it, decide it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(inbox_app, name="inbox")


@inbox_app.callback()
def inbox(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Decided reviews as well.")] = False,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Of one run only.")] = None,
    mine: Annotated[bool, typer.Option("--mine", help="Only what you may decide.")] = False,
    json: Json = False,
) -> None:
    """List what waits for a human, oldest first; `xN` marks one question that N calls wait for."""
    if context.invoked_subcommand is not None:
        return
    from crews.cli.output import put, put_json

    found = None if mine or run is not None else _glanced(every)
    if found is None:
        found = _found(every, run, mine)
    if json:
        from crews.cli.shapes import review_shape

        put_json([review_shape(r) for r in found])
    else:
        put(review_table(found))


def _glanced(every: bool) -> tuple[ReviewRow, ...] | None:
    """The reviews where a look at them is all that is to be done; else None."""
    from crews.records.glance import glance
    from crews.settings import load

    settings = load()
    if settings.audit.copies:
        return None
    return glance(settings.journal_url, **({} if every else {"state": "open"}))


def _found(every: bool, run: str | None, mine: bool) -> tuple[ReviewRow, ...]:
    from crews.records.inbox import list_reviews
    from crews.records.runs import get_run

    with journal() as (store, settings):
        if run is not None:
            get_run(store, run)  # a typo is no empty list
        found = list_reviews(store, run=run, state=None if every else "open")
        return _mine(store, settings, found) if mine else found


def _mine(store: Store, settings: Settings, found: tuple[ReviewRow, ...]) -> tuple[ReviewRow, ...]:
    from crews.records import rights

    now = time.time()
    open_ones = tuple(r for r in found if r.state == "open")
    return rights.mine(store, open_ones, _me(store, settings, "inbox --mine"), now)


def _me(store: Store, settings: Settings, about: str) -> Decider:
    from crews.answering import identified

    return identified(store, settings, about=about)


def review_table(found: Sequence[ReviewRow]) -> str:
    """Reviews as a table, one line a question; a friendly line if there are none."""
    from crews.cli.output import moment, table
    from crews.plain import one_line
    from crews.records.questions import claimed_by, group_key

    if not found:
        return "Nothing waits for you."
    groups: dict[tuple[str, str], list[ReviewRow]] = {}
    for review in found:
        groups.setdefault(group_key(review), []).append(review)
    now = time.time()
    rows = [
        [r.id + (f" x{len(group)}" if len(group) > 1 else ""), r.kind.replace("_", " "),
         r.decision or r.state, moment(r.opened_at), _until(r, now), one_line(r.role, 30),
         one_line(claimed_by(r, now), 30), one_line(r.rule, 30), one_line(r.title, 80)]
        for group in groups.values() for r in group[:1]
    ]  # fmt: skip
    head = ["review", "kind", "state", "since", "due", "role", "seen by", "rule", "what"]
    said = [i for i in range(len(head)) if i not in {4, 5, 6} or any(row[i] for row in rows)]
    lines = table([head[i] for i in said], [[row[i] for i in said] for row in rows])
    return f"{lines}\n\ncrews inbox show {found[0].id}"


def _until(review: ReviewRow, now: float) -> str:
    if review.due_at is None:
        return ""
    from crews.cli.parts import until

    return until(review, now)


@inbox_app.command("show")
def show(review: ReviewId, json: Json = False) -> None:
    """Show everything about a review, and how it can be decided."""
    from crews.cli.ending import commands
    from crews.cli.output import put_json
    from crews.cli.output import show as put_drawn
    from crews.cli.parts import Asked, choices_part, review_parts
    from crews.cli.render import parts_drawn, parts_text
    from crews.records import rights
    from crews.records.reviews import get_review, same_question
    from crews.records.runs import get_run

    with journal() as (store, _):
        row = get_review(store, review)
        may = rights.deciders(store, row)
        with store.reading() as connection:
            same = same_question(connection, row) if row.state == "open" else (row,)
        parts = review_parts(row, get_run(store, row.run), Asked.now(may, same))
    if json:
        from crews.cli.shapes import review_shape

        put_json(review_shape(row, may))
        return
    after = ""
    if row.state == "open":
        parts += (choices_part(row),)
        after = "\n" + "\n".join(line.strip() for line in commands(row)[1:])
    drawn = parts_drawn(parts)
    if after:
        from rich.console import Group
        from rich.text import Text

        drawn = Group(drawn, Text(after))
    put_drawn(parts_text(parts) + after, drawn)


@inbox_app.command("approve")
def approve(
    review: ReviewId,
    for_run: Annotated[
        bool,
        typer.Option("--for-run", help="And this tool under these rules, whatever its arguments."),
    ] = False,
    only: Only = False,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Let it happen."""
    scope = "run" if for_run else ""
    _decide(review, "approve", scope=scope, only=only, resume=resume, as_json=json)


@inbox_app.command("reject")
def reject(
    review: ReviewId,
    reason: Annotated[str, typer.Option(help="Why; the agent is told.")] = "",
    only: Only = False,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Refuse it; the agent is told why."""
    _decide(review, "reject", text=reason, only=only, resume=resume, as_json=json)


@inbox_app.command("escalate")
def escalate(
    review: ReviewId,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit log.")] = "",
    only: Only = False,
    json: Json = False,
) -> None:
    """Decide nothing: hand it to the next one in its chain, now."""
    _decide(review, "escalate", text=reason, only=only, resume=False, as_json=json)


@inbox_app.command("claim")
def claim(
    review: ReviewId,
    lasts: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long: 90s, 30m, 2h, 1d.")
    ] = "30m",
    json: Json = False,
) -> None:
    """Look at it alone: until you let go, or the time is over, nobody else decides it."""
    from crews.answering import waking
    from crews.cli.common import seconds
    from crews.cli.output import moment
    from crews.notify import teller
    from crews.records import claims

    with journal() as (store, settings):
        me = _me(store, settings, f"claim {review}")
        with waking(store, settings) as wake:
            row = claims.claim(
                store, review, by=me, lasts=seconds(lasts, "--for"), wake=wake,
                tell=teller(settings),
            )  # fmt: skip
    _told(row, f"review {review}: {row.claimed_by} looks at it until {moment(row.claimed_until)}",
          as_json=json)  # fmt: skip


@inbox_app.command("release")
def release(review: ReviewId, json: Json = False) -> None:
    """Let go of what you have claimed."""
    from crews.records import claims

    with journal() as (store, settings):
        row = claims.release(store, review, by=_me(store, settings, f"release {review}"))
    _told(row, f"review {review}: nobody looks at it now", as_json=json)


@inbox_app.command("answer")
def answer(
    review: ReviewId,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Your answer.")],
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Answer a question."""
    _decide(review, "answer", text=text, resume=resume, as_json=json)


@inbox_app.command("stop")
def stop(review: ReviewId, resume: Resume = False, json: Json = False) -> None:
    """End the run that asks."""
    _decide(review, "stop", resume=resume, as_json=json)


@inbox_app.command("edit")
def edit(
    review: ReviewId,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another argument, limit or field."),
    ] = None,
    files: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="PATH=@LOCAL", help="Another text of a changed file."),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Leave a changed file out."),
    ] = None,
    whole: Annotated[
        str | None,
        typer.Option("--json-edit", metavar="@FILE", help="The whole edit as JSON; @- is stdin."),
    ] = None,
    only: Only = False,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Let it happen another way; what you write is judged by policy again."""
    from crews.cli.edits import wanted_edit
    from crews.records.reviews import get_review

    with journal() as (store, _):
        row = get_review(store, review)
    wanted = wanted_edit(row, given or [], files or [], drop or [], whole)
    _decide(review, "edit", edit=wanted, only=only, resume=resume, as_json=json)


def _decide(
    review: str,
    decision: Decision,
    *,
    text: str = "",
    edit: dict[str, Any] | None = None,
    scope: Literal["", "run"] = "",
    only: bool = False,
    resume: bool,
    as_json: bool,
) -> None:
    from crews import api

    row = api.decide(review, decision, reason=text, edit=edit, scope=scope, only=only)
    if resume:
        from crews.cli.driving import View
        from crews.cli.run import go_on

        go_on(row.run, View(as_json=as_json))
    if row.state == "open":
        told = f"review {review}: handed to {row.role or 'the next stage of its chain'}"
    else:
        told = f"review {review}: {decision} by {row.decided_by}\n{_goes_on(row.run)}"
    _told(row, told, as_json=as_json)


def _goes_on(run: str) -> str:
    """Who goes on with the run now."""
    from crews.work import someone_works

    with journal() as (store, settings):
        if someone_works(store, settings):
            return f"a worker goes on with it; look on with: crews watch {run}"
    return f"go on with: crews resume {run}"


def _told(row: ReviewRow, text: str, *, as_json: bool) -> None:
    from crews.cli.output import put_json, say

    if as_json:
        from crews.cli.shapes import review_shape

        put_json(review_shape(row))
        return
    say(text)
