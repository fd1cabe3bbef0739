"""What would the requests of a job have cost to read, with the prompt cache as it is billed?

Four bytes are one token. A prefix that ends at a cache mark is kept, and read from then on for a tenth; keeping it
costs a quarter more. The smallest size of a prefix that the real API keeps, and the time for which it does, are left
out: they would help nobody more than another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WRITE, READ = 1.25, 0.1
LOOK_BACK = 20
"""Blocks before a mark in which the API looks for a prefix that it knows."""
BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Bill:
    """What all requests read."""

    plain: float
    """Tokens at the full price."""
    written: float
    read: float

    @property
    def equivalent(self) -> float:
        """Tokens that would cost as much without a cache."""
        return self.plain + self.written * WRITE + self.read * READ


def bill(requests: Iterable[Mapping[str, Any]]) -> Bill:
    """The bill of requests in the order in which they came."""
    known: set[bytes] = set()
    plain = written = read = 0
    for request in requests:
        ends, marks = _prefixes(request)
        total = ends[-1][1] if ends else 0
        near = {i for mark in marks for i in range(mark, max(-1, mark - LOOK_BACK), -1)}
        found = max((ends[i][1] for i in near if ends[i][0] in known), default=0)
        kept = max((ends[i][1] for i in marks), default=0)
        known.update(ends[i][0] for i in marks)
        plain, written, read = plain + total - kept, written + kept - found, read + found
    return Bill(plain / BYTES_A_TOKEN, written / BYTES_A_TOKEN, read / BYTES_A_TOKEN)


def fixed_texts(requests: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tools and system prompt of each agent's first request, by the names of its tools."""
    found: dict[str, dict[str, Any]] = {}
    for request in requests:
        tools: list[dict[str, Any]] = request.get("tools") or []
        names = ", ".join(tool["name"] for tool in tools)
        found.setdefault(names, {"tools": tools, "system": request.get("system") or ""})
    return found


def size(value: object) -> int:
    """Bytes of a value as JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _prefixes(request: Mapping[str, Any]) -> tuple[list[tuple[bytes, int]], list[int]]:
    """Hash and bytes up to each block, in the API's order, and the places of the marks."""
    running, size = hashlib.sha256(str(request.get("model")).encode()), 0
    ends: list[tuple[bytes, int]] = []
    marks: list[int] = []
    for index, (place, block) in enumerate(_blocks(request)):
        if block.get("cache_control"):
            marks.append(index)
        bare = {name: value for name, value in block.items() if name != "cache_control"}
        data = json.dumps([place, bare], ensure_ascii=False, separators=(",", ":")).encode()
        running.update(data)
        size += len(data)
        ends.append((running.digest(), size))
    if request.get("cache_control") and ends:  # the automatic mark
        marks.append(len(ends) - 1)
    return ends, marks


def _blocks(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for tool in request.get("tools") or ():
        yield "tools", tool
    for block in _as_blocks(request.get("system") or ()):
        yield "system", block
    for message in request["messages"]:
        for block in _as_blocks(message["content"]):
            yield str(message["role"]), block


def _as_blocks(content: str | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
