"""What would the real Messages API refuse in a request?

Only what an agent loop gets wrong in practice: a request that passes here need not pass there, but
one that fails here fails there too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import groupby

from tests.support.reply import Reply, failure
from tests.support.request import JSONObject, Request, as_blocks, as_object

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
MAX_MARKS = 4


def refusal(request: Request) -> Reply | None:
    """The 4xx answer to a bad request; None if nothing is wrong with it."""
    if not {"x-api-key", "authorization"} & request.headers.keys():
        return failure(401, "x-api-key header is required")
    if "anthropic-version" not in request.headers:
        return failure(400, "anthropic-version: header is required")
    if not request.json:
        return failure(400, "The request body is not valid JSON")
    for rule in RULES:
        if problem := next(rule(request), None):
            return failure(400, problem)
    return None


def _required(request: Request) -> Iterator[str]:
    for key in ("model", "max_tokens", "messages"):
        if not request.json.get(key):
            yield f"{key}: Field required"
    if request.messages and request.messages[0].get("role") != "user":
        yield "messages: first message must use the user role"


def _contents(request: Request) -> Iterator[str]:
    last = len(request.messages) - 1
    for i, message in enumerate(request.messages):
        if message.get("role") not in ("user", "assistant", "system"):
            yield f"messages.{i}.role: unexpected value {message.get('role')!r}"
        blocks = as_blocks(message.get("content"))
        if not blocks and not (i == last and message.get("role") == "assistant"):
            yield f"messages.{i}: all messages must have non-empty content"
        for block in blocks:
            if block.get("type") == "text" and not str(block.get("text", "")).strip():
                yield f"messages.{i}: text content blocks must contain non-whitespace text"
            if block.get("type") == "thinking" and not block.get("signature"):
                yield f"messages.{i}: thinking.signature: Field required"


def _tool_pairs(request: Request) -> Iterator[str]:
    asked: set[object] = set()
    seen: set[object] = set()
    for i, blocks in enumerate(_turns(request)):
        answered = [b.get("tool_use_id") for b in blocks if b.get("type") == "tool_result"]
        if asked - set(answered):
            yield f"messages.{i}: `tool_use` ids were found without `tool_result` blocks: {asked}"
        if set(answered) - asked or len(set(answered)) != len(answered):
            yield f"messages.{i}: unexpected `tool_use_id` in `tool_result` blocks: {answered}"
        if answered and any(b.get("type") != "tool_result" for b in blocks[: len(answered)]):
            yield f"messages.{i}: `tool_result` blocks must come first"
        asked = {b.get("id") for b in blocks if b.get("type") == "tool_use"}
        if asked & seen:
            yield f"messages.{i}: `tool_use` ids must be unique"
        seen |= asked
    if asked:
        yield f"messages: `tool_use` ids were found without `tool_result` blocks: {asked}"


def _turns(request: Request) -> Iterator[list[JSONObject]]:
    """The messages' blocks; neighbours of one role are one turn, as the API reads them."""
    for _, group in groupby(request.messages, key=lambda message: message.get("role")):
        yield [block for message in group for block in as_blocks(message.get("content"))]


def _tools(request: Request) -> Iterator[str]:
    names = [str(tool.get("name", "")) for tool in request.tools]
    for i, name in enumerate(names):
        if not TOOL_NAME.fullmatch(name):
            yield f"tools.{i}.name: String should match pattern '^{TOOL_NAME.pattern}$'"
        schema = as_object(request.tools[i].get("input_schema"))
        if "type" not in request.tools[i] and schema.get("type") != "object":
            yield f"tools.{i}.input_schema.type: Input should be 'object'"
    if len(set(names)) != len(names):
        yield "tools: Tool names must be unique."


def _marks(request: Request) -> Iterator[str]:
    found = sum(_count_marks(block) for block in (*request.tools, *_all_blocks(request)))
    found += "cache_control" in request.json
    if found > MAX_MARKS:
        yield f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {found}."


def _all_blocks(request: Request) -> Iterator[JSONObject]:
    yield from as_blocks(request.json.get("system"))
    for message in request.messages:
        yield from as_blocks(message.get("content"))


def _count_marks(block: JSONObject) -> int:
    inner = as_blocks(block.get("content")) if block.get("type") == "tool_result" else ()
    return ("cache_control" in block) + sum("cache_control" in b for b in inner)


RULES: tuple[Callable[[Request], Iterator[str]], ...] = (
    _required,
    _contents,
    _tool_pairs,
    _tools,
    _marks,
)
