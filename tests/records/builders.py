"""What does a small journal look like, to which a test adds what it is about?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crews.records.inbox import Question
from crews.records.journal import Journal
from crews.records.questions import ReviewKind
from crews.records.rows import CallRow, RunOptions, RunRow, ThreadRow, TurnRow
from crews.records.runs import claim, new_run
from crews.records.store import Store
from crews.teams.spec import AgentSpec, Limits, PolicySpec, TaskSpec, TeamSpec

ROOT = Path(__file__).resolve().parents[2]


def team(**policy: Any) -> TeamSpec:
    """A team of one."""
    return TeamSpec(
        name="small",
        folder=Path("small"),
        agents=(AgentSpec(name="ann", role="Ann", goal="Do", backstory="Did"),),
        tasks=(TaskSpec(name="do", description="Do it", expected_output="Done"),),
        policy=PolicySpec(**policy),
        sources={"agents.yaml": "ann: {}\n"},
    )


def run_of(store: Store, **policy: Any) -> RunRow:
    """A new run that nobody works on."""
    spec = team(**policy)
    return new_run(store, goal="Do it", inputs={"goal": "Do it"}, team=spec, options=RunOptions())


def owned(store: Store, **policy: Any) -> Journal:
    """The journal of a new run that this process has claimed."""
    run = run_of(store, **policy)
    return Journal(store, run.id, claim(store, run.id))


def thread(journal: Journal, path: str = "/", **values: Any) -> ThreadRow:
    """Begin a thread."""
    row = ThreadRow(
        run=journal.run, path=path, kind="task", agent="ann", task="work", step="", model="m-1",
        system="You are ann, Ann.", tools="[]", brief="Do it", grants='{"tools":[]}', limits="{}",
        state="open", handover=None, flags="[]", hash_before="", hash_after="", compacted=0,
        finish_now=False, tokens=0, money=0, money_known=True, turns=0, calls=0,
        working_seconds=0.0, started_at=1.0, ended_at=None,
    )  # fmt: skip
    row = replace(row, **values)
    journal.begin_thread(row)
    journal.flush()
    return row


def turn(journal: Journal, path: str = "/", number: int = 0, **values: Any) -> TurnRow:
    """A turn of 10 tokens and 7 nano-dollars; it is not recorded."""
    row = TurnRow(
        run=journal.run, path=path, turn=number, request_hash="h", model="m-1", blocks="[]",
        stop_reason="tool_use", notice="", input_tokens=4, output_tokens=3, cache_write_tokens=2,
        cache_read_tokens=1, money=7, seconds=0.1, ended_at=1.0,
    )  # fmt: skip
    return replace(row, **values)


def call(
    journal: Journal, path: str = "/", turn: int = 0, place: int = 0, **values: Any
) -> CallRow:
    """A proposed call; it is not recorded."""
    row = CallRow(
        run=journal.run, path=path, turn=turn, place=place, use_id=f"use-{turn}-{place}",
        tool="touch", arguments="{}", effect="write", ruling="", rule="", reason="", findings="[]",
        state="proposed", result="", whole_result=None, is_error=False, review="",
        epoch=journal.epoch, expected="", started_at=None, ended_at=None,
    )  # fmt: skip
    return replace(row, **values)


def question(kind: ReviewKind = "action", **values: Any) -> Question:
    """A question about the first call of the run's first thread."""
    asked = Question(
        kind=kind, address="/:0.0", agent="ann", title="May I?", subject={"tool": "touch"},
        content_hash="c" * 64, rule="careful", reason="it could hurt",
    )  # fmt: skip
    return replace(asked, **values)


def limits(**values: Any) -> Limits:
    """Limits as a team declares them."""
    return Limits.model_validate(values)


def blocks(*content: Mapping[str, Any]) -> str:
    """An answer's content as a turn keeps it."""
    return json.dumps(list(content))


def child(code: str, *arguments: str) -> subprocess.Popen[str]:
    """A Python process that runs `code` and can import `crews` and `tests`."""
    command = [sys.executable, "-c", code, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What the processes printed; an AssertionError with what went wrong if one of them failed."""
    printed: list[str] = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        printed.append(out.strip())
    return printed
