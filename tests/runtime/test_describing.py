"""Is a tool described in few words, and with all that is needed to call it?"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field

from crews.runtime.describing import definition
from crews.tools.base import Args, Tool, ToolContext, ToolResult


class PackArgs(Args):
    """What nobody but a reader of this file needs."""

    where: Annotated[str, Field(min_length=1, max_length=4000, description="a folder")]
    weight: Annotated[float, Field(gt=0, le=20)]
    count: Annotated[int, Field(ge=1, le=9)] = 3
    kinds: Annotated[tuple[str, ...] | None, Field(max_length=50)] = None
    deep: bool = False
    whole: bool = True


class Pack(Tool[PackArgs]):
    """A tool."""

    name: ClassVar[str] = "pack"
    description: ClassVar[str] = "Pack things."
    effect = "read"
    args = PackArgs

    async def run(self, args: PackArgs, context: ToolContext) -> ToolResult:
        raise NotImplementedError


def test_only_what_a_caller_needs_is_said() -> None:
    assert definition(Pack()) == {
        "name": "pack",
        "description": "Pack things.",
        "input_schema": {
            "type": "object",
            "properties": {
                "where": {"type": "string", "description": "a folder"},
                "weight": {"type": "number", "exclusiveMinimum": 0, "maximum": 20},
                "count": {"type": "integer", "maximum": 9, "default": 3},
                "kinds": {"type": "array", "items": {"type": "string"}},
                "deep": {"type": "boolean"},
                "whole": {"type": "boolean", "default": True},
            },
            "required": ["where", "weight"],
        },
    }


class PostArgs(BaseModel):
    """Of a tool from elsewhere."""

    text: Annotated[str, Field(max_length=280, pattern="^[a-z]+$")]
    loud: bool = False


class Post(Pack):
    """A tool from elsewhere."""

    args = PostArgs  # type: ignore[assignment]


def test_the_bounds_of_a_tool_from_elsewhere_are_kept() -> None:
    assert definition(Post())["input_schema"] == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": 280, "pattern": "^[a-z]+$"},
            "loud": {"type": "boolean", "default": False},
        },
        "required": ["text"],
    }
