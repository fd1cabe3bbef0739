"""How is a run made again: from its beginning, or from one of its turns?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli.common import Json, NoInput, Quiet, RunId, Verbose
from crews.cli.history import runs_app

if TYPE_CHECKING:
    from crews.cli.driving import View
    from crews.records.rows import RunRow
    from crews.records.store import Store
    from crews.settings import Settings

Make = Callable[["Store", "Settings", str], "RunRow"]
"""Journal, settings, who asks -> the new run."""
Detach = Annotated[
    bool, typer.Option("--detach", "-d", help="Leave it to the workers; prints the new run's id.")
]


def register(app: typer.Typer) -> None:
    """Add nothing: the commands stand under `crews runs`."""
    del app


@runs_app.command("retry")
def retry(
    run: RunId,
    detach: Detach = False,
    json: Json = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make an ended run again, as a new run: same goal, inputs, team and options, the folder as it is now."""
    from crews.cli.driving import View

    def make(store: Store, settings: Settings, by: str) -> RunRow:
        from crews.runtime.forking import retry

        return retry(store, settings, run, by)

    view = View(as_json=json, quiet=quiet, may_ask=not no_input, verbose=verbose)
    _again(make, view, detach=detach)


@runs_app.command("fork")
def fork(
    run: RunId,
    turn: Annotated[
        int, typer.Option("--from", min=0, metavar="TURN", help="The turn to ask for again.")
    ],
    thread: Annotated[
        str, typer.Option(metavar="PATH", help="Whose turn; `crews runs show` names the threads.")
    ] = "/",
    anyway: Annotated[
        bool,
        typer.Option("--anyway", help="Also where the files cannot be made quite what they were."),
    ] = False,
    detach: Detach = False,
    json: Json = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a new run from one of a run's turns: what came before is taken over and not paid for again."""
    from crews.cli.driving import View

    def make(store: Store, settings: Settings, by: str) -> RunRow:
        from crews.cli.output import say
        from crews.records.forks import Place, differences
        from crews.runtime.forking import fork

        made = fork(store, settings, run, Place(thread, turn), by, anyway=anyway)
        if found := differences(store, made.id):
            say(f"the files could not be rebuilt exactly: {'; '.join(found)}")
        return made

    view = View(as_json=json, quiet=quiet, may_ask=not no_input, verbose=verbose)
    _again(make, view, detach=detach)


def _again(make: Make, view: View, *, detach: bool) -> None:
    """Make the new run, and carry it on or leave it to the workers."""
    from crews import api, work
    from crews.cli.common import journal
    from crews.cli.output import put, put_json, say
    from crews.cli.run import go_on

    with journal() as (store, settings):
        made = make(store, settings, api.who(settings, store))
        someone = work.someone_works(store, settings)
        if detach:
            _queue(made, store, settings)
    if not detach:
        go_on(made.id, view)
    elif view.as_json:
        put_json({"run": made.id, "origin": made.origin, "status": made.status, "worker": someone})
    else:
        put(made.id)
        if not someone:
            say("no worker is running here; start one with: crews worker")


def _queue(made: RunRow, store: Store, settings: Settings) -> None:
    from crews import work

    engine = work.engine_of(store, settings)
    try:
        if not engine.ready():
            engine.prepare()
        work.queue(made, store, engine)
    finally:
        engine.close()
