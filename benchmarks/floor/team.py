"""Which team does the job here? Its YAML, with the bundled policy's rules and limits that nothing reaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import yaml

from benchmarks.floor.client import MAX_TOKENS, MODEL, ROOT
from benchmarks.floor.roles import LEAD_GOAL, LEAD_STORY, WORKER_GOAL, WORKER_STORY

WORKERS = 3
_MANY = 1_000_000
_LIMITS = {"money": 1000, "tokens": 1_000_000_000, "wall": "1d", "turns": _MANY, "calls": _MANY}
_READING = ["list_files", "read_file", "search"]


def write_team(folder: Path) -> Path:
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    lead = _agent("Supervisor", LEAD_GOAL, LEAD_STORY, [], {"duty": "supervisor"})
    agents = {"supervisor": lead} | {
        f"worker{n}": _agent("Researcher", WORKER_GOAL, WORKER_STORY, _READING, {})
        for n in range(1, WORKERS + 1)
    }
    task = {"description": "{goal}", "expected_output": "A short report."}
    _write(folder / "agents.yaml", agents)
    _write(folder / "tasks.yaml", {"report": task})
    text = (ROOT / "config" / "policy.yaml").read_text(encoding="utf-8")
    policy = cast("dict[str, Any]", yaml.safe_load(text))
    _write(folder / "policy.yaml", policy | {"limits": _LIMITS, "delegation": _LIMITS})
    return folder


def _agent(
    role: str, goal: str, story: str, tools: list[str], oversight: dict[str, str]
) -> dict[str, Any]:
    agent: dict[str, Any] = {"role": role, "goal": goal, "backstory": story, "llm": MODEL}
    agent |= {"max_iter": _MANY, "max_tokens": MAX_TOKENS}
    agent |= {"tools": tools} if tools else {}
    return agent | ({"oversight": oversight} if oversight else {})


def _write(path: Path, value: object) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
