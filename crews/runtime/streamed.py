"""What do the events of a streamed answer add up to?

As the SDK's own accumulation has it, on the JSON as it comes: every field of a block is kept, known or not.
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
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


async def read(events: AsyncIterable[object], max_tokens: int) -> Message:
    """Read an answer to its end, if it has one within what it was allowed.

    Args:
        events: JSON of each.
        max_tokens: What it was allowed.

    Raises:
        BrokenStream: it has no end.
        ModelError: it does not end.
        LookupError, TypeError, ValueError: events that are none of the Messages API's.
    """
    growing = _Growing(room=max_tokens * CHARACTERS_A_TOKEN)
    async for event in events:
        growing.add(cast("Block", event))
        growing.room -= 1
        if growing.room < 0:
            raise ModelError(f"an answer of more than {max_tokens} tokens had no end", billed=True)
    return growing.whole()


def _counted(before: Usage, told: Mapping[str, Any]) -> tuple[Usage, set[str]]:
    """The counts, with those that an event gives, and which these are; it leaves out what does not apply."""
    given = {n: int(told[n]) for n in Usage.__slots__ if told.get(n) is not None}
    if any(count < 0 for count in given.values()):
        raise ValueError("an answer cannot take less than nothing")
    return replace(before, **given), set(given)
