"""Who answers the measured? A Messages API on loopback, in a process of its own, which only counts while it answers.

`python -m benchmarks.floor.server` prints its URL and serves until its standard input ends. POST /script takes a
`Script` as JSON and forgets what was counted before; GET /report says what was counted since.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.floor.billing import BYTES_A_TOKEN, bill, fixed_texts
from benchmarks.floor.script import Block, Script, answer, stops, with_ids

PIECE = 40
"""Characters of a streamed delta."""
_HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Tally:
    """What was asked since the script was given."""

    script: Script = Script()
    bodies: list[bytes] = field(default_factory=list[bytes])
    arrivals: list[float] = field(default_factory=list[float])
    counted: int = 0
    """Requests to count tokens."""
    others: int = 0


class Connection(asyncio.Protocol):
    """One client; its requests come one after the other."""

    def __init__(self, tally: Callable[[], Tally], replace: Callable[[Script], None]) -> None:
        self._tally, self._replace = tally, replace
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is there as a whole."""
        self._received += data
        while (end := self._received.find(_HEAD_END)) >= 0:
            head = bytes(self._received[:end])
            length = _length(head)
            whole = end + len(_HEAD_END) + length
            if len(self._received) < whole:
                return
            body = bytes(self._received[end + len(_HEAD_END) : whole])
            del self._received[:whole]
            self._request(head, body)

    def _request(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        tally = self._tally()
        if path == b"/v1/messages":
            tally.arrivals.append(time.time())
            tally.bodies.append(body)
            sent = _message(json.loads(body), tally.script, len(tally.bodies), len(body))
            if tally.script.latency:
                asyncio.get_running_loop().call_later(tally.script.latency, self._write, sent)
            else:
                self._write(sent)
        elif path == b"/v1/messages/count_tokens":
            tally.counted += 1
            self._write(_plain({"input_tokens": len(body) // BYTES_A_TOKEN}))
        elif path == b"/script":
            self._replace(Script(**json.loads(body)))
            self._write(_plain({}))
        elif path == b"/report":
            self._write(_plain(_report(tally)))
        else:
            tally.others += 1
            self._write(_plain({"type": "error"}, b"404 Not Found"))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _report(tally: Tally) -> Block:
    requests = [json.loads(body) for body in tally.bodies]
    billed = bill(requests)
    return {
        "requests": len(requests),
        "count_tokens": tally.counted,
        "others": tally.others,
        "bytes": sum(map(len, tally.bodies)),
        "equivalent_tokens": billed.equivalent,
        "plain_tokens": billed.plain,
        "written_tokens": billed.written,
        "read_tokens": billed.read,
        "arrivals": tally.arrivals,
        "fixed": fixed_texts(requests),
    }


def _message(request: dict[str, Any], script: Script, number: int, size: int) -> bytes:
    blocks = list(with_ids(answer(request, script), number))
    message: Block = {
        "id": f"msg_{number:08}",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": blocks,
        "stop_reason": stops(blocks),
        "stop_sequence": None,
        "usage": _usage(size // BYTES_A_TOKEN, len(json.dumps(blocks)) // BYTES_A_TOKEN),
    }
    if not request.get("stream"):
        return _plain(message)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in _events(message))
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + chunks + b"0\r\n\r\n"


def _usage(read: int, written: int) -> Block:
    return {
        "input_tokens": read,
        "output_tokens": written,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _events(message: Block) -> Iterator[bytes]:
    blocks: Sequence[Block] = message["content"]
    start: Block = {**message, "content": [], "stop_reason": None}
    yield _event("message_start", message=start)
    for index, block in enumerate(blocks):
        call = block["type"] == "tool_use"
        empty: Block = {**block, "input": {}} if call else {**block, "text": ""}
        yield _event("content_block_start", index=index, content_block=empty)
        text = json.dumps(block["input"]) if call else block["text"]
        for at in range(0, len(text), PIECE):
            piece = text[at : at + PIECE]
            delta = (
                {"type": "input_json_delta", "partial_json": piece}
                if call
                else {"type": "text_delta", "text": piece}
            )
            yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=ended, usage=message["usage"])
    yield _event("message_stop")


def _event(kind: str, **data: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def _plain(value: object, status: bytes = b"200 OK") -> bytes:
    body = json.dumps(value).encode()
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


async def _serve() -> None:
    held = [Tally()]

    def replace(script: Script) -> None:
        held[0] = Tally(script)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(lambda: held[0], replace), "127.0.0.1", 0, backlog=1024
    )
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    asyncio.run(_serve())
