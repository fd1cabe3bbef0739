"""How does a journal look after a run? Rows written by the journal's own functions, with fixed times."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, update

from crews.records.inbox import Question, decide, open_review
from crews.records.journal import Journal
from crews.records.questions import Brief, ReviewRow
from crews.records.rows import (
    CallRow,
    CallState,
    HandOver,
    RunOptions,
    ThreadKind,
    ThreadRow,
    TurnRow,
)
from crews.records.runs import claim, new_run
from crews.records.store import Store
from crews.records.tables import reviews
from crews.safety.action import Finding, Verdict
from crews.teams.spec import AgentSpec, Limits, PolicySpec, Ruling, TaskSpec, TeamSpec

R = TypeVar("R")
START = 1_790_000_000.0
"""2026-09-21 14:13 UTC."""
DIFF = "--- a/app.py\n+++ b/app.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"


def a_team() -> TeamSpec:
    """A small team."""
    agent = AgentSpec(name="lead", role="Lead", goal="Lead", backstory="Leads")
    task = TaskSpec(name="deliver", description="Do it", expected_output="Done")
    limits = Limits(tokens=50_000, money=Decimal("2.00"))
    return TeamSpec(
        name="small",
        folder=Path("small"),
        agents=(agent,),
        tasks=(task,),
        policy=PolicySpec(limits=limits),
    )


def a_question(**values: Any) -> Question:
    """A question about a command."""
    subject: dict[str, Any] = {"tool": "run_command", "effect": "execute", "command": "make ship",
               "arguments": {"command": "make ship", "seconds": 60}, "paths": [], "diff": ""}  # fmt: skip
    fields: dict[str, Any] = {
        "kind": "action",
        "address": "/0.0:0.1",
        "agent": "coder",
        "title": "coder wants to run `make ship`",
        "subject": subject,
        "content_hash": "c" * 64,
        "rule": "commands-are-asked",
        "reason": "commands can do anything",
        "brief_note": "this team has no escalation agent",
    }
    return Question(**{**fields, **values})


def a_row(kind: type[R], /, **values: Any) -> R:
    """A row; a column that is not given holds nothing."""
    nothing: dict[str, object] = {"str": "", "int": 0, "float": 0.0, "bool": False}
    empty = {f.name: nothing.get(str(f.type)) for f in fields(kind)}  # type: ignore[arg-type]
    return kind(**{**empty, **values})


@dataclass(frozen=True, slots=True)
class Written:
    """A run in the hands of a test."""

    store: Store
    journal: Journal

    @property
    def id(self) -> str:
        """The run's id."""
        return self.journal.run

    def thread(
        self, path: str, agent: str, at: float, kind: ThreadKind = "delegation", task: str = "work"
    ) -> None:
        """Begin a thread, `at` seconds into the run."""
        self.journal.begin_thread(
            a_row(
                ThreadRow,
                run=self.id,
                path=path,
                kind=kind,
                agent=agent,
                task=task,
                model="m-1",
                grants='{"tools": []}',
                limits="{}",
                state="open",
                flags="[]",
                money_known=True,
                started_at=START + at,
            )
        )
        self.journal.flush()

    def turn(
        self,
        path: str,
        number: int,
        at: float,
        *calls: CallRow,
        says: str = "",
        model: str = "m-1",
        money: int | None = 1_500_000,
    ) -> None:
        """Record a turn of 1,100 tokens with its calls."""
        blocks = [{"type": "text", "text": says}] if says else []
        self.journal.record_turn(
            a_row(
                TurnRow,
                run=self.id,
                path=path,
                turn=number,
                model=model,
                blocks=json.dumps(blocks),
                stop_reason="tool_use",
                input_tokens=600,
                output_tokens=100,
                cache_write_tokens=300,
                cache_read_tokens=100,
                money=money,
                ended_at=START + at,
            ),
            calls,
        )

    def call(
        self,
        path: str,
        turn: int,
        place: int,
        tool: str,
        state: CallState = "done",
        ruling: Ruling = "allow",
        rule: str = "",
        reason: str = "",
        /,
        **arguments: Any,
    ) -> CallRow:
        """A call as a row, to be recorded with its turn."""
        return a_row(
            CallRow,
            run=self.id,
            path=path,
            turn=turn,
            place=place,
            use_id=f"u{turn}{place}",
            tool=tool,
            arguments=json.dumps(arguments),
            effect="read",
            ruling=ruling,
            rule=rule,
            reason=reason,
            findings="[]",
            state=state,
            is_error=state in {"denied", "failed"},
        )

    def end(self, path: str, at: float, handover: HandOver, flags: tuple[str, ...] = ()) -> None:
        """End a thread."""
        self.journal.end_thread(path, handover, flags=flags)
        self.journal.set_thread(path, ended_at=START + at, working_seconds=4.0)

    def review(self, at: float, **values: Any) -> ReviewRow:
        """Open a review `at` seconds into the run."""
        row = open_review(self.journal, a_question(**values))
        self._when(row.id, opened_at=START + at)
        return row

    def decided(self, review: str, decision: Any, at: float, answer: str = "") -> None:
        """Decide a review."""
        # The run that is written down here goes on by itself: nobody has to wake it.
        decide(self.store, review, decision, by="ada", answer=answer, wake=_nobody)
        self._when(review, decided_at=START + at)

    def rule(self, call: CallRow, ruling: Ruling, rule: str, reason: str) -> None:
        """Rule on a recorded call."""
        self.journal.rule_call(call, Verdict(ruling, rule, reason), "coder")

    def _when(self, review: str, **times: float) -> None:
        with self.store.writing() as connection:
            connection.execute(update(reviews).where(reviews.c.id == review).values(**times))


def begun(store: Store, goal: str = "Make it faster", **options: Any) -> Written:
    """A run that this process has claimed."""
    run = new_run(
        store, goal=goal, inputs={}, team=a_team(), options=RunOptions(started_by="ada", **options)
    )
    written = Written(store, Journal(store, run.id, claim(store, run.id)))
    written.journal.set_run(created_at=START, started_at=START)
    return written


def worked(store: Store) -> Written:
    """A run with two delegations at once, a refusal, a rejected action and an open change set."""
    run = begun(store)
    lead = [run.call("/", 0, n, "delegate", agent=a) for n, a in enumerate(("coder", "reader"))]
    run.thread("/", "lead", 1, "task", "Make it faster")
    run.turn("/", 0, 3, *lead, says="I split the work.")
    run.thread("/0.0", "coder", 4, task="Change app.py")
    run.thread("/0.1", "reader", 5, task="Read the notes")
    read = run.call("/0.0", 0, 0, "read_file", path="app.py")
    ship = run.call("/0.0", 0, 1, "run_command", "denied", "ask", "commands-are-asked",
                    "commands can do anything", command="make ship")  # fmt: skip
    run.turn("/0.0", 0, 7, read, ship)
    fetch = run.call("/0.1", 0, 0, "read_file", "denied", "deny", "secrets-stay-out",
                     "this file holds secrets", path=".env")  # fmt: skip
    run.turn("/0.1", 0, 8, fetch, model="local", money=None)
    ship_review = open_review(run.journal, a_question(), state="denied")
    run._when(ship_review.id, opened_at=START + 9)  # pyright: ignore[reportPrivateUsage]
    run.decided(ship_review.id, "reject", 69, "not today")
    run.end("/0.0", 80, HandOver(
        summary="Made it faster.\n# Approved by the owner\n<b>really</b>", changes=("app.py: x",),
        evidence=("0.0", "7.7"), confidence=0.8, open_questions=("Ship on Monday?",),
    ), ("it says that tests passed, but no call ran them",))  # fmt: skip
    run.end("/0.1", 12, HandOver(summary="Could not read it.", confidence=0.2, verdict="reject"))
    run.review(
        90,
        kind="change_set",
        address="/:1.0",
        agent="lead",
        title="Apply 1 changed file to shop",
        rule="change-sets-are-asked",
        reason="changes leave the run",
        findings=(Finding("auth", "app.py", 12, "the check is gone"),),
        subject={"diff": DIFF, "folder": "shop", "summary": "Faster now.", "reviewed_by": "reader",
                 "apply": True,
                 "files": [{"path": "app.py", "kind": "modified", "additions": 1, "deletions": 1}]},
        brief=Brief(what="A constant changes.", why="Rules say so.", risk="high",
                    checked=("the tests",), recommendation="reject", unknown=("the traffic",)),
        brief_note="",
    )  # fmt: skip
    run.journal.release("waiting", worked=14.5)
    return run


def _nobody(connection: Connection, run: str) -> None:
    """Wakes nobody."""
    del connection, run
