"""What does a scripted model answer, judged from the request alone?

A script keeps no state: which turn it is, and what the tools returned, is read from the request's
messages. It is therefore the same model after any restart, of the client or of the server.

    brain = scripted({
        "worker": [
            reply(call("read_file", path="a.txt")),
            lambda request: reply(text(f"It says {last_results(request)[0].text}")),
        ],
    })
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from tests.support.reply import Block, Reply, StopReason, Text, Thinking, ToolUse, Usage
from tests.support.request import JSONObject, Request, as_blocks, as_object, text_of

MARKER = r"^You are (?P<agent>[^\n,]+),"
"""How a system prompt names its agent: `You are AGENT, ROLE.` on a line of its own."""

Step = Reply | Callable[[Request], Reply]
Script = Callable[[Request], Reply]
"""A brain that keeps no state."""


class ToolResult(NamedTuple):
    """What one tool call of the last turn returned."""

    tool_use_id: str
    text: str
    is_error: bool


class ToolCall(NamedTuple):
    """One tool call that the model asked for."""

    id: str
    name: str
    input: JSONObject


def agent_of(request: Request, marker: str = MARKER) -> str:
    """The agent whose turn it is: group `agent` of `marker` in the system prompt; or empty."""
    found = re.search(marker, request.system, re.MULTILINE)
    return found["agent"].strip() if found else ""


def turn_of(request: Request) -> int:
    """How many answers this thread has had so far; 0 in its first request."""
    return sum(message.get("role") == "assistant" for message in request.messages)


def task_of(request: Request) -> str:
    """The text of the thread's first message."""
    return text_of(request.messages[0].get("content")) if request.messages else ""


def last_results(request: Request) -> list[ToolResult]:
    """The tool results in the last message, in their order."""
    blocks = as_blocks(request.messages[-1].get("content")) if request.messages else ()
    return [
        ToolResult(str(b.get("tool_use_id")), text_of(b.get("content")), b.get("is_error") is True)
        for b in blocks
        if b.get("type") == "tool_result"
    ]


def calls_of(request: Request) -> list[ToolCall]:
    """Every tool call of the thread so far, in order."""
    return [
        ToolCall(str(block["id"]), str(block["name"]), as_object(block.get("input")))
        for message in request.messages
        for block in as_blocks(message.get("content"))
        if block.get("type") == "tool_use"
    ]


def tool_names(request: Request) -> tuple[str, ...]:
    """Names of the tools that the request offers, in order."""
    return tuple(str(tool.get("name", "")) for tool in request.tools)


def text(content: str) -> Text:
    """A block of text."""
    return Text(content)


def thinking(content: str) -> Thinking:
    """A block of thinking; its signature is drawn from the text."""
    return Thinking(content)


def call(name: str, /, **arguments: object) -> ToolUse:
    """A tool call; its id is drawn from the request's hash and its place in the answer."""
    return ToolUse(name, arguments)


def reply(
    *blocks: Block, stop_reason: StopReason | None = None, usage: Usage | None = None
) -> Reply:
    """An answer of these blocks."""
    return Reply(blocks, stop_reason=stop_reason, usage=usage)


def scripted(steps: Mapping[str, Sequence[Step]], *, marker: str = MARKER) -> Script:
    """A model that takes, for each agent, one step a turn.

    Args:
        steps: For every agent the answers to its turns. The agent `*` stands for all others.
        marker: The regular expression with a group `agent` that finds the agent's name.

    Returns:
        A brain. It raises LookupError for an agent or a turn that has no step, which
        `MessagesServer` turns into an error that is not retried and a failed test.
    """

    def answer(request: Request) -> Reply:
        agent, turn = agent_of(request, marker), turn_of(request)
        own = steps.get(agent, steps.get("*"))
        if own is None:
            raise LookupError(f"no script for agent {agent!r}: {request.system[:200]!r}")
        if turn >= len(own):
            last = json.dumps(request.messages[-1], ensure_ascii=False)[-500:]
            raise LookupError(f"{agent!r} has no step {turn}; its last message: {last}")
        step = own[turn]
        return step if isinstance(step, Reply) else step(request)

    return answer
