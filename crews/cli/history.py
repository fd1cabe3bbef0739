"""What did runs do, how is one stopped, and how is its work seen, taken over and taken back?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli.common import Json, RunId, journal
from crews.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crews.records.rows import RunRow, RunStatus
    from crews.records.store import Store

runs_app = typer.Typer(
    help="List runs, or look at one.", invoke_without_command=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(runs_app, name="runs")
    for command in (stop, diff, apply, undo):
        app.command(command.__name__)(command)


@runs_app.callback()
def runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    status: Annotated[
        str | None,
        typer.Option(help="queued, running, waiting, completed, failed or stopped."),
    ] = None,
    json: Json = False,
) -> None:
    """List runs, newest first."""
    if context.invoked_subcommand is not None:
        return
    from crews.cli.output import put, put_json
    from crews.records.runs import list_runs

    with journal() as (store, _):
        found = list_runs(store, limit=limit, status=_status(status))
        left = left_alone(store, found)
    if json:
        from crews.cli.shapes import run_shape

        put_json([run_shape(r) for r in found])
    else:
        put(run_table(found, left))


def _status(text: str | None) -> RunStatus | None:
    from typing import get_args

    from crews.records.rows import RunStatus

    choices: tuple[RunStatus, ...] = get_args(RunStatus)
    if text is None:
        return None
    for choice in choices:
        if choice == text:
            return choice
    raise UsageError(f"no run has the status `{text}`", hint=", ".join(choices))


def left_alone(store: Store, found: Sequence[RunRow]) -> frozenset[str]:
    """Ids of runs that nobody works on although they have not ended: interrupted, or their process died."""
    from crews.records.workers import is_alive

    return frozenset(
        r.id
        for r in found
        if (r.status == "queued" and r.reason == "interrupted")
        or (r.status == "running" and not is_alive(store, r.owner))
    )


def run_table(found: Sequence[RunRow], left: frozenset[str] = frozenset()) -> str:
    """Runs as a table, those that were left alone marked; a friendly line if there are none."""
    from crews.cli.output import moment, table
    from crews.plain import one_line
    from crews.report import Money

    if not found:
        return 'There are no runs yet. Start one: crews run "..."'
    rows = [
        [r.id, "interrupted" if r.id in left else r.status, moment(r.created_at), f"{r.tokens:,}",
         str(Money(r.money, r.money_known)), one_line(r.team_name, 20),
         one_line(r.goal, 60) if r.purged_at is None else "(purged)"]
        for r in found
    ]  # fmt: skip
    head = ["run", "status", "asked for", "tokens", "money", "team", "goal"]
    return table(head, rows, right=frozenset({3, 4}))


@runs_app.command("show")
def show(run: RunId, json: Json = False) -> None:
    """Show what happened in a run, step by step."""
    from crews.cli.output import has_colour, moment, put_json
    from crews.cli.output import show as put_drawn
    from crews.cli.render import timeline_drawn, timeline_text
    from crews.plain import one_line
    from crews.records.runs import get_run
    from crews.report import timeline

    with journal() as (store, _):
        row, moments = get_run(store, run), timeline(store, run)
        left = left_alone(store, [row])
    if json:
        from crews.cli.shapes import run_shape

        put_json({"run": run_shape(row), "timeline": list(moments)})
        return
    head = run_table([row], left) + (
        f"\n{row.status}: {one_line(row.reason, 400)}" if row.reason else ""
    )
    if row.purged_at is not None:
        head += f"\nits contents were purged on {moment(row.purged_at)}"
    text = f"{head}\n\n{timeline_text(moments)}".rstrip()
    if not has_colour(sys.stdout):
        put_drawn(text, "")
        return
    from rich.console import Group
    from rich.text import Text

    put_drawn(text, Group(Text(head), Text(""), timeline_drawn(moments)))


@runs_app.command("report")
def report(run: RunId, json: Json = False) -> None:
    """Print a run's report in Markdown."""
    from crews.cli.ending import print_markdown
    from crews.cli.output import put_json
    from crews.report import markdown
    from crews.report import report as facts

    with journal() as (store, _):
        if json:
            put_json({"report": facts(store, run), "markdown": markdown(store, run)})
        else:
            print_markdown(markdown(store, run))


def stop(run: RunId, json: Json = False) -> None:
    """End a run: at its next step, or at once if nobody works on it."""
    from crews import api
    from crews.cli.output import put_json, say
    from crews.records.runs import ask_stop

    with journal() as (store, settings):
        row = ask_stop(store, run, by=api.who(settings, store))
    if json:
        from crews.cli.shapes import run_shape

        put_json(run_shape(row))
    elif row.status == "stopped":
        say(f"run {run} is stopped")
    else:
        say(f"run {run} will stop at its next step")


def diff(run: RunId, json: Json = False) -> None:
    """Print what a run changed, as a patch that `git apply` takes."""
    from crews import api
    from crews.cli.output import put_json, say
    from crews.cli.output import show as put_drawn
    from crews.cli.render import diff_drawn
    from crews.records.runs import check_kept, get_run

    with journal() as (store, settings):
        check_kept(get_run(store, run))
        changes = api.changes(run, settings)
    if json:
        put_json({"hash": changes.hash, "files": list(changes.files), "diff": changes.diff})
    elif changes.is_empty:
        say(f"run {run} has changed nothing")
    elif sys.stdout.isatty():
        from crews.plain import visible

        put_drawn(visible(changes.diff), diff_drawn(changes.diff))
    else:
        # To a file or a pipe it goes byte for byte, for a patch must apply.
        sys.stdout.flush()
        sys.stdout.buffer.write(changes.diff.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()


def apply(run: RunId, json: Json = False) -> None:
    """Apply a run's approved changes to the folder that it worked on."""
    from crews import api
    from crews.cli.output import put, put_json, say
    from crews.plain import visible
    from crews.records.runs import get_run

    with journal() as (store, settings):
        changes = api.apply(run, store, settings)
        folder = get_run(store, run).asked.source
    if json:
        put_json({"applied": True, "folder": folder, "files": list(changes.files)})
        return
    for file in changes.files:
        put(f"{file.kind:<8}  {visible(file.path)}")
    say(f"applied to {folder}; `crews undo {run}` takes it back")


def undo(run: RunId, json: Json = False) -> None:
    """Take a run's applied changes back."""
    from crews import api
    from crews.cli.output import put, put_json, say
    from crews.plain import visible

    with journal() as (store, settings):
        paths = api.undo(run, store, settings)
    if json:
        put_json({"undone": True, "paths": list(paths)})
        return
    for path in paths:
        put(visible(path))
    say(f"the changes of run {run} are taken back; `crews apply {run}` applies them again")
