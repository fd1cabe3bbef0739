"""How does a test run a command? In this process where that is enough, else in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crews.cli.app import main
from crews.records.store import Store, open_store


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
class Journal:
    """A journal of its own, and commands that use it."""

    home: Path
    captured: pytest.CaptureFixture[str]

    @contextmanager
    def store(self) -> Generator[Store]:
        """The open journal."""
        with open_store(f"sqlite:///{self.home / 'crews.db'}") as store:
            yield store

    def run(self, *arguments: str) -> Ran:
        """Run a command in this process."""
        self.captured.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        out, err = self.captured.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    def process(self, *arguments: str, environment: Mapping[str, str] = {}) -> Ran:
        """Run a command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "crews", *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)
