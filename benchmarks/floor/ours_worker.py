"""What do many runs at once cost in one worker of this system? Submitted, and worked on to their end.

`--extra waiting`: each run asks a human instead and waits; what is told then is what they leave in the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import crews
from benchmarks.floor.client import WARMING, asked, counted, tell_script
from benchmarks.floor.roles import GOAL
from benchmarks.floor.team import write_team
from crews import work
from crews.outcome import Kickoff
from crews.records.runs import get_run
from crews.records.sealing import open_journal
from crews.records.store import Store
from crews.schedules import fire

STILL = frozenset({"queued", "running"})
LOOK = 0.1
"""Seconds between two looks at the runs."""


async def main() -> None:
    """One run to warm up, then all at once."""
    given = asked()
    team = write_team(given.folder / "team")
    settings = crews.Settings(home=given.folder / "home", base_url=given.url, user="ada")
    request = Kickoff(GOAL, team, given.files)
    with open_journal(settings) as store:
        worker = work.make_worker(store, settings, max(given.together, 1), lambda run, what: None)
        working = asyncio.create_task(worker.run(lambda order, due: fire(worker, order, due)))

        async def all_of(count: int, wanted: str) -> None:
            runs = [
                (await asyncio.to_thread(work.submit, request, store, settings)).id
                for _ in range(count)
            ]
            await _ended(store, runs, wanted)

        tell_script(given, WARMING)
        await all_of(1, "completed")
        tell_script(given, given.script)
        wanted = "waiting" if given.extra == "waiting" else "completed"
        await counted(given, lambda: all_of(given.together, wanted))
        worker.drain()
        await working


async def _ended(store: Store, runs: Sequence[str], wanted: str) -> None:
    left = list(runs)
    while left:
        await asyncio.sleep(LOOK)
        found = {name: get_run(store, name) for name in left}
        left = [name for name, row in found.items() if row.status in STILL]
        wrong = [row for row in found.values() if row.status not in STILL | {wanted}]
        if wrong:
            raise RuntimeError(f"{wrong[0].status}: {wrong[0].reason}")


if __name__ == "__main__":
    asyncio.run(main())
