"""On what does a test of the gate stand? A real journal, a real workspace, and tools that count."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from crews.errors import Waiting
from crews.records import audit, inbox
from crews.records.inbox import Question
from crews.records.journal import Journal
from crews.records.questions import Decision, ReviewRow
from crews.records.rows import CallRow
from crews.records.runs import claim
from crews.records.store import Store, open_store
from crews.safety.action import Standing
from crews.safety.known import Known
from crews.safety.redact import Redactor
from crews.teams.spec import Effect, Match, PolicySpec, Rule, Ruling
from crews.tools.base import (
    Args,
    NeedsReview,
    Preview,
    Tool,
    ToolContext,
    ToolError,
    ToolResult,
)
from crews.tools.copying import make_workspace
from crews.tools.gate import AnyTool, Gate, Seat
from crews.tools.workspace import Workspace
from tests.records import builders

SECRET = "wr0ng-h0rse-battery"


class Words(Args):
    """What the tools of these tests take."""

    text: str = ""
    times: int = 1


Act = Callable[[Words, ToolContext], str]


class Probe(Tool[Words]):
    """A tool that does what the test says, and counts."""

    args = Words
    description = "for tests"

    def __init__(self, act: Act, changes: str = "") -> None:
        self._act = act
        self._command = changes
        self.runs: list[str] = []
        self.decisions: list[str] = []

    def preview(self, args: Words, context: ToolContext) -> Preview:
        """The text, as a command."""
        del context
        if args.text == "impossible":
            raise ToolError("that can never work")
        if args.text == "unclear":
            raise RuntimeError("no idea")
        return Preview(command=args.text)

    async def run(self, args: Words, context: ToolContext) -> ToolResult:
        """Count, then act."""
        self.runs.append(context.call)
        await asyncio.sleep(0)
        return ToolResult(self._act(args, context))

    async def decided(self, args: Words, context: ToolContext, review: ReviewRow) -> ToolResult:
        """Go on with what the human said."""
        del args, context
        self.decisions.append(review.decision)
        if review.answer == "again":
            raise NeedsReview(builders.question("question", address=review.address))
        return ToolResult(f"heard: {review.answer}")


def said(args: Words, context: ToolContext) -> str:
    del context
    return args.text


def probe(effect: Effect = "read", act: Act = said, **values: Any) -> Probe:
    """A tool `probe` of that effect; `values` are its class variables."""
    kind = type("OneProbe", (Probe,), {"name": "probe", "effect": effect, **values})
    return kind(act)


def rule(ruling: Ruling, effect: Effect = "read", **rest: Any) -> Rule:
    return Rule(
        name=f"{ruling}-it", when=Match(effect=(effect,)), ruling=ruling, reason="so", **rest
    )


class _Died(BaseException):
    pass


@dataclass(slots=True)
class Bench:
    """A gate over a real journal and a real workspace."""

    store: Store
    journal: Journal
    workspace: Workspace
    policy: PolicySpec = PolicySpec()
    team_hash: str = "team"
    write_paths: tuple[str, ...] = ("**",)
    autonomy: int = 2
    spent: Decimal = Decimal(0)
    may_act: Callable[[], bool] = lambda: True
    draining: Callable[[], bool] = lambda: False
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def gate(self) -> Gate:
        async def open_review(question: Question, call: dict[str, Any]) -> ReviewRow:
            return inbox.open_review(self.journal, question, **call)

        def on_call(call: CallRow, agent: str, text: str) -> None:
            self.told.append((call.state, text))
            assert agent == "ann"

        return Gate(
            journal=self.journal,
            policy=self.policy,
            team_hash=self.team_hash,
            redactor=Redactor({"PASSWORD": SECRET}),
            open_review=open_review,
            on_call=on_call,
            may_act=self.may_act,
            draining=self.draining,
        )

    def seat(self, *tools: AnyTool) -> Seat:
        granted = {t.name: t for t in tools}

        def standing() -> Standing:
            return Standing(
                autonomy=self.autonomy,
                granted_tools=frozenset(granted),
                write_paths=self.write_paths,
                sandbox="bubblewrap",
                spent=self.spent,
            )

        context = ToolContext(
            workspace=self.workspace, sandbox=None, agent="ann", thread="/", call=""
        )
        return Seat("ann", "worker", granted, standing, context, Known(exposure="trusted"))

    def propose(self, tool: str, /, **arguments: Any) -> CallRow:
        """Record a turn with this one call."""
        number = len(self.journal.turns("/"))
        call = builders.call(
            self.journal, turn=number, tool=tool, arguments=json.dumps(arguments), effect="write"
        )
        self.journal.record_turn(builders.turn(self.journal, number=number), [call])
        return call

    def settle(self, call: CallRow, *tools: AnyTool) -> CallRow:
        """Take the call to its end; what is returned is what is in the journal."""
        row = asyncio.run(self.gate().settle(call, self.seat(*tools)))
        assert row == self.now(call)
        self.journal.flush()
        assert row == self.now(call)
        return row

    def waits(self, call: CallRow, *tools: AnyTool) -> ReviewRow:
        """The review for which the call waits."""
        with pytest.raises(Waiting):
            self.settle(call, *tools)
        row = self.now(call)
        review = inbox.get_review(self.store, row.review)
        assert review.state == "open"
        assert review.address == call.address
        return review

    def decide(self, review: ReviewRow, decision: Decision, **more: Any) -> None:
        inbox.decide(self.store, review.id, decision, by="eve", **more)

    def dies_in(self, call: CallRow, tool: AnyTool, *, after: bool = False) -> CallRow:
        """Let the owner die in the middle of the call's effect: before it happens, or right `after` it."""
        whole = tool.run

        async def killed(args: Any, context: ToolContext) -> ToolResult:
            if after:
                await whole(args, context)
            raise _Died

        with mock.patch.object(tool, "run", killed), pytest.raises(_Died):
            self.settle(call, tool)
        row = self.now(call)
        assert row.state == "started"
        return row

    def now(self, call: CallRow) -> CallRow:
        row = self.journal.call(call.path, call.turn, call.place)
        assert row is not None
        return row

    def taken_over(self) -> Bench:
        """The same run in the hands of the next owner."""
        run = self.journal.run
        journal = Journal(self.store, run, claim(self.store, run))
        return replace(self, journal=journal)

    def kinds(self) -> list[str]:
        """What the audit log says of calls, oldest first."""
        rows = audit.entries(self.store, self.journal.run)
        return [r.kind for r in rows if '"call"' in r.body or r.kind.startswith("review")]


def ruled(bench: Bench, *rules: Rule) -> Bench:
    return replace(bench, policy=PolicySpec(rules=rules))


@contextmanager
def laid_out(folder: Path, url: str = "") -> Generator[Bench]:
    """A bench over a workspace with `a.txt`; `url`: of its journal."""
    source = folder / "source"
    source.mkdir()
    (source / "a.txt").write_text("one\n", encoding="utf-8")
    workspace = make_workspace(source, folder / "run", 10)
    with open_store(url or f"sqlite:///{folder / 'crews.db'}") as store:
        journal = builders.owned(store)
        builders.thread(journal)
        yield Bench(store, journal, workspace)
