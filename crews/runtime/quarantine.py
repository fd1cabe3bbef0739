"""How does a reader of hostile text hand over what it found? As single values of declared kinds, and no words.

Who asked for them is not exposed to what was read; the values themselves stay labelled, so that none of them
can aim an action without a human.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, cast

from pydantic import ConfigDict, Field, create_model

from crews.records.rows import HandOver, ReturnField
from crews.safety.known import ENGINES_OWN
from crews.tools.base import Args, Tool, ToolContext, ToolResult
from crews.tools.gate import AnyTool

MOST: Final = 50
"""Values of one list."""
_TEXT: Final[Mapping[str, str]] = {
    "date": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?$",
    "email": r"^[\w.+%-]{1,64}@[A-Za-z0-9.-]{1,100}$",
    "link": r"^https?://[^\s<>\"'`]{1,200}$",
    "path": r"^[\w./@+-]{1,200}$",
    "word": r"^[\w.+-]{1,64}$",
}
"""Shapes without white space: no sentence fits into one."""


class ReturnTool(Tool[Any]):
    """Ends a quarantined reader's thread."""

    name = "return_values"
    description = "End your work: return the values that were asked for. null: it is not there."
    effect = "read"
    inner = True
    declared = ENGINES_OWN
    ends_thread = True

    async def run(self, args: Any, context: ToolContext) -> ToolResult:
        """Nothing but the end."""
        del args, context
        return ToolResult("Returned.")

    def handover(self, args: Args) -> HandOver:
        """The values as JSON, and not a word beside them."""
        given = args.model_dump(mode="json")
        sources = cast("Sequence[str]", given.pop("sources"))
        return HandOver(
            summary=json.dumps(given, ensure_ascii=True), evidence=tuple(sources), confidence=1.0
        )


def returning(fields: Sequence[ReturnField]) -> AnyTool:
    """The tool that returns these values, each with its kind, and the calls that they come from."""
    kinds: dict[str, Any] = {field.name: (_kind(field), None) for field in fields}
    call = Annotated[str, Field(pattern=r"^\d{1,4}\.\d{1,3}$", description="TURN.INDEX")]
    kinds["sources"] = (Annotated[tuple[call, ...], Field(max_length=MOST)], ())
    shaped = create_model("ReturnArgs", __config__=ConfigDict(frozen=True, extra="forbid"), **kinds)
    tool = type("ReturnTool", (ReturnTool,), {"args": shaped})
    return cast("AnyTool", tool())


def _kind(field: ReturnField) -> Any:
    one: Any
    if field.kind == "number":
        one = float
    elif field.kind == "flag":
        one = bool
    elif field.kind == "choice":
        one = Literal[field.choices or ("",)]
    else:
        one = Annotated[str, Field(pattern=_TEXT[field.kind])]
    kind: Any = Annotated[tuple[one, ...], Field(max_length=MOST)] if field.many else one
    return kind | None
