"""Which team works on many runs at once while its processes die? A harbour: four berths, effects that count.

Each run is about a ship of its own, so that no request of one is a request of another.
"""

from __future__ import annotations

from pathlib import Path

from tests.stories.teams import write
from tests.support.reply import Reply, Usage
from tests.support.request import Request
from tests.support.scripts import Script, agent_of, call, reply, task_of, text, turn_of

AGENTS = """\
master:
  role: Harbour master
  goal: Every ship is served.
  backstory: You have never lost a ship.
  llm: claude-opus-5-5
  tools: [list_files]
  oversight: {duty: supervisor}

pilot:
  role: Pilot
  goal: Papers stamped, cargo counted.
  backstory: You know each berth.
  llm: claude-sonnet-5-5
  tools:
    - read_file
    - write_file
    - tests.stories.harbour_tools:Stamp
    - tests.stories.harbour_tools:Tally
    - tests.stories.harbour_tools:Moor
  oversight: {write_paths: ["log/**"]}
"""
TASKS = """\
ship:
  description: "{goal}"
  expected_output: What was done at each berth.
"""
POLICY = """\
autonomy: 2
rules:
  - name: papers
    when: {tool: [stamp, tally]}
    ruling: allow
  - name: mooring
    when: {tool: [moor]}
    ruling: ask
    reason: A ship that is moored stays.
"""
FIRST = ("east", "west", "north")
"""Berths that are served at once; the last one waits for them."""
BERTHS = (*FIRST, "south")
MOORED = "north"
"""Where a human is asked."""


def a_harbour(folder: Path) -> Path:
    """Write the team and its project into `folder`; returns the team's folder."""
    write(folder / "team", {"agents.yaml": AGENTS, "tasks.yaml": TASKS, "policy.yaml": POLICY})
    write(folder / "harbour", {"rules.md": "Stamp, count, write it down.\n"})
    return folder / "team"


def goal(ship: int) -> str:
    """The goal of one run."""
    return f"Serve ship {ship}."


def place(ship: int, berth: str) -> str:
    """What the tools are given."""
    return f"ship-{ship}-{berth}"


def harbour(delay: float = 0.02) -> Script:
    """The models of the harbour, without any state."""

    def answer(request: Request) -> Reply:
        ship = _ship(request)
        found = _master(ship, turn_of(request)) if agent_of(request) == "master" else None
        if found is None:
            berth = next(b for b in BERTHS if f"berth {b}" in task_of(request))
            found = _pilot(ship, berth, turn_of(request))
        return Reply(found.blocks, found.stop_reason, usage=Usage(100, 20), delay=delay)

    return answer


def _ship(request: Request) -> int:
    return int(task_of(request).partition("ship ")[2].partition(".")[0].partition(" ")[0])


def _master(ship: int, turn: int) -> Reply:
    steps = [
        {"id": berth, "agent": "pilot",
         "task": f"Serve ship {ship} at berth {berth}, place {place(ship, berth)}",
         "expected_output": "What was done.", "depends_on": [] if berth in FIRST else list(FIRST)}
        for berth in BERTHS
    ]  # fmt: skip
    script = [
        reply(text("Three at once."), call("plan", steps=steps)),
        reply(*(call("delegate", step=berth) for berth in FIRST)),
        reply(call("delegate", step="south")),
        reply(call("finish", summary=f"Ship {ship} is served.", confidence=0.9)),
    ]
    return script[turn]


def _pilot(ship: int, berth: str, turn: int) -> Reply:
    where = place(ship, berth)
    script = [
        reply(call("read_file", path="rules.md"), call("stamp", place=where)),
        reply(call("tally", place=where), call("write_file", path=f"log/{berth}.txt", content=where)),
        *([reply(call("moor", place=where))] if berth == MOORED else []),
        reply(call("hand_over", summary=f"{where} is served.", changes=[f"log/{berth}.txt"],
                   evidence=["0.1"], confidence=0.9)),
    ]  # fmt: skip
    return script[turn]
