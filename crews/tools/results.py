"""What was in the part of a result that the model was not shown?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from crews.records.rows import CallRow
from crews.safety.bounds import LARGEST_RESULT, LONGEST_SECRET
from crews.safety.known import ENGINES_OWN
from crews.tools.base import Args, Tool, ToolContext, ToolError, ToolResult

RESULT_LIMIT = 16_000
"""Characters of a result that the model is shown; the rest is kept for `read_result`."""
PIECE = 12_000
"""Characters of one answer."""

Lookup = Callable[[str, int, int], str | None]
"""Thread, turn and place of a call -> its whole result, if there is such a call."""


class ReadResultArgs(Args):
    """Which result, and from where."""

    call: Annotated[str, Field(description="TURN.INDEX")]
    offset: Annotated[int, Field(ge=0, description="in characters")] = 0


class ReadResult(Tool[ReadResultArgs]):
    """Reads on in a clipped result of the same thread."""

    name = "read_result"
    description = "Read on in an earlier result that was clipped."
    effect = "read"
    inner = True
    declared = ENGINES_OWN
    args = ReadResultArgs

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def run(self, args: ReadResultArgs, context: ToolContext) -> ToolResult:
        """The next piece, and where to go on."""
        turn, _, place = args.call.partition(".")
        if not (turn.isdecimal() and place.isdecimal()):
            raise ToolError(f"`{args.call}` is no call; write TURN.INDEX, like 3.0")
        whole = self._lookup(context.thread, int(turn), int(place))
        if whole is None:
            raise ToolError(f"you have made no call {args.call}")
        piece = whole[args.offset : args.offset + PIECE]
        left = len(whole) - args.offset - len(piece)
        more = f"\n[{left} more characters: offset={args.offset + len(piece)}]" if left > 0 else ""
        return ToolResult((piece or "[nothing there]") + more)


def plain(text: str) -> str:
    """The text with an escape for what neither the journal nor a request can hold."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def shortened(text: str, clean: Callable[[str], str]) -> str:
    """A result as it is kept: no more than `LARGEST_RESULT`, and cleaned before it is cut."""
    left_out = len(text) - LARGEST_RESULT
    cleaned = clean(plain(text[: LARGEST_RESULT + LONGEST_SECRET]))
    if left_out <= 0:
        return cleaned
    note = f"\n[{left_out:,} more characters were not kept: ask for less at a time]"
    return cleaned[:LARGEST_RESULT] + note


def clip(text: str, call: CallRow) -> tuple[str, str | None]:
    """What the model is shown, and the whole text if that is more."""
    if len(text) <= RESULT_LIMIT:
        return text, None
    place = f"{call.turn}.{call.place}"
    note = f"\n[{len(text) - RESULT_LIMIT} more characters: read_result call={place} offset={RESULT_LIMIT}]"
    return text[:RESULT_LIMIT] + note, text
