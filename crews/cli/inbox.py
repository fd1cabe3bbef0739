"""Which questions wait for a human, what is each about, and how is one decided?"""

from __future__ import annotations

import json as jsonlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.common import Json, Resume, ReviewId, journal, pairs
from crews.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crews.records.rows import Decision, ReviewRow

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
    json: Json = False,
) -> None:
    """List what waits for you, oldest first."""
    if context.invoked_subcommand is not None:
        return
    from crews.cli.output import put, put_json
    from crews.records.inbox import list_reviews
    from crews.records.runs import get_run

    with journal() as (store, _):
        if run is not None:
            get_run(store, run)  # a typo is no empty list
        found = list_reviews(store, run=run, state=None if every else "open")
    if json:
        from crews.cli.shapes import review_shape

        put_json([review_shape(r) for r in found])
    else:
        put(review_table(found))


def review_table(found: Sequence[ReviewRow]) -> str:
    """Reviews as a table; a friendly line if there are none."""
    from crews.cli.output import moment, table
    from crews.plain import one_line

    if not found:
        return "Nothing waits for you."
    rows = [
        [r.id, r.kind.replace("_", " "), r.decision or r.state, moment(r.opened_at),
         one_line(r.rule, 30), one_line(r.title, 80)]
        for r in found
    ]  # fmt: skip
    lines = table(["review", "kind", "state", "since", "rule", "what"], rows)
    return f"{lines}\n\ncrews inbox show {found[0].id}"


@inbox_app.command("show")
def show(review: ReviewId, json: Json = False) -> None:
    """Show everything about a review, and how it can be decided."""
    from crews.cli.ending import commands
    from crews.cli.output import put_json
    from crews.cli.output import show as put_drawn
    from crews.cli.parts import choices_part, review_parts
    from crews.cli.render import parts_drawn, parts_text
    from crews.records.inbox import get_review
    from crews.records.runs import get_run

    with journal() as (store, _):
        row = get_review(store, review)
        parts = review_parts(row, get_run(store, row.run))
    if json:
        from crews.cli.shapes import review_shape

        put_json(review_shape(row))
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
def approve(review: ReviewId, resume: Resume = False, json: Json = False) -> None:
    """Let it happen."""
    _decide(review, "approve", resume=resume, as_json=json)


@inbox_app.command("reject")
def reject(
    review: ReviewId,
    reason: Annotated[str, typer.Option(help="Why; the agent is told.")] = "",
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Refuse it; the agent is told why."""
    _decide(review, "reject", text=reason, resume=resume, as_json=json)


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
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Let it happen another way; what you write is judged by policy again."""
    from crews.records.inbox import get_review

    with journal() as (store, _):
        row = get_review(store, review)
    wanted = _edit(row, given or [], files or [], drop or [], whole)
    _decide(review, "edit", edit=wanted, resume=resume, as_json=json)


def _edit(
    review: ReviewRow, given: list[str], files: list[str], drop: list[str], whole: str | None
) -> dict[str, Any]:
    from crews.cli.editing import as_object

    if not (given or files or drop or whole):
        raise UsageError("an edit needs what is to be done instead",
                         hint="--set NAME=VALUE, --file PATH=@LOCAL, --drop PATH or --json-edit @FILE")  # fmt: skip
    edit: dict[str, Any] = {} if whole is None else as_object(_text(whole))
    if review.kind == "change_set":
        edit |= _files_edit(files, drop)
    elif files or drop:
        raise UsageError(f"review `{review.id}` is not about changed files")
    return edit | _set(review, given, whole)


def _files_edit(files: list[str], drop: list[str]) -> dict[str, Any]:
    edit: dict[str, Any] = {}
    if drop:
        edit["drop"] = drop
    if files:
        edit["files"] = {path: _text(text) for path, text in pairs(files, "--file").items()}
    return edit


def _set(review: ReviewRow, given: list[str], whole: str | None) -> dict[str, Any]:
    """The named values, each of the type that it has now; for an action, with all the others."""
    from crews.cli.editing import limit_edit

    named = pairs(given, "--set")
    if not named:
        return {}
    if review.kind == "budget":
        return {k: v for name, value in named.items() for k, v in limit_edit(name, value).items()}
    if review.kind not in {"action", "unknown"}:
        hint = (
            "--file PATH=@LOCAL or --drop PATH"
            if review.kind == "change_set"
            else "--json-edit @FILE"
        )
        raise UsageError(
            f"`--set` does not fit a review of a {review.kind.replace('_', ' ')}", hint=hint
        )
    now: dict[str, Any] = review.about.get("arguments") or {}
    typed = {name: _typed(value, now.get(name)) for name, value in named.items()}
    return typed if whole is not None else {**now, **typed}


def _typed(text: str, now: object) -> Any:
    if isinstance(now, str):
        return text
    try:
        return jsonlib.loads(text)
    except ValueError:
        return text


def _text(source: str) -> str:
    """The text that `@FILE` or `@-` names."""
    if not source.startswith("@"):
        raise UsageError(f"`{source}` names no file", hint="write @FILE, or @- for stdin")
    if source == "@-":
        return sys.stdin.read()
    path = Path(source[1:])
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"the file cannot be read as text: {what}", where=str(path)) from None


def _decide(
    review: str,
    decision: Decision,
    *,
    text: str = "",
    edit: dict[str, Any] | None = None,
    resume: bool,
    as_json: bool,
) -> None:
    from crews import api
    from crews.cli.output import put_json, say

    row = api.decide(review, decision, reason=text, edit=edit)
    if resume:
        from crews.cli.driving import View
        from crews.cli.run import go_on

        go_on(row.run, View(as_json=as_json))
    if as_json:
        from crews.cli.shapes import review_shape

        put_json(review_shape(row))
        return
    say(f"review {review}: {decision} by {row.decided_by}\ngo on with: crews resume {row.run}")
