"""What happens to many runs while their workers are killed at random moments, and what must hold in the end?

Used by `test_chaos.py` in its short form and by `benchmarks/chaos.py` for as long as one likes.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from sqlalchemy import select

import crews
from crews import api, work
from crews.outcome import Kickoff
from crews.records import audit
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.questions import ReviewRow
from crews.records.rows import RunRow
from crews.records.runs import list_runs
from crews.records.store import Store, open_store
from crews.records.tables import spend
from tests.stories.harbour import BERTHS, a_harbour, goal, harbour, place
from tests.stories.lives import as_recorded
from tests.stories.pool import Place, Pool, WorkerProcess
from tests.support.messages_api import MessagesServer

UNDER_WAY = 6
"""Runs that are kept under way while processes die."""
SLACK = 0.25
"""Seconds by which the stamp of a row may be older than the moment of its commit."""


@dataclass(frozen=True, slots=True)
class Toll:
    """What a storm did, and what it cost."""

    kills: int
    runs: int
    seconds: float
    turns: int
    requests: int
    cut_off: int
    """Requests that were made again, because a death cut off their first answer."""
    effects: int
    unknown: int
    """Effects whose outcome a human was asked about."""
    decided_alone: int
    """Reviews that were decided while no worker was there."""
    takeovers: tuple[float, ...]
    """Seconds from a death to the next claim of a run that the dead had owned."""

    @property
    def slowest_takeover(self) -> float:
        """Seconds."""
        return max(self.takeovers, default=0.0)


@dataclass(slots=True)
class Storm:
    """Workers on one journal, and who kills them; a context manager."""

    folder: Path
    database_url: str = ""
    workers: int = 3
    concurrency: int = 4
    seed: int = 20261121
    lent: Pool | None = None
    """Forks the workers; without one the storm makes its own."""
    settings: crews.Settings = field(init=False)
    store: Store = field(init=False)
    server: MessagesServer = field(init=False)
    pool: Pool = field(init=False)
    alive: list[WorkerProcess] = field(default_factory=list[WorkerProcess])
    kills: int = 0
    decided_alone: int = 0
    deaths: list[tuple[str, float]] = field(default_factory=list[tuple[str, float]])
    """The owner's name as far as it is known here, `/PID/`, and when it died."""
    _ships: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)
    _chance: random.Random = field(init=False)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        a_harbour(self.folder)
        self._chance = random.Random(self.seed)
        enter = self._stack.enter_context
        self.server = enter(MessagesServer(harbour()))
        self.settings = crews.Settings(
            home=self.folder / "home",
            base_url=self.server.url,
            database_url=self.database_url,
            user="ada",
        )
        self.store = enter(open_store(self.settings.journal_url))
        self.pool = self.lent or enter(Pool(self.folder / "pool"))
        self._stack.callback(self.pool.clear)
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(None, None, None)

    @property
    def ledger(self) -> Path:
        """Where each effect leaves its line."""
        return self.folder / "ledger"

    # -- what is done -------------------------------------------------------------------------

    def rage(self, kills: int, patience: float = 600.0) -> Toll:
        """Kill so many workers at random moments, then let the last ones bring every run to its end."""
        began = time.time()
        self.muster()
        while self.kills < kills:
            self.keep_busy()
            victim = self.at_work()
            self.let_pass(self._chance.randrange(10), self._chance.uniform(0.0, 0.2))
            if list_reviews(self.store) and self._chance.random() < 0.3:
                self.leave_alone()
            else:
                self.kill(victim)
            self.muster()
        end = time.monotonic() + patience
        while any(run.status not in {"completed", "failed", "stopped"} for run in self.runs()):
            if time.monotonic() > end:
                raise AssertionError(f"no end: {[(r.id, r.status, r.reason) for r in self.runs()]}")
            self.decide()
            time.sleep(0.1)
        return self.toll(time.time() - began)

    def at_work(self, patience: float = 5.0) -> WorkerProcess:
        """One of the workers that own a run now, if any does before long: a death in idleness shows little."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            owners = [run.owner for run in list_runs(self.store, status="running")]
            busy = [w for w in self.alive if any(f"/{w.pid}/" in owner for owner in owners)]
            if busy:
                return self._chance.choice(busy)
            self.decide()
            time.sleep(0.02)
        return self._chance.choice(self.alive)

    def let_pass(self, requests: int, seconds: float, patience: float = 5.0) -> None:
        """Let so many more requests be made, and then some time: a moment of the work, however slow the machine is."""
        wanted, end = len(self.server.requests) + requests, time.monotonic() + patience
        while len(self.server.requests) < wanted and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(seconds)

    def muster(self) -> None:
        """Have as many workers as there should be."""
        place = Place(
            home=str(self.settings.home),
            base_url=self.server.url,
            database_url=self.database_url,
            concurrency=self.concurrency,
            log=str(self.folder / "workers.log"),
            ledger=str(self.ledger),
        )
        while len(self.alive) < self.workers:
            self.alive.append(self.pool.start(place))

    def keep_busy(self) -> None:
        """Submit ships until enough are under way."""
        ended = {"completed", "failed", "stopped"}
        under_way = sum(run.status not in ended for run in self.runs())
        for _ in range(UNDER_WAY - under_way):
            self.submit()

    def submit(self) -> RunRow:
        """One more ship."""
        self._ships += 1
        request = Kickoff(
            goal(self._ships),
            team=self.folder / "team",
            workspace=self.folder / "harbour",
            apply=False,
            submission=f"ship-{self._ships}",
        )
        return work.submit(request, self.store, self.settings)

    def kill(self, worker: WorkerProcess) -> None:
        """SIGKILL."""
        worker.kill()
        self.deaths.append((f"/{worker.pid}/", time.time()))
        self.alive.remove(worker)
        self.kills += 1

    def leave_alone(self) -> None:
        """Kill every worker, and decide what waits while nobody is there."""
        for worker in tuple(self.alive):
            self.kill(worker)
        self.decided_alone += self.decide()

    def decide(self) -> int:
        """Be the human: look whether it has happened, tell the truth, and allow what is asked for."""
        count = 0
        for review in list_reviews(self.store):
            try:
                if review.kind == "unknown":
                    truth = "done" if self.has_happened(review) else "not done"
                    api.decide(review.id, "answer", reason=truth, settings=self.settings)
                elif review.kind in {"action", "change_set"}:
                    api.decide(review.id, "approve", settings=self.settings)
                else:
                    raise AssertionError(f"nobody should have to be asked this: {review}")
            except crews.UsageError:
                continue  # it is void by now
            count += 1
        return count

    def has_happened(self, review: ReviewRow) -> bool:
        """Has the effect that this review asks about left its line?"""
        tool, arguments = review.about["tool"], review.about["arguments"]
        line = f"{tool} {arguments['place']}"
        return line in self.lines()

    # -- what is known ------------------------------------------------------------------------

    def runs(self) -> tuple[RunRow, ...]:
        """Every run."""
        return list_runs(self.store, limit=100_000)

    def lines(self) -> list[str]:
        """What the effects have left."""
        return self.ledger.read_text(encoding="utf-8").splitlines() if self.ledger.exists() else []

    def toll(self, seconds: float) -> Toll:
        """What it came to."""
        reviews = list_reviews(self.store, state=None)
        requests = [as_recorded(r) for r in self.server.requests]
        runs = self.runs()
        return Toll(
            kills=self.kills,
            runs=len(runs),
            seconds=seconds,
            turns=sum(run.turns for run in runs),
            requests=len(requests),
            cut_off=len(requests) - len(set(requests)),
            effects=len(self.lines()),
            unknown=sum(r.kind == "unknown" for r in reviews),
            decided_alone=self.decided_alone,
            takeovers=tuple(self.takeovers()),
        )

    def takeovers(self) -> Iterator[float]:
        """Seconds from a death to the next claim of each run that the dead had owned, if a worker was there."""
        owner, lost = dict[str, str](), dict[str, float]()
        for row in audit.entries(self.store):
            if row.kind == "owner_lost":
                died = next((at for pid, at in self.deaths if pid in owner.get(row.run, "")), None)
                if died is not None:
                    lost[row.run] = died
            elif row.kind == "run_claimed":
                owner[row.run] = row.body
                if row.run in lost:
                    yield row.at - lost.pop(row.run)

    # -- what must hold -----------------------------------------------------------------------

    def check(self, *, woken: bool = False) -> None:
        """Every run has ended well; nothing was lost, paid or done twice.

        `woken`: a frozen process has woken; what it was about to send when it was frozen, it sent then.
        """
        for run in self.runs():
            assert run.status == "completed", (run.id, run.status, run.reason)
        self.check_paid_once(woken=woken)
        self.check_done_once()
        assert audit.first_break(self.store) is None

    def check_paid_once(self, *, woken: bool = False) -> None:
        """No request was made whose answer was in the journal already."""
        recorded: dict[str, float] = {}
        cut_off: set[str] = set()
        for run in self.runs():
            journal = Journal(self.store, run.id, run.epoch)
            lost = self.lost_turns(run.id)
            for thread in journal.threads():
                for turn in journal.turns(thread.path):
                    assert turn.request_hash not in recorded
                    recorded[turn.request_hash] = turn.ended_at
                    if (turn.path, turn.turn) in lost:
                        cut_off.add(turn.request_hash)
        asked = [(as_recorded(r), r.time) for r in self.server.requests]
        assert {name for name, _ in asked} == set(recorded)
        twice = {name for name, times in Counter(name for name, _ in asked).items() if times > 1}
        assert twice <= cut_off, f"{len(twice - cut_off)} requests were bought again"
        late = {name for name, at in asked if at > recorded[name] + SLACK}
        assert late <= (cut_off if woken else set()), f"{len(late)} answers were there already"

    def lost_turns(self, run: str) -> set[tuple[str, int]]:
        """Requests of a run that an owner had reserved and never settled."""
        mine = (spend.c.run == run) & (spend.c.state == "lost")
        with self.store.reading() as connection:
            found = connection.execute(select(spend.c.path, spend.c.turn).where(mine))
            return {(row.path, row.turn) for row in found}

    def check_done_once(self) -> None:
        """Each effect without a key once, each with one under one key; and all of them."""
        wanted = [place(ship, berth) for ship in range(1, self._ships + 1) for berth in BERTHS]
        lines = Counter(self.lines())
        for where in wanted:
            assert lines[f"stamp {where}"] == 1, (where, lines[f"stamp {where}"])
            keys = {line for line in lines if line.startswith(f"tally {where} ")}
            assert len(keys) == 1, keys
        moored = [where for where in wanted if where.endswith("north")]
        assert all(lines[f"moor {where}"] == 1 for where in moored)
