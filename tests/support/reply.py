"""What does the scripted model answer, and how does that look on the wire?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.support.request import JSONObject, Request

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
]
Fault = Literal[
    "hang_up", "cut", "truncated", "garbled", "stray", "error_event", "bad_input", "deep_input",
    "deep_event",
]  # fmt: skip
"""What goes wrong on the way:

- `hang_up`: the connection is closed before the first byte.
- `cut`: the connection is closed in the middle of the answer.
- `truncated`: half of the answer, then an orderly end without `message_stop`.
- `garbled`: half of the answer, then an event that is no JSON.
- `stray`: half of the answer, then a piece of a block that has not begun.
- `error_event`: half of the answer, then an `overloaded_error` event.
- `bad_input`: a tool's arguments are no JSON.
- `deep_input`: a tool's arguments are JSON nested without end.
- `deep_event`: half of the answer, then an event that is such JSON.
"""

_BEFORE: Mapping[str, str] = {"bad_input": "{]", "deep_input": '{"a": ' + "[" * 10_000}
"""What stands before a tool's arguments."""
ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
ERROR_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    thinking: str
    signature: str = ""
    """Empty: drawn from the text, so that the same thought has the same signature."""


@dataclass(frozen=True, slots=True)
class RedactedThinking:
    data: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    input: Mapping[str, object] = field(default_factory=dict[str, object])
    id: str = ""
    """Empty: drawn from the request's hash and the block's place in the answer."""


Block = Text | Thinking | RedactedThinking | ToolUse


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens; the whole input is the sum of the three inputs."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: content, or an error (`status`), or a fault on the way."""

    blocks: tuple[Block, ...] = ()
    stop_reason: StopReason | None = None
    """None: `tool_use` if a tool is called, else `end_turn`."""
    usage: Usage | None = None
    """None: computed from the sizes of request and answer."""
    delay: float = 0.0
    """Seconds before the first byte."""
    pause: float = 0.0
    """Seconds between the events of a streamed answer."""
    status: int = 200
    message: str = ""
    """Text of an error."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of the answer."""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as it goes over the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    chunks: tuple[bytes, ...]
    whole: bool = True
    """False: the connection is closed after the chunks."""


def failure(status: int, message: str = "", *, retry_after: float | None = None) -> Reply:
    """An error answer; `retry_after` in seconds."""
    headers = () if retry_after is None else (("retry-after", f"{retry_after:g}"),)
    return Reply(status=status, message=message or f"a scripted {status}", headers=headers)


def encode(request: Request, reply: Reply, usage: Usage, piece: int) -> Answer:
    """The answer to `request`; streamed text comes in deltas of `piece` characters."""
    headers = (("request-id", request.id), *reply.headers)
    json_headers = (("content-type", "application/json"), *headers)
    if reply.status >= 400:
        return Answer(reply.status, json_headers, (_error(request, reply),))
    if reply.fault == "hang_up":
        return Answer(0, (), (), whole=False)
    if request.stream:
        headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"), *headers)
        chunks = tuple(_events(request, reply, usage, piece))
    else:
        headers = json_headers
        body = json.dumps(_message(request, reply, usage), ensure_ascii=False).encode()
        chunks = (body[: len(body) // 2], body[len(body) // 2 :])
    return Answer(200, headers, _spoil(chunks, reply.fault), whole=reply.fault != "cut")


def block_json(request: Request, index: int, block: Block) -> JSONObject:
    """A content block as the API shows it in a finished message."""
    match block:
        case Text():
            return {"type": "text", "text": block.text}
        case Thinking():
            return {"type": "thinking", "thinking": block.thinking, "signature": _signature(block)}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": block.data}
        case ToolUse():
            name = block.id or tool_id(request, index)
            return {"type": "tool_use", "id": name, "name": block.name, "input": dict(block.input)}


def tool_id(request: Request, index: int) -> str:
    """The id of the tool call at `index` of the answer; the same request always gets the same."""
    return "toolu_" + hashlib.sha256(f"{request.sha256}:{index}".encode()).hexdigest()[:24]


def stop_reason(reply: Reply) -> StopReason:
    """Why the answer stops."""
    calls = any(isinstance(block, ToolUse) for block in reply.blocks)
    return reply.stop_reason or ("tool_use" if calls else "end_turn")


def _error(request: Request, reply: Reply) -> bytes:
    kind = ERROR_TYPES.get(reply.status, "api_error")
    error = {"type": kind, "message": reply.message}
    return json.dumps({"type": "error", "error": error, "request_id": request.id}).encode()


def _message(request: Request, reply: Reply, usage: Usage) -> JSONObject:
    blocks = [block_json(request, i, block) for i, block in enumerate(reply.blocks)]
    return _frame(request, blocks, stop_reason(reply), usage, usage.output_tokens)


def _frame(
    request: Request, content: list[JSONObject], stop: str | None, usage: Usage, output: int
) -> JSONObject:
    return {
        "id": f"msg_{request.sha256[:24]}",
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {**_inputs(usage), "output_tokens": output, "service_tier": "standard"},
    }


def _inputs(usage: Usage) -> JSONObject:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
    }


def _events(request: Request, reply: Reply, usage: Usage, piece: int) -> Iterator[bytes]:
    yield _event("message_start", message=_frame(request, [], None, usage, 1))
    for index, block in enumerate(reply.blocks):
        yield _event(
            "content_block_start", index=index, content_block=_empty(request, index, block)
        )
        if index == 0:
            yield _event("ping")
        for delta in _deltas(block, piece, _BEFORE.get(reply.fault or "", "")):
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    delta = {"stop_reason": stop_reason(reply), "stop_sequence": None}
    total = {**_inputs(usage), "output_tokens": usage.output_tokens}
    yield _event("message_delta", delta=delta, usage=total)
    yield _event("message_stop")


def _event(kind: str, **data: object) -> bytes:
    return f"event: {kind}\ndata: {ENCODER.encode({'type': kind, **data})}\n\n".encode()


def _empty(request: Request, index: int, block: Block) -> JSONObject:
    blank: JSONObject = {}
    match block:
        case Text():
            blank = {"text": ""}
        case Thinking():
            blank = {"thinking": "", "signature": ""}
        case ToolUse():
            blank = {"input": {}}
        case RedactedThinking():
            pass
    return {**block_json(request, index, block), **blank}


def _deltas(block: Block, piece: int, before: str) -> Iterator[JSONObject]:
    match block:
        case Text():
            for part in _pieces(block.text, piece):
                yield {"type": "text_delta", "text": part}
        case Thinking():
            for part in _pieces(block.thinking, piece):
                yield {"type": "thinking_delta", "thinking": part}
            yield {"type": "signature_delta", "signature": _signature(block)}
        case ToolUse():
            yield {"type": "input_json_delta", "partial_json": ""}
            text = json.dumps(dict(block.input), ensure_ascii=False)
            for part in _pieces(before + text, piece):
                yield {"type": "input_json_delta", "partial_json": part}
        case RedactedThinking():
            pass


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _signature(block: Thinking) -> str:
    return block.signature or "sig" + hashlib.sha256(block.thinking.encode()).hexdigest()


def _spoil(chunks: tuple[bytes, ...], fault: Fault | None) -> tuple[bytes, ...]:
    half = chunks[: (len(chunks) + 1) // 2]
    match fault:
        case "cut" | "truncated":
            return half
        case "garbled":
            return (*half, b'event: content_block_delta\ndata: {"type": "content_bl\n\n')
        case "stray":
            delta = {"type": "text_delta", "text": "lost"}
            return (*half, _event("content_block_delta", index=99, delta=delta))
        case "deep_event":
            deep = '{"type": "content_block_delta", "index": 0, "delta": ' + "[" * 100_000
            return (*half, f"event: content_block_delta\ndata: {deep}\n\n".encode())
        case "error_event":
            error = {"type": "overloaded_error", "message": "Overloaded"}
            return (*half, _event("error", error=error))
        case _:
            return chunks
