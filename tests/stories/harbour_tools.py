"""Which tools of CrewAI does the harbour's team use? Each leaves a line outside the run, that can be counted."""

from __future__ import annotations

import os
import time

from crewai.tools import BaseTool
from pydantic import BaseModel

PAUSE = 0.05
"""Seconds before and after the line: a death may fall on either side."""


class PlaceArgs(BaseModel):
    """Where it is done."""

    place: str


class KeyedArgs(BaseModel):
    """Where it is done, and under which key."""

    place: str
    key: str


class Stamp(BaseTool):
    """Cannot be taken back, and has no key."""

    name: str = "stamp"
    description: str = "Stamps the papers of a place."
    args_schema: type[BaseModel] = PlaceArgs

    def _run(self, place: str) -> str:
        return leave_line(f"{self.name} {place}")


class Moor(Stamp):
    """The same, where a human is asked first."""

    name: str = "moor"
    description: str = "Moors a ship at a place."


class Tally(BaseTool):
    """Whoever calls it again under the same key changes nothing."""

    name: str = "tally"
    description: str = "Counts the cargo of a place."
    args_schema: type[BaseModel] = KeyedArgs
    crews_idempotency_key: str = "key"

    def _run(self, place: str, key: str) -> str:
        return leave_line(f"{self.name} {place} {key}")


def leave_line(line: str) -> str:
    """Write one line, whole, into the ledger of the harbour."""
    time.sleep(PAUSE)
    ledger = os.open(os.environ["HARBOUR_LEDGER"], os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(ledger, f"{line}\n".encode())
    finally:
        os.close(ledger)
    time.sleep(PAUSE)
    return f"{line}: done"
