"""How does a person start a process that works on whatever run is next, and see which ones there are?"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli.common import STAYING, Json, Verbose, journal, seek_garbage

if TYPE_CHECKING:
    from crews.records.store import Store
    from crews.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("worker")(worker)
    app.command("workers")(workers)


def worker(
    concurrency: Annotated[
        int, typer.Option(min=1, max=1000, help="Runs that each worker works on at once.")
    ] = 4,
    verbose: Verbose = False,
) -> None:
    """Work on queued runs until you stop it: SIGTERM finishes the calls under way, a second one cuts them off."""
    import asyncio

    from crews.logs import set_up

    seek_garbage(every=STAYING)
    with journal() as (store, settings):
        set_up(settings, verbose=verbose)
        asyncio.run(serve(store, settings, concurrency))


async def serve(store: Store, settings: Settings, concurrency: int) -> None:
    """Work until a signal says that it is enough."""
    import asyncio

    from crews.schedules import fire
    from crews.work import make_worker

    made = make_worker(store, settings, concurrency, _say)
    _say("", f"worker of {settings.home}: {concurrency} runs at once; SIGTERM or Ctrl-C drains it")
    if not (settings.api_key or settings.auth_token or settings.base_url):
        _say("", "no key: only runs with a tape can go on here; set ANTHROPIC_API_KEY")
    loop = asyncio.get_running_loop()
    got: list[int] = []

    def stop(number: int) -> None:
        got.append(number)
        if len(got) == 1:
            _say("", "draining: the calls under way are finished, the rest is left to others")
            made.drain()
        else:
            made.give_up()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    await made.run(lambda order, due: fire(made, order, due))
    _say("", "drained")


def _say(run: str, what: str) -> None:
    sys.stderr.write(f"{f'run {run} ' if run else ''}{what}\n")
    sys.stderr.flush()


def workers(json: Json = False) -> None:
    """List the processes that are at work."""
    from crews.cli.output import moment, put_json, table
    from crews.records.workers import living

    with journal() as (store, _):
        found = living(store, None)
    if json:
        put_json(
            [
                {"id": w.id, "kind": w.kind, "host": w.host, "state": w.state,
                 "concurrency": w.concurrency, "started_at": w.started_at, "beat_at": w.beat_at}
                for w in found
            ]
        )  # fmt: skip
        return
    if not found:
        typer.echo("Nobody is at work. Start a worker with: crews worker")
        return
    rows = [[w.id, w.kind, w.state, str(w.concurrency), moment(w.started_at)] for w in found]
    typer.echo(table(["process", "kind", "state", "runs at once", "since"], rows))
