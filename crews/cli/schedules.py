"""How does a person have a goal pursued again and again?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crews.cli.common import Json, journal, pairs

schedules_app = typer.Typer(
    help="Pursue goals again and again; workers make the runs.", rich_markup_mode=None
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(schedules_app, name="schedules")


@schedules_app.callback(invoke_without_command=True)
def schedules(context: typer.Context, json: Json = False) -> None:
    """List the schedules."""
    if context.invoked_subcommand is None:
        _list(as_json=json)


@schedules_app.command("list")
def list_(json: Json = False) -> None:
    """List the schedules."""
    _list(as_json=json)


@schedules_app.command("add")
def add(
    name: Name,
    cron: Annotated[
        str,
        typer.Argument(metavar="CRON", help="When, in UTC: `0 7 * * 1-5` is seven on weekdays."),
    ],
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="What is to be done each time.")],
    team: Annotated[str, typer.Option(metavar="DIR", help="The team.")] = "",
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", metavar="DIR", help="Folder to work on.")
    ] = Path(),
    given: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="Value of a {placeholder}."),
    ] = None,
    observe: Annotated[bool, typer.Option("--observe", help="End with a patch.")] = False,
    no_apply: Annotated[
        bool, typer.Option("--no-apply", help="Keep changes for `crews apply`.")
    ] = False,
) -> None:
    """Add a schedule; a worker must be running at the moments it names."""
    from crews.api import load_team
    from crews.cli.output import say
    from crews.cli.run import folder_of
    from crews.schedules import Order
    from crews.schedules import add as keep

    folder = folder_of(workspace).resolve()
    loaded = load_team(team or None)  # what is wrong with the team is said now
    order = Order(
        name=name,
        goal=goal,
        team=str(loaded.folder.resolve()),
        workspace=str(folder),
        inputs=pairs(given or [], "--input"),
        observe=observe,
        apply=not no_apply,
    )
    with journal() as (store, settings):
        keep(cron, order, store, settings)
    say(f"schedule {name}: {cron} (UTC)")


@schedules_app.command("pause")
def pause(name: Name) -> None:
    """Let a schedule rest."""
    _change(name, "pause", "paused")


@schedules_app.command("resume")
def resume(name: Name) -> None:
    """Let a schedule go on."""
    _change(name, "resume", "goes on")


@schedules_app.command("remove")
def remove(name: Name) -> None:
    """Remove a schedule; the runs that it made stay."""
    _change(name, "remove", "removed")


def _change(name: str, what: str, said: str) -> None:
    from crews.cli.output import say
    from crews.schedules import change

    with journal() as (store, settings):
        change(name, what, store, settings)
    say(f"schedule {name}: {said}")


def _list(*, as_json: bool) -> None:
    from crews.cli.output import put_json, say, table
    from crews.plain import one_line
    from crews.schedules import Order, found

    with journal() as (store, settings):
        every = found(store, settings)
    if as_json:
        put_json(
            [
                {"name": s.name, "cron": s.cron, "active": s.active,
                 "last_fired_at": s.last_fired_at, "order": Order.model_validate_json(s.order)}
                for s in every
            ]
        )  # fmt: skip
        return
    if not every:
        say('No schedules. Add one with: crews schedules add NAME "0 7 * * 1-5" GOAL')
        return
    rows = [
        [s.name, s.cron, "active" if s.active else "paused", str(s.last_fired_at or ""),
         one_line(Order.model_validate_json(s.order).goal, 60)]
        for s in every
    ]  # fmt: skip
    say(table(["schedule", "when (UTC)", "state", "last fired", "goal"], rows))
