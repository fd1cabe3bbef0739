"""What does a loop cost that does nothing but ask, on the `anthropic` SDK with cache marks? The reference.

It keeps nothing, judges nothing and tells nobody; its tools are the same by name, and as short as they can be, unless
`--extra` names a JSON file of other texts: a list of the two agents' `tools` and `system`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam, TextBlockParam, ToolParam, ToolUseBlock

from benchmarks.floor.client import MAX_TOKENS, MODEL, Asked, asked, run
from benchmarks.floor.reading import list_files, read_file
from benchmarks.floor.roles import GOAL, LEAD, WORKER

Act = Callable[[ToolUseBlock], Awaitable[str]]


def tool(name: str, description: str, *required: str, **properties: object) -> ToolParam:
    """A tool; each property is its JSON schema, or its type."""
    schema = {n: {"type": p} if isinstance(p, str) else p for n, p in properties.items()}
    taken = {"type": "object", "properties": schema, "required": list(required)}
    return cast("ToolParam", {"name": name, "description": description, "input_schema": taken})


_STEP = {
    "type": "object",
    "properties": {n: {"type": "string"} for n in ("id", "agent", "task", "expected_output")},
    "required": ["id", "agent", "task", "expected_output"],
}
END = {"summary": "string", "confidence": "number"}
LEADS = (
    tool("plan", "Write down the steps.", "steps", steps={"type": "array", "items": _STEP}),
    tool("delegate", "Give a step to its agent; several at once run at once.", "step", step="string"),
    tool("finish", "End with a report.", *END, **END),
)  # fmt: skip
WORKS = (
    tool("list_files", "List files beneath a folder.", "path", path="string"),
    tool("read_file", "Read a text file; each line with its number.", "path", path="string"),
    tool("search", "Find lines by a regular expression.", "pattern", pattern="string"),
    tool("hand_over", "End your work with what you found.", *END, **END),
)


class Bare:
    """One job at a time, or many."""

    def __init__(self, given: Asked) -> None:
        self._client = AsyncAnthropic(api_key="none", base_url=given.url)
        self._files = given.files
        self._lead, self._worker = (LEAD, LEADS), (WORKER, WORKS)
        if given.extra:
            texts = json.loads(Path(given.extra).read_text(encoding="utf-8"))
            self._lead, self._worker = ((t["system"][0]["text"], t["tools"]) for t in texts)

    async def job(self, number: int) -> None:
        """A supervisor and its workers, to the report."""
        del number
        tasks: dict[str, tuple[str, str]] = {}

        async def act(use: ToolUseBlock) -> str:
            given = cast("dict[str, Any]", use.input)
            if use.name == "plan":
                tasks.update({s["id"]: (s["agent"], s["task"]) for s in given["steps"]})
                return "ok"
            agent, task = tasks[given["step"]]
            system, tools = self._worker
            system = system.replace("worker1", agent)
            return await self._thread(system, tools, task, self._read, "hand_over")

        await self._thread(*self._lead, GOAL, act, "finish")

    async def _read(self, use: ToolUseBlock) -> str:
        given = cast("dict[str, Any]", use.input)
        if use.name == "list_files":
            return list_files(self._files, given["path"])
        return read_file(self._files, given["path"])

    async def _thread(
        self, system: str, tools: Sequence[ToolParam], task: str, act: Act, ending: str
    ) -> str:
        messages: list[MessageParam] = [{"role": "user", "content": task}]
        while True:
            message = await self._ask(system, tools, messages)
            uses = [block for block in message.content if block.type == "tool_use"]
            for use in uses:
                if use.name == ending:
                    return str(cast("dict[str, Any]", use.input)["summary"])
            if not uses:
                return ""
            done = await asyncio.gather(*(act(use) for use in uses))
            content = [b.to_dict(mode="json", exclude_unset=True) for b in message.content]
            messages.append(cast("MessageParam", {"role": "assistant", "content": content}))
            found = [
                {"type": "tool_result", "tool_use_id": use.id, "content": text}
                for use, text in zip(uses, done, strict=True)
            ]
            messages.append(cast("MessageParam", {"role": "user", "content": found}))

    async def _ask(
        self, system: str, tools: Sequence[ToolParam], messages: list[MessageParam]
    ) -> Message:
        marked: TextBlockParam = {
            "type": "text", "text": system, "cache_control": {"type": "ephemeral"},
        }  # fmt: skip
        async with self._client.messages.stream(
            model=MODEL,
            max_tokens=MAX_TOKENS,
            system=[marked],
            tools=tools,
            messages=messages,
            cache_control={"type": "ephemeral"},
        ) as stream:
            return await stream.get_final_message()


if __name__ == "__main__":
    given = asked()
    run(given, Bare(given).job)
