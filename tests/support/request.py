"""What did a client ask of the Messages API?"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

JSONObject = dict[str, object]
LOGGED_HEADERS = ("anthropic-version", "anthropic-beta", "user-agent", "x-stainless-retry-count")


def as_object(value: object) -> JSONObject:
    """The JSON object in `value`; an empty one if it is anything else."""
    return cast("JSONObject", value) if isinstance(value, dict) else {}


def as_objects(value: object) -> tuple[JSONObject, ...]:
    """The JSON objects in the array `value`; none if it is not an array."""
    return (
        tuple(as_object(v) for v in cast("list[object]", value)) if isinstance(value, list) else ()
    )


def as_blocks(content: object) -> tuple[JSONObject, ...]:
    """A message's content (or `system`) as blocks: a bare string is one text block."""
    if isinstance(content, str):
        return ({"type": "text", "text": content},)
    return as_objects(content)


def text_of(content: object) -> str:
    """All text of a message's content, its blocks joined by line breaks."""
    return "\n".join(str(b.get("text", "")) for b in as_blocks(content) if b.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Request:
    """One request whose body arrived whole, and what became of its answer.

    `status`, `sent`, `connected` and `seconds` are known once the answer has ended; the brain
    sees them at their defaults.
    """

    number: int
    """Order of arrival in this server, from 1."""
    path: str
    body: bytes
    """The raw bytes, as they came."""
    time: float
    """Arrival, seconds since the epoch."""
    headers: Mapping[str, str]
    """Names in lower case."""
    json: JSONObject
    """The parsed body; empty if it is no JSON object."""
    sha256: str
    """Of the body, in hexadecimal."""
    status: int = 0
    """HTTP status of the answer; 0: none was sent."""
    sent: bool = False
    """Whether the whole answer was written to the socket."""
    connected: bool = False
    """Whether the client was there for the last byte: it has read it, or still can."""
    seconds: float = 0.0
    """From arrival to the end of the answer."""

    @property
    def id(self) -> str:
        """The `request-id` header of the answer."""
        return f"req_{self.number:06d}{self.sha256[:12]}"

    @property
    def model(self) -> str:
        return str(self.json.get("model", ""))

    @property
    def stream(self) -> bool:
        return self.json.get("stream") is True

    @property
    def system(self) -> str:
        """Text of the system prompt."""
        return text_of(self.json.get("system", ""))

    @property
    def messages(self) -> tuple[JSONObject, ...]:
        return as_objects(self.json.get("messages"))

    @property
    def tools(self) -> tuple[JSONObject, ...]:
        return as_objects(self.json.get("tools"))


def arrived(
    number: int, path: str, body: bytes, time: float, headers: Mapping[str, str]
) -> Request:
    """The request as it came, before any answer."""
    try:
        parsed = as_object(json.loads(body or b"{}"))
    except ValueError:
        parsed = {}
    return Request(number, path, body, time, headers, parsed, hashlib.sha256(body).hexdigest())


def to_line(request: Request) -> str:
    """One line of JSON for the log, without credentials; `from_line` reads it back."""
    row = {
        "number": request.number,
        "id": request.id,
        "path": request.path,
        "time": request.time,
        "status": request.status,
        "sent": request.sent,
        "connected": request.connected,
        "seconds": request.seconds,
        "model": request.model,
        "sha256": request.sha256,
        "headers": {k: v for k, v in request.headers.items() if k in LOGGED_HEADERS},
        "body": base64.b64encode(request.body).decode(),
    }
    return json.dumps(row)


def from_line(line: str) -> Request:
    """The request that `to_line` wrote."""
    row = as_object(json.loads(line))
    request = arrived(
        number=cast("int", row["number"]),
        path=str(row["path"]),
        body=base64.b64decode(str(row["body"])),
        time=cast("float", row["time"]),
        headers={k: str(v) for k, v in as_object(row["headers"]).items()},
    )
    return replace(
        request,
        status=cast("int", row["status"]),
        sent=row["sent"] is True,
        connected=row["connected"] is True,
        seconds=cast("float", row["seconds"]),
    )
