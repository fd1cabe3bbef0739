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
    below: str = "."
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
                "weight": {"type": "number", "maximum": 20},
                "count": {"type": "integer", "maximum": 9},
                "below": {"type": "string"},
                "kinds": {"type": "array", "items": {"type": "string"}},
                "deep": {"type": "boolean"},
                "whole": {"type": "boolean", "default": True},
            },
            "required": ["where", "weight"],
        },
    }


def test_what_means_nothing_where_it_is_called_is_not_said() -> None:
    tool = Pack()
    tool.unsaid = frozenset({"count", "deep", "whole"})
    said = definition(tool)["input_schema"]
    assert set(said["properties"]) == {"where", "weight", "below", "kinds"}
    assert said["required"] == ["where", "weight"]
    assert (
        tool.args.model_validate({"where": "x", "weight": 1, "count": 4}).model_dump()["count"] == 4
    )
    assert "count" in definition(Pack())["input_schema"]["properties"]


class Box(Args):
    """What is used once, and holds what is used twice."""

    lid: Annotated[Lid, Field(description="of wood")]
    floor: Lid


class Lid(Args):
    """What is used twice."""

    size: int


class BoxesArgs(Args):
    """What holds a list of the one, and a tree."""

    boxes: tuple[Box, ...]
    tree: Tree | None = None


class Tree(Args):
    """What holds itself."""

    parts: tuple[Tree, ...] = ()


class Boxes(Pack):
    """A tool with parts."""

    args = BoxesArgs  # type: ignore[assignment]


def test_a_part_that_is_used_once_is_described_in_its_place() -> None:
    lid, tree = {"$ref": "#/$defs/Lid"}, {"$ref": "#/$defs/Tree"}
    box = {"lid": lid | {"description": "of wood"}, "floor": lid}
    assert definition(Boxes())["input_schema"] == {
        "$defs": {
            "Lid": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]},
            "Tree": {"type": "object", "properties": {"parts": {"type": "array", "items": tree}}},
        },
        "type": "object",
        "properties": {
            "boxes": {
                "type": "array",
                "items": {"type": "object", "properties": box, "required": ["lid", "floor"]},
            },
            "tree": tree,
        },
        "required": ["boxes"],
    }  # fmt: skip


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
