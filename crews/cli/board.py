"""Where does a run stand, agent by agent? A picture that events change, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from crews.plain import one_line
from crews.records.events import Event
from crews.records.questions import ReviewRow
from crews.records.rows import RunRow, ThreadRow
from crews.report.money import Money, of_turn

NodeState = Literal["thinking", "working", "waiting", "done", "failed"]
_STATES: dict[str, NodeState] = {
    "turn_started": "thinking",
    "call_started": "working",
    "review_opened": "waiting",
    "review_decided": "working",
}
_ENDED: dict[str, NodeState] = {"done": "done", "failed": "failed"}


@dataclass(slots=True)
class Node:
    """One agent at its thread."""

    path: str
    agent: str
    task: str = ""
    state: NodeState = "thinking"
    turns: int = 0
    tokens: int = 0
    money: Money = Money()
    tools: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    """The calls that run now, by turn and place."""

    @property
    def doing(self) -> str:
        """What the agent does at this moment, in a few words."""
        if self.tools:
            return ", ".join(dict.fromkeys(self.tools.values()))
        return self.state


class Board:
    """The picture of one run; events may come from another thread than the one that draws."""

    def __init__(
        self, run: RunRow, threads: Iterable[ThreadRow] = (), reviews: Iterable[ReviewRow] = ()
    ) -> None:
        self.lock = threading.RLock()
        self.run = run.id
        self.goal = one_line(run.goal)
        self.walls = run.walls
        self.tokens = run.tokens
        self.money = Money(run.money, run.money_known)
        self.nodes = {t.path: _node(t) for t in threads}
        self.reviews = {r.id: one_line(r.title) for r in reviews if r.state == "open"}
        self.notice = ""

    def note(self, event: Event) -> None:
        """Take one event in."""
        with self.lock:
            if event.thread:
                self._note_thread(event)
            self._note_run(event)

    def _note_run(self, event: Event) -> None:
        if event.run_tokens:
            known = self.money.known and event.money is not None
            self.tokens, self.money = event.run_tokens, Money(event.run_money, known)
        if event.kind == "review_opened":
            self.reviews[event.review] = one_line(event.text)
        elif event.kind == "review_decided":
            self.reviews.pop(event.review, None)
        elif event.kind in {"retry", "warning", "budget_breached", "compacted", "plan_made"}:
            self.notice = one_line(f"{event.kind.replace('_', ' ')}: {event.text}", 160)

    def _note_thread(self, event: Event) -> None:
        node = self.nodes.get(event.thread)
        if node is None:
            node = self.nodes[event.thread] = Node(event.thread, one_line(event.agent, 40))
        if event.kind in _STATES:
            node.state = _STATES[event.kind]
        if event.kind == "thread_started":
            node.task = one_line(event.text, 160) or node.task
        elif event.kind == "thread_ended":
            node.tools.clear()
            node.state = _ENDED.get(event.state, "done")
        elif event.kind == "turn_ended":
            node.turns += 1
            node.tokens += event.tokens
            node.money += of_turn(event.money)
        else:
            _note_call(node, event)

    def below(self, path: str | None) -> list[Node]:
        """The nodes right below one; None: those that stand below no other."""
        return [n for n in self.nodes.values() if self._parent(n.path) == path]

    def _parent(self, path: str) -> str | None:
        while path.strip("/"):
            path = path.rstrip("/").rpartition("/")[0] or "/"
            if path in self.nodes:
                return path
        return None


def _note_call(node: Node, event: Event) -> None:
    if event.kind == "call_started":
        node.tools[event.turn, event.place] = one_line(event.tool, 40)
    elif event.kind == "call_ended":
        node.tools.pop((event.turn, event.place), None)


def _node(thread: ThreadRow) -> Node:
    return Node(
        path=thread.path,
        agent=one_line(thread.agent, 40),
        task=one_line(thread.task, 160),
        state=_ENDED.get(thread.state, "thinking"),
        turns=thread.turns,
        tokens=thread.tokens,
        money=Money(thread.money, thread.money_known),
    )
