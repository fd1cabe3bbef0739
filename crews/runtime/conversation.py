"""What has been said in a thread so far, as the messages of the next request?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from crews.records.journal import Journal
from crews.records.rows import CallRow, ThreadRow, TurnRow
from crews.records.store import dump
from crews.runtime.models import Block
from crews.runtime.prompts import CUT_OFF, EMPTY, TAKEN_OUT

BYTES_PER_TOKEN = 3.0
"""Lower than the usual 3.5 to 4 bytes of English and code a token, so that an estimate is rather too high."""
FRAMING = 1_000
"""Tokens that a provider adds of its own: its text about tools takes up to some 700, a message less than 10."""

SHORT = 400
"""Characters of a result that are kept in a compacted thread."""
KEPT_TURNS = 6
"""Newest turns that a compaction leaves whole."""


@dataclass(slots=True)
class Conversation:
    """A thread's messages, grown as its rows are written; loading it is all that a resume needs."""

    thread: ThreadRow
    messages: list[Block] = field(default_factory=list[Block])
    texts: list[str] = field(default_factory=list[str])
    """The messages as JSON, which is written once."""
    ids: set[str] = field(default_factory=set[str])
    """Of the model's calls."""
    turns: int = 0
    last: TurnRow | None = None
    calls: tuple[CallRow, ...] = ()
    """Calls of the last turn."""
    seen_tokens: int = 0
    """Tokens of the last request and its answer."""
    unseen_bytes: int = 0
    """Bytes of what was added since."""
    all_bytes: int = 0
    """Bytes of everything, answers included."""
    tools: tuple[Block, ...] = field(default=())
    settled: tuple[CallRow, ...] = ()
    """Calls of the turns before the last one, as they were loaded."""

    @classmethod
    def begin(cls, thread: ThreadRow) -> Conversation:
        """A conversation in which only the brief has been said."""
        talk = cls(thread, tools=_defined(thread.tools))
        talk._say("user", thread.brief)
        talk.unseen_bytes = talk.all_bytes = _size(thread.brief) + _fixed(thread)
        return talk

    @classmethod
    def load(cls, journal: Journal, thread: ThreadRow) -> Conversation:
        """The conversation as the journal holds it; the last turn's calls may still be open."""
        talk = cls.begin(thread)
        rows, calls = journal.turns(thread.path), journal.calls(thread.path)
        talk.settled = tuple(c for c in calls if c.turn < len(rows) - 1)
        for row in rows:
            talk.add_turn(row, tuple(c for c in calls if c.turn == row.turn))
            if thread.compacted and row.turn == thread.compacted + KEPT_TURNS - 1:
                talk.estimate_anew()  # the turns after this one were asked for without the results
            if row.turn < len(rows) - 1:
                talk.add_results(talk.calls)
        return talk

    def add_turn(self, turn: TurnRow, calls: Sequence[CallRow]) -> None:
        """Add an answer; its results follow with `add_results`."""
        content = sendable(turn.content)
        self._say("assistant", content)
        self.ids.update(block["id"] for block in content if block.get("type") == "tool_use")
        self.turns = turn.turn + 1
        self.last, self.calls = turn, tuple(calls)
        self.seen_tokens, self.unseen_bytes = turn.tokens, 0
        self.all_bytes += len(turn.blocks.encode(errors="surrogatepass"))

    def add_results(self, calls: Sequence[CallRow]) -> None:
        """Add the user message that answers the last turn: results in order, then the engine's notice."""
        turn = self.last
        if turn is None:
            return
        old = turn.turn < self.thread.compacted
        content = results(turn, {c.use_id: c for c in calls}, old=old)
        self._say("user", content)
        size = _size(content)
        self.unseen_bytes += size
        self.all_bytes += size
        self.last = None

    def _say(self, role: str, content: str | list[Block]) -> None:
        message: Block = {"role": role, "content": content}
        self.messages.append(message)
        self.texts.append(dump(message))

    def newest_text(self) -> str:
        """What the model last said in words."""
        for message in reversed(self.messages):
            if message["role"] == "assistant" and (text := text_of(message["content"])):
                return text
        return ""

    def estimate_anew(self) -> None:
        """Count every byte again: what the last request read says nothing after a compaction."""
        self.seen_tokens = 0
        self.all_bytes = self.unseen_bytes = _fixed(self.thread) + _size(self.messages)

    def estimated_tokens(self) -> int:
        """About how many tokens the next request reads: what the last one was, and what came since."""
        return self.seen_tokens + int(self.unseen_bytes / BYTES_PER_TOKEN) + 1

    def most_tokens(self, *, by_one_model: bool, forced: bool = False) -> int:
        """No fewer tokens than the next request reads, whatever is in it: none is less than a byte.

        Args:
            by_one_model: What the last request took is known in the tokens of the model that is asked next.
            forced: The model is made to call a tool: the provider's text about that may be longer.
        """
        if by_one_model and self.seen_tokens:  # the framing is in what was seen
            return self.seen_tokens + self.unseen_bytes + (FRAMING if forced else 1)
        return self.all_bytes + FRAMING


def text_of(blocks: Sequence[Block]) -> str:
    """What is said in words."""
    return "\n".join(str(b["text"]) for b in blocks if b.get("type") == "text")


@lru_cache(maxsize=128)
def _defined(tools: str) -> tuple[Block, ...]:
    """A thread's tools, which nobody changes: all runs of a team share them."""
    return tuple(json.loads(tools))


def sendable(content: list[Block]) -> list[Block]:
    """An answer as it goes back: the API refuses its own where nothing is in it, or only white space."""
    kept = [b for b in content if b.get("type") != "text" or str(b.get("text", "")).strip()]
    return kept or [{"type": "text", "text": EMPTY}]


def results(turn: TurnRow, calls: Mapping[str, CallRow], *, old: bool = False) -> list[Block]:
    """The content of the user message after a turn; the same rows always give the same bytes.

    Args:
        turn: The turn.
        calls: Its calls by the id that the model gave them.
        old: Long results are left out: the thread was compacted.
    """
    content: list[Block] = []
    for block in turn.content:
        if block.get("type") == "tool_use":
            call = calls.get(block["id"])
            content.append(_result(block, call, old=old))
    if turn.notice:
        content.append({"type": "text", "text": turn.notice})
    return content


def _result(block: Block, call: CallRow | None, *, old: bool) -> Block:
    text, failed = (CUT_OFF, True) if call is None else (call.result, call.is_error)
    if call is not None and old and len(text) > SHORT:
        text = TAKEN_OUT.format(call=f"{call.turn}.{call.place}", size=len(text))
    result: dict[str, Any] = {
        "type": "tool_result",
        "tool_use_id": block["id"],
        "content": text or "[no output]",
    }
    if failed:
        result["is_error"] = True
    return result


def _fixed(thread: ThreadRow) -> int:
    """Bytes of what stands before the messages of every request."""
    return _size(thread.system) + len(thread.tools.encode(errors="surrogatepass"))


def _size(value: Any) -> int:
    """Length as JSON in ASCII: text that is no English takes more tokens than it has characters."""
    return len(json.dumps(value))
