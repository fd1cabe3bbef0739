"""How is a run of the press killed, gone on with, and compared with one that nobody disturbed?"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import crews
from crews.errors import EXIT_OK, EXIT_WAITING
from crews.records import audit
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.questions import ReviewRow
from crews.records.rows import FINISHED_CALL, CallRow, RunRow, child_path
from crews.records.runs import list_runs
from crews.records.store import Store, dump, open_store
from crews.report import markdown
from tests.stories.children import PATIENCE, Child, Job, Nursery
from tests.stories.press import marker
from tests.stories.teams import GOAL, Press, a_press
from tests.support.messages_api import Brain, MessagesServer
from tests.support.request import Request

MOST_ACTIVATIONS = 12
"""Resumes after the last death, each with a decision between them: more is a loop."""


@dataclass(frozen=True, slots=True)
class Death:
    """What was known when a process had been killed."""

    places: tuple[str, ...]
    """Where the run stood; several where several threads were at work."""
    seen: int
    """Requests that the server had seen."""
    recorded: frozenset[str]
    """Hashes of the requests whose answers the journal holds."""


@dataclass(frozen=True, slots=True)
class Story:
    """What a run left behind, without ids and times."""

    report: str
    calls: tuple[tuple[str, str, str, str], ...]
    """Address, tool, arguments and state of every call."""
    files: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When an undisturbed run asked its models, and when it ended; seconds from its start."""

    asked: tuple[float, ...]
    end: float

    def at(self, moment: float) -> tuple[int, float]:
        """How many requests had been made at a moment, and the seconds since the last of them."""
        before = [at for at in self.asked if at <= moment]
        return len(before), moment - max(before, default=0.0)


@dataclass(slots=True)
class Life:
    """One run, from its kickoff through its deaths to its end; a context manager."""

    folder: Path
    nursery: Nursery
    brain: Brain
    deaths: list[Death] = field(default_factory=list[Death])
    decisions: list[str] = field(default_factory=list[str])
    """What the human said of calls whose outcome was unknown."""
    press: Press = field(init=False)
    server: MessagesServer = field(init=False)
    store: Store = field(init=False)
    settings: crews.Settings = field(init=False)

    def __enter__(self) -> Self:
        self.folder.mkdir()
        self.press = a_press(self.folder)
        self.server = MessagesServer(self.brain).__enter__()
        self.settings = crews.Settings(
            home=self.folder / "home", base_url=self.server.url, user="ada"
        )
        self.store = open_store(self.settings.journal_url)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.store.close()
        self.server.__exit__(kind, error, trace)

    # -- living and dying ---------------------------------------------------------------------

    def start(self, *, approve: bool = True) -> Child:
        """A process that kicks the run off, or goes on with it if there is one."""
        run = self.run
        return self.nursery.start(
            Job(
                home=str(self.settings.home),
                base_url=self.server.url,
                team=str(self.press.team),
                folder=str(self.press.folder),
                goal=GOAL,
                run="" if run is None else run.id,
                approve=approve,
            )
        )

    def die_after(self, seconds: float) -> None:
        """Work on the run, and be killed after so many seconds."""
        child = self.start()
        child.wait(seconds)
        child.kill()
        self.note_death()

    def die_at(self, moment: float, rhythm: Rhythm) -> None:
        """Be killed where an undisturbed run was at that moment, however fast the machine is now."""
        requests, seconds = rhythm.at(moment)
        child = self.start()
        while len(self.server.requests) < requests and child.wait(0.005) is None:
            pass
        child.wait(seconds)
        child.kill()
        self.note_death()

    def die_when(self, when: Callable[[], bool]) -> None:
        """Work on the run, and be killed as soon as something holds."""
        child = self.start()
        wait_for(lambda: child.wait(0) is not None or when())
        child.kill()
        self.note_death()

    def note_death(self) -> None:
        """Keep what is known now that nobody works on the run."""
        recorded = [] if self.run is None else self.recorded()
        places, seen = tuple(self.places()), len(self.server.requests)
        self.deaths.append(Death(places, seen, frozenset(recorded)))

    def live_undisturbed(self) -> Rhythm:
        """Run from the kickoff to the end, and measure it."""
        began = time.time()
        self.live_on()
        end = time.time() - began
        return Rhythm(tuple(r.time - began for r in self.server.requests), end)

    def live_on(self) -> None:
        """Resume, and decide what a human is asked, until the run ends."""
        for _ in range(MOST_ACTIVATIONS):
            run = self.run
            if run is not None and run.status == "completed":
                return
            code = self.start().ended()
            if code == EXIT_WAITING:
                self.decide()
            elif code != EXIT_OK:
                log = (self.folder / "child.log").read_text(encoding="utf-8")
                raise AssertionError(f"the run ended with exit code {code}:\n{log[-4000:]}")
        raise AssertionError(f"no end after {MOST_ACTIVATIONS} activations: {self.run}")

    def decide(self) -> None:
        """Be the human who looks whether the command has left its line, and tells the truth."""
        for review in self.open_reviews():
            if review.kind == "question":
                crews.decide(review.id, "answer", reason="Yes.", settings=self.settings)
                continue
            if review.kind == "change_set":  # killed between its question and the child's own yes
                crews.decide(review.id, "approve", settings=self.settings)
                continue
            if review.kind != "unknown":
                raise AssertionError(f"nobody should have to be asked this: {review}")
            truth = "done" if self.left_its_line(str(review.about["arguments"])) else "not done"
            self.decisions.append(truth)
            crews.decide(review.id, "answer", reason=truth, settings=self.settings)

    # -- what is known ------------------------------------------------------------------------

    @property
    def run(self) -> RunRow | None:
        """The run, once it has been written down."""
        found = list_runs(self.store)
        if len(found) > 1:
            raise AssertionError("there is more than one run")
        return found[0] if found else None

    @property
    def journal(self) -> Journal:
        """The run's journal, to be read."""
        run = self.run
        if run is None:
            raise AssertionError("there is no run")
        return Journal(self.store, run.id, run.epoch)

    def open_reviews(self) -> tuple[ReviewRow, ...]:
        """What a human is asked now."""
        return list_reviews(self.store)

    def recorded(self) -> list[str]:
        """Hashes of the requests whose answers the journal holds."""
        journal = self.journal
        return [t.request_hash for row in journal.threads() for t in journal.turns(row.path)]

    def left_its_line(self, command: str) -> bool:
        """Has this command left its line in the run's copy of the folder?"""
        return (self.settings.run_folder(self.journal.run) / "workspace" / marker(command)).exists()

    def running(self, tool: str) -> list[CallRow]:
        """Calls of a tool that have been started and have not ended."""
        if self.run is None:
            return []
        return [c for c in self.journal.calls() if c.tool == tool and c.state == "started"]

    def places(self) -> list[str]:
        """Where the run stands, in words."""
        run = self.run
        if run is None:
            return ["before the run was written"]
        if run.status != "running":
            return [f"run {run.status}"]
        journal = self.journal
        threads = {t.path: t for t in journal.threads()}
        at_work = [c for c in journal.calls() if c.state not in FINISHED_CALL]
        found = [f"{c.tool} {c.state}" for c in at_work if c.tool != "delegate"]
        for call in (c for c in at_work if c.tool == "delegate"):
            child = threads.get(child_path(call.path, call.turn, call.place))
            if child is None or child.state == "done":
                found.append(
                    f"delegate {call.state}, its thread {child.state if child else 'not begun'}"
                )
        busy = {c.path for c in at_work}
        asking = [t for t in threads.values() if t.state == "open" and t.path not in busy]
        return found + [f"{t.agent} asks its model" for t in asking] or ["between two threads"]

    def story(self) -> Story:
        """What the run left behind."""
        calls = [(c.address, c.tool, c.arguments, c.state) for c in self.journal.calls()]
        report = comparable(markdown(self.store, self.journal.run), self.journal.run)
        return Story(report, tuple(calls), self.press.files)

    # -- what must hold -----------------------------------------------------------------------

    def check_paid_once(self) -> None:
        """Every request was asked once, but for those that a death cut off in the middle."""
        requests = self.server.requests
        asked, recorded = [as_recorded(r) for r in requests], self.recorded()
        assert len(recorded) == len(set(recorded))
        assert set(asked) == set(recorded)  # what was cut off was asked again in the same words
        assert len({r.sha256 for r in requests}) == len(set(asked))
        for death in self.deaths:
            again = death.recorded & set(asked[death.seen :])
            assert not again, f"bought twice after a death at {death.places}"
        for name, times in Counter(asked).items():
            cut_off = sum(name not in death.recorded for death in self.deaths)
            assert times <= 1 + cut_off

    def check_audit(self) -> None:
        """Nobody can have changed what was written down."""
        assert audit.first_break(self.store) is None


def as_recorded(request: Request) -> str:
    """The hash by which the journal knows a request: of its JSON, whether it is streamed or not."""
    body = {k: v for k, v in request.json.items() if k != "stream"}
    return hashlib.sha256(dump(body).encode()).hexdigest()


def comparable(report: str, run: str) -> str:
    """A report without ids, times, and the questions that only a death brings up."""
    lines = [line for line in report.splitlines() if "unknown-outcome" not in line]
    text = "\n".join(lines).replace(run, "RUN")
    text = re.sub(r"RUN-\d+", "RUN-N", text)
    text = re.sub(r" /\S+/booklet", " FOLDER", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "AT", text)
    return re.sub(r"\b\d+(\.\d)? (s|m \d\d s)\b", "TIME", text)


def wait_for(when: Callable[[], bool]) -> None:
    """Wait until something holds; who waits for long looks less often, and leaves the machine to the others."""
    end, pause = time.monotonic() + PATIENCE, 0.005
    while not when():
        if time.monotonic() > end:
            raise AssertionError("it did not come about")
        time.sleep(pause)
        pause = min(0.1, pause * 1.2)
