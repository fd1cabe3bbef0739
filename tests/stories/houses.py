"""How does a press look that has done its work once, and of which more runs are made?"""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import crews
from crews.cli import app
from crews.records.journal import Journal
from crews.records.rows import RunRow
from crews.records.store import Store, open_store
from tests.stories.lives import as_recorded
from tests.stories.press import press
from tests.stories.teams import GOAL, Press, a_press, tree
from tests.support.messages_api import MessagesServer


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, parsed."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class House:
    """A press, its models, and a run of it that has ended; its changes are approved and not applied."""

    press: Press
    server: MessagesServer
    settings: crews.Settings
    store: Store
    first: str

    def files(self, run: str) -> dict[str, str]:
        """What a run's copy of the folder holds."""
        return tree(self.settings.run_folder(run) / "workspace")

    def finish(self, run: RunRow) -> crews.Result:
        """Carry a run on to its end."""
        return crews.resume(run.id, ask=approve, settings=self.settings)

    def hashes(self, run: str, path: str = "") -> list[str]:
        """Hashes of the requests that a run has paid for, of one thread or all."""
        journal = Journal(self.store, run, 0)
        rows = [t for thread in journal.threads() for t in journal.turns(thread.path)]
        return [t.request_hash for t in rows if not t.copied and path in {"", t.path}]

    def calls(self, run: str) -> list[tuple[str, str, str, str, str]]:
        """Address, tool, arguments, state and result of every call."""
        found = Journal(self.store, run, 0).calls()
        return [(c.address, c.tool, c.arguments, c.state, c.result) for c in found]

    def command(self, *arguments: str) -> Ran:
        """Run a `crews` command in this process."""
        given = {
            "CREWS_HOME": str(self.settings.home), "CREWS_USER": "bo", "COLUMNS": "300",
            "ANTHROPIC_BASE_URL": self.server.url,
        }  # fmt: skip
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, given),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            app.main(arguments)
        return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def asked(self, since: int) -> list[str]:
        """Hashes of the requests that reached the server since."""
        return [as_recorded(r) for r in self.server.requests[since:]]


def approve(review: crews.Review) -> crews.Answer:
    """The human of these stories."""
    if review.kind == "question":
        return crews.Answer("answer", "Yes.")
    return crews.Answer("approve")


@contextmanager
def a_house(folder: Path, *, apply: bool = False, **script: bool) -> Generator[House]:
    """A press that has done its work once; `apply`: its changes are applied, too."""
    folder.mkdir(exist_ok=True)
    made = a_press(folder)
    with MessagesServer(press(pause=0.0, **script)) as server:
        settings = crews.Settings(home=folder / "home", base_url=server.url, user="ada")
        result = crews.kickoff(
            GOAL, team=made.team, workspace=made.folder, ask=approve, settings=settings, apply=apply
        )
        assert (result.status, result.reason) == ("completed", "")
        with open_store(settings.journal_url) as store:
            yield House(made, server, settings, store, result.run_id)
