"""How is a scripted team run in this process, and what did it leave?

    with staged(delivery(write()), files={"a.txt": "one"}) as stage:
        result = stage.run()
        result = stage.go_on("approve")

Teams and scripts are made in `tests.stories.players`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from pydantic import SecretStr

import crews
from crews import Result, Review, Settings
from crews.cli import app
from crews.records import audit, inbox
from crews.records.audit import AuditRow
from crews.records.journal import Journal
from crews.records.questions import Decision
from crews.records.rows import CallRow, RunRow, ThreadRow
from crews.records.runs import get_run, list_runs
from crews.records.store import open_store
from crews.teams.spec import TeamSpec
from tests.stories import players
from tests.support.messages_api import Brain, MessagesServer
from tests.support.request import Request
from tests.support.scripts import agent_of


@dataclass(slots=True)
class Stage:
    """One scripted model, one folder, and the runs of teams on it."""

    server: MessagesServer
    folder: Path
    team: TeamSpec
    settings: Settings
    runs: list[str] = field(default_factory=list[str])

    def run(self, goal: str = "Make it so", **options: Any) -> Result:
        """Kick the team off on the folder."""
        given: dict[str, Any] = {"team": self.team, "workspace": self.folder} | options
        try:
            result = crews.kickoff(goal, settings=self.settings, **given)
        finally:
            with open_store(self.settings.journal_url) as store:
                self.runs = [r.id for r in list_runs(store)]
        return self._played(result)

    def resume(self) -> Result:
        """Go on with the newest run."""
        return self._played(crews.resume(self.id, settings=self.settings))

    def _played(self, result: Result) -> Result:
        """The result, if no script failed; a test would misread that as an outage."""
        for review in result.reviews:
            if "the scripted model raised" in review.reason:
                raise AssertionError(review.reason)
        return result

    def decide(self, decision: Decision, kind: str = "", **more: Any) -> Review:
        """Decide the one open review (of that kind)."""
        return self.decide_one(self.open_review(kind).id, decision, **more)

    def decide_one(self, review: str, decision: Decision, **more: Any) -> Review:
        """Decide the review of that id."""
        return crews.decide(review, decision, by="ann", settings=self.settings, **more)

    def go_on(self, decision: Decision, kind: str = "", **more: Any) -> Result:
        """Decide the one open review, and resume."""
        self.decide(decision, kind, **more)
        return self.resume()

    # -- what is there ----------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The newest run."""
        return self.runs[0]

    @property
    def row(self) -> RunRow:
        """The newest run's row."""
        with open_store(self.settings.journal_url) as store:
            return get_run(store, self.id)

    def reviews(self, kind: str = "", state: str | None = None) -> tuple[Review, ...]:
        """Reviews of the newest run, oldest first."""
        with open_store(self.settings.journal_url) as store:
            found = inbox.list_reviews(store, run=self.id, state=state)
        return tuple(r for r in found if kind in {"", r.kind})

    def open_review(self, kind: str = "") -> Review:
        """The one open review (of that kind)."""
        (review,) = self.reviews(kind, "open")
        return review

    def calls(self, tool: str = "", agent: str = "") -> tuple[CallRow, ...]:
        """Calls of the newest run in the journal's order."""
        with open_store(self.settings.journal_url) as store:
            journal = Journal(store, self.id, 0)
            own = {t.path for t in journal.threads() if agent in {"", t.agent}}
            return tuple(c for c in journal.calls() if c.path in own and tool in {"", c.tool})

    def call(self, tool: str, agent: str = "") -> CallRow:
        """The one call of that tool."""
        (found,) = self.calls(tool, agent)
        return found

    def threads(self, agent: str = "") -> tuple[ThreadRow, ...]:
        """Threads of the newest run, oldest first."""
        with open_store(self.settings.journal_url) as store:
            found = Journal(store, self.id, 0).threads()
        return tuple(t for t in found if agent in {"", t.agent})

    def audit(self, kind: str = "") -> tuple[AuditRow, ...]:
        """The audit log of the newest run; the chain holds."""
        with open_store(self.settings.journal_url) as store:
            assert audit.first_break(store) is None
            return tuple(e for e in audit.entries(store, self.id) if kind in {"", e.kind})

    def requests(self, agent: str = "") -> tuple[Request, ...]:
        """Requests that reached the model."""
        return tuple(r for r in self.server.requests if agent in {"", agent_of(r)})

    @property
    def workspace(self) -> Path:
        """The newest run's own copy."""
        return self.settings.run_folder(self.id) / "workspace"

    # -- the command line -------------------------------------------------------------------------

    def shown(self) -> str:
        """What `crews runs show RUN` prints."""
        code, out, _ = self.cli("runs", "show", self.id)
        assert code == 0
        return out

    def cli(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and error output of a `crews` command, run in this process."""
        key = self.settings.api_key
        environment = {
            "ANTHROPIC_BASE_URL": self.server.url,
            "ANTHROPIC_API_KEY": key.get_secret_value() if key else "",
            "COLUMNS": "400",
        }
        out, err = _stream(), _stream()
        with (
            mock.patch.dict(os.environ, environment),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            app.main(arguments)
        return int(ended.value.code or 0), _text(out), _text(err)


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


@contextmanager
def staged(
    brain: Brain,
    team: TeamSpec | Callable[[Path], TeamSpec] | None = None,
    files: Mapping[str, str] | None = None,
    *,
    key: str = "a-key",
) -> Generator[Stage]:
    """A stage with a folder of these files in the test's working folder."""
    folder = Path("project").resolve()
    folder.mkdir()
    for path, content in (files or {"a.txt": "one\n"}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    made = team(folder) if callable(team) else team
    with MessagesServer(brain) as server:
        settings = Settings(base_url=server.url, api_key=SecretStr(key))
        yield Stage(server, folder, made or players.team(), settings)


def tree(folder: Path) -> dict[str, str]:
    """Every file beneath a folder and what it holds; links as what they point to."""
    return {
        p.relative_to(folder).as_posix(): str(p.readlink())
        if p.is_symlink()
        else p.read_bytes().decode(errors="replace")
        for p in sorted(folder.rglob("*"))
        if p.is_symlink() or p.is_file()
    }


def occurrences(needle: str, *folders: Path) -> list[Path]:
    """Files that hold the text anywhere: journal, tapes, logs, copies."""
    wanted = needle.encode()
    return [
        p
        for folder in folders
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink() and wanted in p.read_bytes()
    ]


def assert_refused(stage: Stage, row: CallRow, *words: str) -> None:
    """The call did not happen, and journal, audit log and command line say so, with the reason."""
    assert row.state in {"denied", "failed"}
    assert row.is_error
    bodies = [(e.kind, json.loads(e.body)) for e in stage.audit()]
    about = {kind for kind, body in bodies if body.get("call") == row.address}
    assert ("refused" if row.state == "denied" else "effect_ended") in about
    lines = [line for line in stage.shown().splitlines() if f"{row.tool} " in line]
    line = next(line for line in lines if f"-> {row.state}" in line)
    for word in words:
        assert word in row.result
        assert word in line


def assert_ended_in_order(result: Result, stage: Stage) -> None:
    """The run went on to its end after the refusals, and changed nothing of the user's."""
    assert (result.status, result.exit_code, result.reason) == ("completed", 0, "")
    assert tree(stage.folder) == {"a.txt": "one\n"} | {
        p.name: str(p.readlink()) for p in stage.folder.iterdir() if p.is_symlink()
    }


def assert_waits(stage: Stage, result: Result, kind: str) -> Review:
    """The run waits for one review of that kind, and has changed nothing of the user's."""
    assert (result.status, result.exit_code) == ("waiting", 3)
    (review,) = result.waiting_for
    assert review.kind == kind
    assert tree(stage.folder) == {"a.txt": "one\n"}
    return review
