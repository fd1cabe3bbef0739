"""How long does it take to go on with a long thread? A run is cut off in a worker's last turn, and resumed.

Prints when the resume began; the server tells when the next request came.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import crews
from benchmarks.floor.client import WARMING, asked, counted, tell_script
from benchmarks.floor.roles import GOAL
from benchmarks.floor.script import Script
from benchmarks.floor.team import write_team
from crews.records.runs import list_runs
from crews.records.store import open_store


async def main() -> None:
    """Work up to the cut, then go on."""
    given = asked()
    team = write_team(given.folder / "team")
    settings = crews.Settings(home=given.folder / "home", base_url=given.url, user="ada")
    last = Script(**json.loads(given.script)).calls - 1
    cut = asyncio.Event()

    def heard(event: crews.Event) -> None:
        if event.kind == "turn_ended" and event.thread != "/" and event.turn == last:
            cut.set()

    async def first() -> None:
        await crews.akickoff(
            GOAL, team=team, workspace=given.files, settings=settings, on_event=heard
        )

    tell_script(given, WARMING)
    await first()
    tell_script(given, given.script)
    working = asyncio.create_task(first())
    await cut.wait()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    with open_store(settings.journal_url) as store:
        run = next(row.id for row in list_runs(store) if row.status == "queued")
    tell_script(given, given.script)

    async def again() -> None:
        result = await crews.aresume(run, settings=settings)
        if result.status != "completed":
            raise RuntimeError(f"{result.status}: {result.reason}")

    await counted(given, again)


if __name__ == "__main__":
    asyncio.run(main())
