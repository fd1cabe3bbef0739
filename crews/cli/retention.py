"""How is a run taken out as one file, and how are the contents of old runs removed?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.common import Json, RunId, journal, seconds
from crews.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import JsonValue

    from crews.records.retention import Purged
    from crews.records.rows import RunRow
    from crews.records.store import Store
    from crews.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (export, purge):
        app.command(command.__name__)(command)


def export(
    run: RunId,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: ./crews-RUN.zip"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    json: Json = False,
) -> None:
    """Write all that a run left into one zip file, secrets taken out, so that it can be checked later."""
    from crews import api
    from crews.cli.output import put, put_json, say
    from crews.records import audit
    from crews.records.runs import get_run
    from crews.report.export import export as write
    from crews.runtime.retaping import tape_of
    from crews.runtime.workflow import redactor_of

    with journal() as (store, settings):
        row = get_run(store, run)
        by = api.who(settings, store)
        target = output or Path(f"crews-{run}.zip")
        redactor = redactor_of(settings)
        manifest = (
            settings.run_folder(run) / "manifest.json"
        )  # without it the copy was never finished
        here = row.purged_at is None and manifest.is_file()
        tape = tape_of(store, row, redactor) if row.purged_at is None else None
        made = write(
            store,
            row,
            redactor,
            target,
            changes=api.changes(run, settings) if here else None,
            tape=(tape.text, tape.why) if tape else ("", ""),
            force=force,
        )
        # Not an entry of the run: the same run gives the same file again.
        body: dict[str, JsonValue] = {"of": run, "by": by, "sha256": made.sha256}
        with store.writing() as connection:
            audit.append(connection, "", "run_exported", body)
    if json:
        put_json(
            {"path": str(made.path), "size": made.size, "sha256": made.sha256, "rows": made.counts,
             "left_out": made.left_out}
        )  # fmt: skip
        return
    put(str(made.path))
    rows = ", ".join(f"{count:,} {name}" for name, count in made.counts.items())
    say(f"{made.size:,} bytes, sha256 {made.sha256}\n{rows}")
    for name, why in made.left_out.items():
        say(f"without {name}: {why}")


def purge(
    one: Annotated[
        str, typer.Argument(metavar="[RUN]", help="Only this run; the same as --run.")
    ] = "",
    older_than: Annotated[
        str, typer.Option(metavar="TIME", help="Runs that ended longer ago: 90m, 12h or 30d.")
    ] = "",
    team: Annotated[str, typer.Option(metavar="NAME", help="Only runs of this team.")] = "",
    run: Annotated[str, typer.Option(metavar="RUN", help="Only this run.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    erase: Annotated[
        bool, typer.Option("--erase", help="Of one run, at once: do not ask.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Remove the contents of ended runs for good, in the audit log too; its entries stay and verify.

    What an entry says of goals, arguments, reasons and answers is encrypted under a key of the run, which is thrown
    away. Entries of an older version (schema 2) hold such words themselves, and keep them; so do backups.
    """
    import time

    from crews import api
    from crews.cli.output import put_json
    from crews.records.retention import purgeable

    run = _which(one, run, older_than, erase=erase)
    before = time.time() - seconds(older_than, "--older-than") if older_than else None
    with journal() as (store, settings):
        by = api.who(settings, store)
        found = purgeable(store, settings, before=before, team=team, run=run)
        if not (dry_run or yes or erase) and found:
            _confirm(found, as_json=json)
        done, stuck = ([], None) if dry_run else _remove(found, store, settings, by)
    if json:
        put_json(_as_json(found, done, dry_run=dry_run))
    elif not found:
        _say_nothing(run)
    elif dry_run:
        _tell(found)
    else:
        _tell_done(done)
    if stuck is not None:
        raise stuck


def _which(one: str, run: str, older_than: str, *, erase: bool) -> str:
    """The run that is named; empty: those of an age."""
    if one and run and one != run:
        raise UsageError("two runs are named", hint="one at a time, or --older-than")
    run = run or one
    if erase and (not run or older_than):
        raise UsageError("--erase is for one run", hint="crews purge RUN --erase")
    if not (older_than or run):
        raise UsageError("say which runs", hint="--older-than 30d, or a run's id")
    return run


def _remove(
    found: Sequence[RunRow], store: Store, settings: Settings, by: str
) -> tuple[list[Purged], WorkspaceError | None]:
    """Purge each, whatever becomes of the others; the first folder that would not go."""
    from crews.records.retention import purge

    done: list[Purged] = []
    stuck: WorkspaceError | None = None
    for one in found:
        try:
            done.append(purge(store, settings, one.id, by))
        except WorkspaceError as error:
            stuck = stuck or error
    return done, stuck


def _confirm(found: Sequence[RunRow], *, as_json: bool) -> None:
    from crews.cli.output import has_human

    if as_json or not has_human():
        raise UsageError(f"this removes the contents of {_counted(len(found))} for good",
                         hint="--yes does it, --dry-run shows which")  # fmt: skip
    _tell(found, stream_is_talk=True)
    typer.confirm("Remove them?", abort=True, err=True)


def _tell(found: Sequence[RunRow], *, stream_is_talk: bool = False) -> None:
    """Which runs would lose what."""
    from crews.cli.history import run_table
    from crews.cli.output import put, say

    (say if stream_is_talk else put)(run_table(found))
    say(
        f"the contents of {_counted(len(found))} would be removed, in the audit log too; its entries stay"
    )
    if applied := [r.id for r in found if r.applied_hash]:
        say(f"applied changes that could not be undone any more: {', '.join(applied)}")


def _tell_done(done: Sequence[Purged]) -> None:
    from crews.cli.output import put, say

    for one in done:
        put(one.run)
    say(f"the contents of {_counted(len(done))} are removed")
    if elsewhere := [one.run for one in done if one.elsewhere]:
        say(f"their folders are on another machine, purge them there: {', '.join(elsewhere)}")


def _say_nothing(run: str) -> None:
    from crews.cli.output import say

    say(f"run {run} holds nothing more, or is not that old" if run else "no run is that old")


def _counted(number: int) -> str:
    return f"{number:,} run{'' if number == 1 else 's'}"


def _as_json(found: Sequence[RunRow], done: Sequence[Purged], *, dry_run: bool) -> dict[str, Any]:
    if dry_run:
        applied = [r.id for r in found if r.applied_hash]
        return {"dry_run": True, "runs": [r.id for r in found], "loses_undo": applied}
    return {
        "dry_run": False,
        "runs": [
            {"run": p.run, "rows": p.counts, "sha256": p.sha256, "folder": p.folder,
             "elsewhere": p.elsewhere, "erased": p.erased}
            for p in done
        ],
    }  # fmt: skip
