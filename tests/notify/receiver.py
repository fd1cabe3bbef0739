"""Who receives the notifications of a test? A real HTTP server on this machine's loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    def verified(self, secret: str = SECRET) -> Any:
        """The body, parsed, once Standard Webhooks' own code has found the signature right."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass(slots=True)
class Receiver:
    """What came in, and what is answered: `answers` in turn, then 204."""

    port: int = 0
    answers: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    received: list[Received] = field(default_factory=list[Received])
    stuck: threading.Event = field(default_factory=threading.Event)
    """Until it is set, requests to `/stuck` get no answer."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def take(self, request: Received) -> tuple[int, str]:
        """Keep a request; returns status and text of the answer."""
        with self.lock:
            self.received.append(request)
            return self.answers.pop(0) if self.answers else (204, "")


@contextmanager
def receiving() -> Generator[Receiver]:
    """A receiver that listens."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length).decode()
            status, text = receiver.take(Received(self.path, dict(self.headers.items()), body))
            if self.path == "/stuck":
                receiver.stuck.wait(20)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", text)
                text = ""
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.stuck.set()
            server.shutdown()
            thread.join()
