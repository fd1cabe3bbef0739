"""What would a request have cost, in tokens?

Four bytes are one token. That is no tokenizer: the numbers only have to be plausible, and the same
every time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

from tests.support.reply import Reply, Usage, block_json
from tests.support.request import JSONObject, Request, as_blocks

LOOK_BACK = 20
"""Blocks before a cache mark in which the API looks for a known prefix (prompt caching guide)."""


def by_size(request: Request, reply: Reply) -> Usage:
    """Tokens by size alone, nothing cached: a pure function of request and answer."""
    return Usage(
        input_tokens=_tokens(len(request.body)), output_tokens=output_tokens(request, reply)
    )


def output_tokens(request: Request, reply: Reply) -> int:
    """Tokens of the answer's content, at least 1."""
    blocks = [block_json(request, i, block) for i, block in enumerate(reply.blocks)]
    return _tokens(len(json.dumps(blocks, ensure_ascii=False).encode()))


def cached() -> Callable[[Request, Reply], Usage]:
    """A meter with a prompt cache: prefixes up to a cache mark are read if seen before."""
    known: set[bytes] = set()

    def meter(request: Request, reply: Reply) -> Usage:
        prefixes, marks = _prefixes(request)
        total = max(_tokens(len(request.body)), prefixes[-1][1] if prefixes else 0)
        near = {i for mark in marks for i in range(mark, max(-1, mark - LOOK_BACK), -1)}
        read = max((prefixes[i][1] for i in near if prefixes[i][0] in known), default=0)
        stored = max((prefixes[i][1] for i in marks), default=0)
        known.update(prefixes[i][0] for i in marks)
        return Usage(
            input_tokens=total - stored,
            output_tokens=output_tokens(request, reply),
            cache_creation_input_tokens=stored - read,
            cache_read_input_tokens=read,
        )

    return meter


def _prefixes(request: Request) -> tuple[list[tuple[bytes, int]], list[int]]:
    """Hash and tokens up to every block, in the API's order, and the places of the marks."""
    running, size, marks = hashlib.sha256(request.model.encode()), 0, list[int]()
    prefixes: list[tuple[bytes, int]] = []
    for index, (place, block) in enumerate(_blocks(request)):
        if "cache_control" in block:
            marks.append(index)
        bare = {k: v for k, v in block.items() if k != "cache_control"}
        data = json.dumps([place, bare], ensure_ascii=False, sort_keys=True).encode()
        running.update(data)
        size += len(data)
        prefixes.append((running.digest(), _tokens(size)))
    return prefixes, marks


def _blocks(request: Request) -> Iterator[tuple[str, JSONObject]]:
    for tool in request.tools:
        yield "tools", tool
    for block in as_blocks(request.json.get("system")):
        yield "system", block
    for message in request.messages:
        for block in as_blocks(message.get("content")):
            yield str(message.get("role")), block


def _tokens(size: int) -> int:
    return max(1, size // 4)
