"""What does the model answer in the job that all are measured on? Read from each request alone.

A supervisor gives work to workers, each of whom reads files; then everybody reports. What the tools are called, and
what they take, is each system's own: a tool with `delegate` in its name gives work away, `plan` is called first
where it is there, `finish` and `hand_over` end a thread where they are there, else a text does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Block = dict[str, Any]
FILES = 30
"""Files in the folder that is worked on."""
REPORT = "Every note was read. None contradicts another, and what they say together is what was asked for."
_SAID = "I look at the next place before I say anything of it."


@dataclass(frozen=True, slots=True)
class Script:
    """The job's size, and how fast the model is."""

    calls: int = 3
    """Tool calls of each worker, one a turn."""
    workers: int = 3
    together: bool = False
    """The supervisor gives all work away in one turn."""
    latency: float = 0.0
    """Seconds before an answer begins."""
    asks: bool = False
    """The supervisor asks a human first, where it can, and waits."""


def file_name(number: int) -> str:
    """Path of one of the files that are read."""
    return f"notes/{number % FILES:02}.md"


def answer(request: Mapping[str, Any], script: Script) -> list[Block]:
    """The content of the answer to a request; ids are the server's."""
    tools: dict[str, Block] = {tool["name"]: tool for tool in request.get("tools") or ()}
    turn = sum(message["role"] == "assistant" for message in request["messages"])
    gives = next((name for name in tools if "delegate" in name), "")
    calls = _lead(tools, gives, turn, script) if gives else _work(tools, turn, script)
    return [{"type": "text", "text": _SAID}, *calls] if calls else [_text(REPORT)]


def _lead(tools: Mapping[str, Block], gives: str, turn: int, script: Script) -> list[Block]:
    everyone = list(range(1, script.workers + 1))
    if script.asks and "ask_human" in tools and turn == 0:
        return [_call("ask_human", {"question": "Which of the notes count?"})]
    if "plan" in tools and turn == 0:
        first = [] if script.together else ["s1"]
        return [_call("plan", {"steps": [_step(n, first if n > 1 else []) for n in everyone]})]
    # Where a plan costs a turn, two pieces are given away in one, so that the requests are as many.
    groups = [[n] for n in everyone] if "plan" not in tools else [everyone[:1], everyone[1:]]
    groups = [everyone] if script.together else [group for group in groups if group]
    at = turn - ("plan" in tools)
    if at < len(groups):
        return [_call(gives, _work_for(tools[gives], n)) for n in groups[at]]
    return _end(tools, "finish")


def _step(number: int, after: list[str]) -> Block:
    who, what = f"worker{number}", _task(number)
    step: Block = {"id": f"s{number}", "agent": who, "task": what, "expected_output": "a report"}
    return step | ({"depends_on": after} if after else {})


def _work_for(tool: Block, number: int) -> Block:
    taken = tool["input_schema"]["properties"]
    if "step" in taken:
        return {"step": f"s{number}"}
    given = {"task": _task(number), "context": "None.", "coworker": f"Worker {number}"}
    return {name: value for name, value in given.items() if name in taken} | (
        {"worker": number} if "worker" in taken else {}
    )


def _work(tools: Mapping[str, Block], turn: int, script: Script) -> list[Block]:
    if turn < script.calls and "read_file" in tools:
        if turn % 10 == 1:
            return [_call("list_files", {"path": "notes"})]
        return [_call("read_file", {"path": file_name(turn)})]
    return _end(tools, "hand_over")


def _end(tools: Mapping[str, Block], name: str) -> list[Block]:
    return [_call(name, {"summary": REPORT, "confidence": 0.9})] if name in tools else []


def _task(number: int) -> str:
    return f"Read the notes of part {number} and report what they say."


def _call(name: str, given: Block) -> Block:
    return {"type": "tool_use", "name": name, "input": given}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def stops(blocks: Sequence[Block]) -> str:
    """The answer's stop reason."""
    return "tool_use" if any(b["type"] == "tool_use" for b in blocks) else "end_turn"


def with_ids(blocks: Sequence[Block], number: int) -> Iterator[Block]:
    """The blocks, each tool call with an id of its own."""
    for index, block in enumerate(blocks):
        named = {"id": f"toolu_{number:08}{index:02}"} if block["type"] == "tool_use" else {}
        yield {**block, **named}
