"""How does a CrewAI tool that a team names as `module:Class` come behind the gate?

Nothing is known of what it does, so it counts as `external`: policy asks before each call.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from typing import Any

from crews.errors import UsageError
from crews.tools.base import Tool, ToolContext, ToolError, ToolResult
from crews.tools.gate import AnyTool


def load_foreign(name: str) -> AnyTool:
    """The tool that `module:Class` names, under the name that CrewAI gives it.

    Raises:
        UsageError: it cannot be imported, or is no CrewAI tool.
    """
    module, _, attribute = name.partition(":")
    hint = "write `module:Class` of a CrewAI tool that can be imported here and needs no arguments"
    try:
        made = getattr(importlib.import_module(module), attribute)
        tool = made() if isinstance(made, type) else made
    except Exception as error:
        raise UsageError(f"tool `{name}` cannot be loaded: {error}", hint=hint) from error
    from crewai.tools import BaseTool

    if not isinstance(tool, BaseTool):
        raise UsageError(f"`{name}` is no CrewAI tool", hint=hint)
    return _wrapped(tool)


def _wrapped(inner: Any) -> AnyTool:
    class ForeignTool(Tool[Any]):
        """A CrewAI tool behind the gate."""

        name = re.sub(r"[^A-Za-z0-9_-]+", "_", inner.name).strip("_").lower()[:64] or "tool"
        description = str(inner.description)
        effect = "external"
        args = inner.args_schema

        async def run(self, args: Any, context: ToolContext) -> ToolResult:
            """Run the tool's own code on a thread of its own: CrewAI's tools are synchronous."""
            del context
            try:
                found = await asyncio.to_thread(inner.run, **args.model_dump())
            except Exception as error:
                raise ToolError(f"{type(error).__name__}: {error}") from error
            return ToolResult(str(found))

    return ForeignTool()
