"""How does this process carry a run forward until it ends or waits, and what has come of it then?"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator

from crews.answering import put_to
from crews.errors import Fenced, RunBusy, UsageError
from crews.outcome import Asker, Result, Usage
from crews.records import inbox
from crews.records.events import Listener, silent
from crews.records.leaving import disown, is_kept, keep
from crews.records.lost import release_lost
from crews.records.owner import this_process
from crews.records.rows import ENDED, RunRow, dollars
from crews.records.runs import get_run
from crews.records.store import Store
from crews.safety.own_secrets import redactor_for
from crews.settings import Settings
from crews.tools.changeset import ChangeSet


async def advance(
    run: str,
    store: Store,
    settings: Settings,
    *,
    on_event: Listener = silent,
    ask: Asker | None = None,
) -> Result:
    """Work on a run until it ends or waits, putting its reviews to `ask` if that is given."""
    from crews import notify

    async with notify.copying_beside(store, settings):
        await _advance(run, store, settings, on_event, ask)
    await notify.flush(store, settings)
    return outcome(store, settings, run)


async def _advance(
    run: str, store: Store, settings: Settings, on_event: Listener, ask: Asker | None
) -> None:
    from crews.runtime.heart import beating

    with beating(store, settings), _kept(run, store):
        while await _go_on(run, store, settings, on_event):
            if ask is None or get_run(store, run).status in ENDED:
                break
            with store.writing() as connection:
                # No worker takes it while a person here is being asked.
                keep(connection, run, this_process())
            if not await put_to(ask, run, store, settings):
                break
            # Who decided in another place may have gone on there.
            if get_run(store, run).status in ENDED:
                break


@contextlib.contextmanager
def _kept(run: str, store: Store) -> Generator[None]:
    """In the end the run is nobody's, whatever happened."""
    try:
        yield
    finally:
        with contextlib.suppress(Exception):
            me = this_process()
            if is_kept(store, run, me):  # by nobody else than this process could it be kept for it
                with store.writing() as connection:
                    disown(connection, run, me)


async def _go_on(run: str, store: Store, settings: Settings, on_event: Listener) -> bool:
    """Work on it until it ends or waits. False: another process does."""
    from crews.runtime.workflow import activate

    row: RunRow | None = None
    while row is None or row.status == "queued":  # decided while other agents still worked
        try:
            row = await activate(run, store, settings, on_event)
        except RunBusy:
            if row is None:
                raise
            return False
        except Fenced:
            row = get_run(store, run)
            if row.owner != this_process():
                raise _taken_over(run) from None
            # This process was frozen, or the journal was: nobody has taken the run meanwhile.
            row = release_lost(store, row, own=True)
            if row is None:
                raise _taken_over(run) from None
    return True


def _taken_over(run: str) -> UsageError:
    return UsageError(
        f"another process has taken run `{run}` over",
        hint=f"`crews watch {run}` shows how it goes on",
    )


def outcome(store: Store, settings: Settings, run: str) -> Result:
    """Where a run stands."""
    from crews.report import markdown

    row = get_run(store, run)
    return Result(
        run_id=run,
        status=row.status,
        exit_code=3 if row.status == "waiting" else (row.exit_code or 0),
        reason=row.reason,
        report=redactor_for(settings, os.environ).text(markdown(store, run)),
        change_set=changes(run, settings),
        reviews=inbox.list_reviews(store, run=run, state=None),
        usage=Usage(row.turns, row.calls, row.tokens, row.working_seconds),
        cost=dollars(row.money) if row.money_known else None,
    )


def changes(run: str, settings: Settings) -> ChangeSet:
    """A run's change set as its workspace stands; empty where the workspace is gone."""
    from crews.tools.changeset import change_set
    from crews.tools.copying import open_workspace

    folder = settings.run_folder(run)
    there = (
        folder / "manifest.json"
    ).is_file()  # written last: without it the copy was never finished
    return change_set(open_workspace(folder)) if there else ChangeSet()
