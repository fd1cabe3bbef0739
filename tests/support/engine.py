"""How do tests ask a Docker engine where there is none? A server on loopback that speaks as much of its API as is used.

What it is told to run, it runs by a real sandbox of this machine, so that what comes back was really
done; what it was told about security is kept, for a test to look at.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shlex
import struct
import sys
import threading
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox

IMAGE_ID = "sha256:" + "5" * 64


@dataclass(slots=True)
class Box:
    """A container."""

    asked: dict[str, Any]
    ended: Future[CommandResult] = field(default_factory=Future[CommandResult])
    killed: bool = False
    _loop: asyncio.AbstractEventLoop | None = None
    _task: asyncio.Task[CommandResult] | None = None

    def start(self, runs: Sandbox) -> None:
        """Run its command in a thread."""
        ready = threading.Event()
        threading.Thread(target=self._work, args=(runs, ready)).start()
        ready.wait()

    def _work(self, runs: Sandbox, ready: threading.Event) -> None:
        async def whole() -> CommandResult:
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
            ready.set()
            limits = CommandLimits(wall_seconds=60, output_bytes=64_000_000)
            folder = Path(self.asked["HostConfig"]["Binds"][0].split(":")[0])
            command = shlex.join(self.asked["Cmd"])
            own = f"PATH={Path(sys.executable).parent}:/run/programs:"  # the image's Python
            return await runs.run(command.replace("PATH=", own, 1), folder, limits)

        try:
            self.ended.set_result(asyncio.run(whole()))
        except BaseException:  # noqa: BLE001 - it was killed, and that is its end
            self.ended.set_result(CommandResult(137, "", False, False, "", 0))

    def kill(self) -> None:
        """End it."""
        self.killed = True
        if self._loop and self._task and not self.ended.done():
            self._loop.call_soon_threadsafe(self._task.cancel)


class Engine(ThreadingHTTPServer):
    """The server, with what it was asked."""

    daemon_threads = True

    def __init__(self, runs: Sandbox, images: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.runs, self.images = runs, images
        self.boxes: dict[str, Box] = {}
        self.asked: list[dict[str, Any]] = []
        self.started: list[str] = []
        self.removed: list[str] = []
        self.out_of_memory = False

    @property
    def url(self) -> str:
        """For DOCKER_HOST."""
        return f"tcp://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Engine  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Look."""
        path = self._path()
        if path == "/version":
            self._answer({"ApiVersion": "1.44", "Version": "25.0"})
        elif found := re.fullmatch(r"/images/(.+)/json", path):
            known = found[1] in self.server.images
            self._answer(
                {"Id": IMAGE_ID} if known else {"message": "No such image"}, 200 if known else 404
            )
        elif box := self._box(path, "json"):
            state = {"Running": not box.ended.done(), "OOMKilled": self.server.out_of_memory}
            self._answer({"State": state, "Config": {"Tty": False}})
        else:
            self._answer({"message": f"no {path}"}, 404)

    def do_POST(self) -> None:
        """Do."""
        path, body = self._path(), self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/containers/create":
            name = secrets.token_hex(8)
            self.server.asked.append(json.loads(body))
            self.server.boxes[name] = Box(self.server.asked[-1])
            self._answer({"Id": name, "Warnings": []}, 201)
        elif box := self._box(path, "attach"):
            self._attach(box)
        elif box := self._box(path, "start"):
            box.start(self.server.runs)
            self.server.started.append(path.split("/")[2])
            self._answer(None, 204)
        elif box := self._box(path, "wait"):
            result = box.ended.result()
            self._answer({"StatusCode": 137 if box.killed else result.exit_code})
        elif box := self._box(path, "kill"):
            box.kill()
            self._answer(None, 204)
        else:
            self._answer({"message": f"no {path}"}, 404)

    def do_DELETE(self) -> None:
        """Take away."""
        name = self._path().split("/")[2]
        self.server.boxes.pop(name).kill()
        self.server.removed.append(name)
        self._answer(None, 204)

    def _path(self) -> str:
        return re.sub(r"^/v[0-9.]+", "", self.path.partition("?")[0])

    def _box(self, path: str, what: str) -> Box | None:
        found = re.fullmatch(rf"/containers/(\w+)/{what}", path)
        return self.server.boxes.get(found[1]) if found else None

    def _attach(self, box: Box) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.raw-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        data = box.ended.result().output.encode()
        for at in range(0, len(data), 65536):
            piece = data[at : at + 65536]
            try:
                self.wfile.write(struct.pack(">BxxxL", 1, len(piece)) + piece)
            except OSError:  # nobody listens any more
                break
        self.close_connection = True

    def _answer(self, value: object, status: int = 200) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def engine(runs: Sandbox, *images: str) -> Generator[Engine]:
    """Serve it."""
    with Engine(runs, images) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
