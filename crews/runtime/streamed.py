"""What do the events of a streamed answer add up to?

As the SDK's own accumulation has it, on the JSON as it comes: every field of a block is kept, known or not.
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pydantic_core import from_json

from crews.errors import ModelError
from crews.runtime.models import Block
from crews.safety.bounds import CHARACTERS_A_TOKEN

_TEXTS: Mapping[str, str] = {"text_delta": "text", "thinking_delta": "thinking"}
"""Kind of a delta -> the kind of block that it is for, which is also the field whose text goes on."""
_TOLD = frozenset({"input_tokens", "output_tokens"})
"""Without these nobody knows what an answer took, which is never counted as nothing."""


class BrokenStream(Exception):
    """An answer that began and did not end."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens; counts of a later event replace those of an earlier one."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """A whole answer."""

    blocks: tuple[Block, ...]
    stop_reason: str
    usage: Usage


@dataclass(slots=True)
class _Growing:
    """An answer so far."""

    room: int
    """Characters that it may still have."""
    blocks: list[Block] = field(default_factory=list[Block])
    arguments: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    """Pieces of a call's JSON, by the block's place."""
    usage: Usage | None = None
    told: set[str] = field(default_factory=set[str])
    """Counts that were given; what was written is known at the end only."""
    stop_reason: str = ""

    def add(self, event: Block) -> None:
        """Take one more event; one of a kind that is not known changes nothing."""
        kind = event.get("type")
        if kind == "content_block_delta":
            self._grow(event["index"], event["delta"])
        elif kind == "content_block_start":
            self.blocks.append(dict(event["content_block"]))
        elif kind == "message_start":
            self._start(event["message"])
        elif kind == "message_delta":
            self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
            if self.usage is not None:  # else it has no start
                self.usage, given = _counted(self.usage, event.get("usage") or {})
                self.told |= given

    def _start(self, message: Block) -> None:
        """Take what an answer begins with: mostly nothing but what was read."""
        self.usage, given = _counted(Usage(), message["usage"])
        self.blocks = [dict(block) for block in message.get("content") or ()]
        self.stop_reason = message.get("stop_reason") or ""
        self.told = given if self.stop_reason else given - {"output_tokens"}

    def _grow(self, place: int, delta: Block) -> None:
        block, kind = self.blocks[place], delta["type"]
        of = block.get("type")
        if kind == "input_json_delta":
            piece = delta["partial_json"]
            if str(of).endswith("tool_use"):
                self.arguments.setdefault(place, []).append(piece)
            self.room -= len(piece)
        elif kind in _TEXTS:
            name = _TEXTS[kind]
            if of == name:
                block[name] = block.get(name, "") + delta[name]
            self.room -= len(delta[name])
        elif kind == "signature_delta" and of == "thinking":
            block["signature"] = delta["signature"]
        elif kind == "citations_delta" and of == "text":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]

    def whole(self) -> Message:
        """What it has come to.

        Raises:
            BrokenStream: it has no end, or does not say what it took.
            ValueError: a call's arguments are no JSON.
        """
        if self.usage is None or not self.stop_reason:
            raise BrokenStream("the answer broke off")
        if not self.told >= _TOLD:
            raise BrokenStream("the answer does not say how many tokens it took")
        for place, pieces in self.arguments.items():
            if text := "".join(pieces):
                # Where the answer reached its limit, the JSON may end in its middle.
                self.blocks[place]["input"] = from_json(text, allow_partial=True)
        return Message(tuple(self.blocks), self.stop_reason, self.usage)


class _Events:
    """The events of a `text/event-stream`, from its bytes.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    def __init__(self) -> None:
        self._line = bytearray()
        """The beginning of a line whose end has not come."""
        self._returned = False
        """What came last was a carriage return."""
        self._kind = ""
        self._data: list[str] = []

    def more(self, piece: bytes) -> Iterator[object]:
        """JSON of the events that end with these bytes.

        Raises:
            BrokenStream: one of them says that the answer ends here.
            ValueError: what was sent is no UTF-8, or no JSON.
        """
        if self._returned:  # the other half of a line's end
            piece = piece.removeprefix(b"\n")
        end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
        self._returned = piece.endswith(b"\r")
        if not end:
            self._line += piece
            return
        text = (self._line + piece[:end]).decode()
        self._line = bytearray(piece[end:])
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        for line in text[:-1].split("\n"):
            if line:
                self._field(line)
            elif event := self._event():
                yield event[0]

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name == "data":
            self._data.append(value.removeprefix(" "))
        elif name == "event":
            self._kind = value.removeprefix(" ")

    def _event(self) -> tuple[object] | None:
        """What the lines so far add up to, if it is an event of an answer: these have names."""
        kind, data = self._kind, "\n".join(self._data)
        self._kind, self._data = "", []
        if kind == "error":
            raise BrokenStream(data[:300] or "the answer ended in an error")
        return (json.loads(data),) if data and kind and kind != "ping" else None


async def read(pieces: AsyncIterable[bytes], max_tokens: int) -> Message:
    """Read an answer to its end, if it has one within what it was allowed.

    Args:
        pieces: Of a `text/event-stream`, as they come.
        max_tokens: What the answer was allowed.

    Raises:
        BrokenStream: it has no end.
        ModelError: it does not end.
        AttributeError, LookupError, RecursionError, TypeError, ValueError: what comes is no answer of the Messages API.
    """
    growing, events = _Growing(room=max_tokens * CHARACTERS_A_TOKEN), _Events()
    async for piece in pieces:
        for event in events.more(piece):
            growing.add(cast("Block", event))
            growing.room -= 1
            if growing.room < 0:
                what = f"an answer of more than {max_tokens} tokens had no end"
                raise ModelError(what, billed=True)
    return growing.whole()


def _counted(before: Usage, told: Mapping[str, Any]) -> tuple[Usage, set[str]]:
    """The counts, with those that an event gives, and which these are; it leaves out what does not apply."""
    given = {n: int(told[n]) for n in Usage.__slots__ if told.get(n) is not None}
    if any(count < 0 for count in given.values()):
        raise ValueError("an answer cannot take less than nothing")
    return replace(before, **given), set(given)
