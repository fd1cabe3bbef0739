"""Who is told of what, does it arrive, and what was sent?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli.common import Json, journal
from crews.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crews.cli.notices import TestShape
    from crews.records.outbox import DeliveryRow
    from crews.settings import NotifyTarget, Settings

EXAMPLE = """No targets of notifications are set. In the user's config.toml:
  [notify.ops]
  url = "https://example.org/hook"
  secret = "whsec_..."
or in the environment: CREWS_NOTIFY='{"ops": {"url": "https://example.org/hook"}}'"""

notify_app = typer.Typer(
    help="Tell people that a review waits: by webhook, chat or mail.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(notify_app, name="notify")


@notify_app.command("list")
def list_targets(json: Json = False) -> None:
    """List the targets and what each is told of."""
    from crews.cli.notices import TargetShape
    from crews.cli.output import put, put_json, table
    from crews.settings import load

    found = [
        TargetShape(name=name, way=_way(target), events=list(target.events))
        for name, target in sorted(load().notify.items())
    ]
    if json:
        put_json([one.model_dump() for one in found])
    elif found:
        rows = [[one.name, one.way, ", ".join(one.events)] for one in found]
        put(table(["target", "by", "is told of"], rows))
    else:
        put(EXAMPLE)


def _way(target: NotifyTarget) -> str:
    from crews.notify.sending import is_webhook

    if not is_webhook(target):
        scheme, found, _ = target.url.get_secret_value().partition("://")
        return scheme if found else "?"
    return "signed webhook" if target.secret else "webhook"


@notify_app.command("test")
def test(
    target: Annotated[
        str | None, typer.Argument(metavar="[TARGET]", help="One target; without it, all.")
    ] = None,
    json: Json = False,
) -> None:
    """Send a notice that says that it is a test, and show what came back."""
    import asyncio

    from crews.cli.output import put, put_json
    from crews.settings import load

    settings = load()
    results = asyncio.run(_try_all(settings, _wanted(settings, target)))
    if json:
        put_json([one.model_dump() for one in results])
    else:
        lines = (f"{r.target}: {'sent' if r.sent else 'failed'}: {r.text}" for r in results)
        put("\n".join(lines))
    if not all(r.sent for r in results):
        raise typer.Exit(EXIT_FAILED)


def _wanted(settings: Settings, target: str | None) -> Mapping[str, NotifyTarget]:
    if not settings.notify:
        raise UsageError("no targets of notifications are set", hint="`crews notify list` says how")
    if target is None:
        return settings.notify
    if target not in settings.notify:
        names = ", ".join(sorted(settings.notify))
        raise UsageError(f"there is no target `{target}`", hint=f"there are: {names}")
    return {target: settings.notify[target]}


async def _try_all(settings: Settings, targets: Mapping[str, NotifyTarget]) -> list[TestShape]:
    import asyncio

    from crews.cli.notices import TestShape
    from crews.notify import try_out

    names = sorted(targets)
    answers = await asyncio.gather(*(try_out(name, targets[name], settings) for name in names))
    return [
        TestShape(target=name, sent=answer.sent, text=answer.text)
        for name, answer in zip(names, answers, strict=True)
    ]


@notify_app.command("send")
def send() -> None:
    """Send what is due now, copies of the audit log's checkpoints too; for a machine without a worker."""
    import asyncio
    import time

    from crews.cli.output import say
    from crews.notify import collect, send_due
    from crews.records.outbox import BATCH

    with journal() as (store, settings):
        if not settings.audit.copies:
            _wanted(settings, None)
        new = collect(store, settings, time.time())
        tried = some = asyncio.run(send_due(store, settings, time.time()))
        while some >= BATCH:
            some = asyncio.run(send_due(store, settings, time.time()))
            tried += some
    say(f"{new} new, {tried} tried; `crews notify log` shows what came back")


@notify_app.command("log")
def log(
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Of one run only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 50,
    json: Json = False,
) -> None:
    """List what was sent and what is to be sent, newest first."""
    from crews.cli.notices import delivery_shape
    from crews.cli.output import put, put_json
    from crews.records.outbox import list_deliveries
    from crews.records.runs import get_run

    with journal() as (store, _):
        if run is not None:
            get_run(store, run)  # a typo is no empty list
        found = list_deliveries(store, run=run, limit=limit)
    if json:
        put_json([delivery_shape(row).model_dump() for row in found])
    else:
        put(delivery_table(found))


def delivery_table(found: Sequence[DeliveryRow]) -> str:
    """Notifications as a table; a friendly line if there are none."""
    from crews.cli.output import moment, table
    from crews.plain import one_line

    if not found:
        return "Nobody has been told of anything yet."
    rows = [
        [moment(r.created_at), r.review or r.run, r.kind.replace("_", " "), r.target, r.state,
         str(r.attempts), one_line(r.error, 60)]
        for r in found
    ]  # fmt: skip
    head = ["since", "about", "event", "target", "state", "attempts", "error"]
    return table(head, rows, right=frozenset({5}))
