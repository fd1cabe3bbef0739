"""What do the journal and the queue cost, on SQLite and on PostgreSQL?

uv run python benchmarks/journal.py [--database-url postgresql://...]

Without a URL the tests' own PostgreSQL is used (a wheel that carries the server, fsync off: its figures are
lower bounds). Medians; writes benchmark-journal.json.

- a turn: reserve, and record an answer with one call, as `runtime.loop` does
- a call: verdict, started, ended, as `tools.gate` does
- activations per second: of waiting runs that are woken without anything to do, by one worker
- wake-up: from the commit of a human's decision to the run's claim by a worker that was idle
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sqlalchemy import func, select

from crews import api, work
from crews.records import audit, ledger
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.ledger import Asked
from crews.records.rows import CallRow, TurnRow
from crews.records.runs import get_run
from crews.records.steps import Step
from crews.records.store import Store
from crews.records.tables import runs
from crews.records.workers import living
from crews.safety.action import Verdict
from crews.safety.budget import Spent
from tests.records import builders
from tests.stories.chaos import Storm
from tests.stories.crowd import multiply
from tests.stories.lives import wait_for

TURNS = 300
WOKEN = 60
WAKES = 15


@dataclass(frozen=True, slots=True)
class Figures:
    """One database."""

    turn_ms: float
    call_ms: float
    activations_per_second: float
    wake_ms: float
    waiting: int
    """Runs that wait while the two figures above are taken."""
    idle_cpu_percent: float
    """Of one core, of a worker beside an otherwise empty journal."""
    idle_cpu_percent_crowded: float
    """The same with the waiting runs."""
    memory_mb: float
    memory_mb_crowded: float


def main() -> int:
    """Measure both, print, and keep the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--database-url", default="", help="A PostgreSQL to measure on.")
    parser.add_argument("--waiting", type=int, default=10_000)
    given = parser.parse_args()
    found: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="journal-") as folder:
        found["SQLite"] = measure(Path(folder) / "sqlite", "", given.waiting)
        with a_postgres(given.database_url) as url:
            found["PostgreSQL"] = measure(Path(folder) / "postgres", url, given.waiting)
    rows = {name: asdict(figures) for name, figures in found.items()}
    for row in next(iter(rows.values())):
        print(f"{row:28}" + "".join(f"{name:>12} {rows[name][row]:10.2f}" for name in rows))
    Path("benchmark-journal.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


@contextmanager
def a_postgres(given: str) -> Generator[str]:
    """The database that was named, or one on a server of our own."""
    if given:
        yield given
        return
    from tests.support.postgres import a_server, fresh_database

    with a_server() as server, fresh_database(server) as url:
        yield url


def measure(folder: Path, url: str, waiting: int) -> Figures:
    """Everything on one database."""
    with Storm(folder, url, workers=1) as storm:
        turn, call = rows_cost(storm.store)
        storm.muster()
        wait_for(lambda: bool(living(storm.store)))
        run = storm.submit()
        wait_for(lambda: get_run(storm.store, run.id).status == "waiting")
        worker = storm.alive[0].pid
        cpu, memory = idle(worker)
        whole = multiply(storm.store, run.id, waiting)
        crowded, crowded_memory = idle(worker)
        return Figures(
            turn_ms=turn * 1000,
            call_ms=call * 1000,
            wake_ms=waking(storm, whole[:WAKES]) * 1000,
            activations_per_second=activations(storm, whole[WAKES : WAKES + WOKEN]),
            waiting=waiting,
            idle_cpu_percent=cpu,
            idle_cpu_percent_crowded=crowded,
            memory_mb=memory,
            memory_mb_crowded=crowded_memory,
        )


def rows_cost(store: Store) -> tuple[float, float]:
    """Median seconds of a journalled turn, and of a journalled call."""
    journal = builders.owned(store)
    builders.thread(journal)
    turns: list[float] = []
    calls: list[float] = []
    for number in range(TURNS):
        turn = builders.turn(journal, number=number)
        call = builders.call(journal, turn=number, state="proposed")
        turns.append(seconds(lambda turn=turn, call=call: one_turn(journal, turn, call)))
        calls.append(seconds(lambda call=call: one_call(journal, call)))
    return statistics.median(turns), statistics.median(calls)


def one_turn(journal: Journal, turn: TurnRow, call: CallRow) -> None:
    """Reserve, and record."""
    ledger.reserve(journal, Asked(turn.path, turn.turn, Spent(tokens=1000, money=None)))
    journal.record_turn(turn, [call])


def one_call(journal: Journal, call: CallRow) -> None:
    """Judge, begin, end."""
    call = journal.rule_call(call, Verdict("allow", "default-read", ""), "a")
    call = journal.set_call(
        call, Step("effect_started", {}), state="started", started_at=time.time()
    )
    journal.set_call(
        call, Step("effect_ended", {}), state="done", result="ok", ended_at=time.time()
    )


def idle(pid: int, wait: float = 10.0) -> tuple[float, float]:
    """Percent of a core that a process takes while nothing happens, and its memory in MB."""
    before = cpu_seconds(pid)
    time.sleep(wait)
    return (cpu_seconds(pid) - before) / wait * 100, memory(pid)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident memory that the process does not share, in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line[1]) for line in lines) / 1024


def waking(storm: Storm, names: list[str]) -> float:
    """Median seconds from a decision to the claim."""
    found: list[float] = []
    for name in names:
        review = list_reviews(storm.store, run=name)[0]
        api.decide(review.id, "approve", settings=storm.settings)
        decided = time.time()
        wait_for(lambda name=name: get_run(storm.store, name).status not in {"queued", "running"})
        claims = [r.at for r in audit.entries(storm.store, name) if r.kind == "run_claimed"]
        found.append(claims[-1] - decided)
    return statistics.median(found)


def activations(storm: Storm, names: list[str]) -> float:
    """How many runs a second are claimed, looked through and released again."""
    engine = work.engine_of(storm.store, storm.settings)
    engine.ready()
    epochs = {name: get_run(storm.store, name).epoch for name in names}
    began = time.monotonic()
    with storm.store.writing() as connection:
        for name in names:
            engine.wake(connection, name)
    wanted = sum(epochs.values()) + len(names)

    def done() -> bool:
        query = select(func.sum(runs.c.epoch)).where(runs.c.id.in_(names))
        still = select(func.count()).where(runs.c.id.in_(names), runs.c.status != "waiting")
        with storm.store.reading() as connection:
            reached = int(connection.execute(query).scalar_one())
            return reached >= wanted and int(connection.execute(still).scalar_one()) == 0

    wait_for(done)
    engine.close()
    return len(names) / (time.monotonic() - began)


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
