"""What does the job cost here, with journal, gate and audit?

`--extra memory`: the journal is a file in memory, where there is such a file system. There is no mode without a
journal: it is all the state that a run has, so this is the nearest to one. `--extra rows=N`: beside so many rows of
runs that have ended.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import crews
from benchmarks.floor.client import asked, run
from benchmarks.floor.crowd import fill
from benchmarks.floor.roles import GOAL
from benchmarks.floor.team import write_team

MEMORY = Path("/dev/shm")


def main() -> None:
    """Do the jobs."""
    given = asked()
    team = write_team(given.folder / "team")
    in_memory = Path(tempfile.mkdtemp(dir=MEMORY)) if given.extra == "memory" else None
    database = f"sqlite:///{in_memory / 'crews.db'}" if in_memory else ""
    settings = crews.Settings(
        home=given.folder / "home", base_url=given.url, user="ada", database_url=database
    )

    async def job(number: int) -> None:
        del number
        result = await crews.akickoff(GOAL, team=team, workspace=given.files, settings=settings)
        if result.status != "completed":
            raise RuntimeError(f"{result.status}: {result.reason}")

    def warmed() -> None:
        if given.extra.startswith("rows="):
            fill(settings.home / "crews.db", int(given.extra.removeprefix("rows=")))

    try:
        run(given, job, warmed)
    finally:
        if in_memory:
            shutil.rmtree(in_memory)


if __name__ == "__main__":
    main()
