"""How do tests ask a Messages API that is not the real one?

`MessagesServer` serves it from a thread of this process, `MessagesProcess` from a process of its
own, which outlives the clients that a test kills. Both answer what a `Brain` says:

    with MessagesServer(lambda request: Reply((Text("hello"),))) as server:
        client = AsyncAnthropic(base_url=server.url, api_key="test")

From a shell: `python -m tests.support.messages_api --port 0 --log FILE --script module:brain`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self, cast

from tests.support.reply import (
    Answer,
    Block,
    RedactedThinking,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
    encode,
    failure,
)
from tests.support.request import Request, arrived, from_line, to_line
from tests.support.rules import refusal
from tests.support.usage import by_size, cached
from tests.support.wire import Connection, serve

__all__ = [
    "Block",
    "Brain",
    "MessagesProcess",
    "MessagesServer",
    "RedactedThinking",
    "Reply",
    "Request",
    "Text",
    "Thinking",
    "ToolUse",
    "Usage",
    "failure",
]

Brain = Callable[[Request], Reply | Awaitable[Reply]]
ROOT = Path(__file__).resolve().parents[2]
SETTLE_SECONDS = 2.0


class MessagesServer:
    """A Messages API on 127.0.0.1, in a thread; a context manager.

    Args:
        brain: Says what is answered; runs in the server's thread, so it must not block.
        port: 0: any free one.
        piece: Characters of one streamed delta.
        cache: Whether the usage shows a prompt cache at work; else it is a function of sizes.
        strict: Whether requests that the real API refuses get its 400 or 401.
        on_sent: Called in the server's thread with every request whose answer was wholly sent.

    Raises:
        AssertionError: On leaving the block, if the brain raised; its exception is the cause.
    """

    def __init__(
        self,
        brain: Brain,
        *,
        port: int = 0,
        piece: int = 200,
        cache: bool = False,
        strict: bool = True,
        on_sent: Callable[[Request], None] | None = None,
    ) -> None:
        self.url = ""
        self._brain, self._piece, self._strict, self._on_sent = brain, piece, strict, on_sent
        self._meter = cached() if cache else by_size
        self._port = port
        self._records: list[Request] = []
        self.counts = 0
        """How often it was asked to count tokens."""
        self._ending: set[int] = set()
        self._calm = asyncio.Event()
        self._calm.set()
        self._failure: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="messages-api", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None and error is None:
            raise AssertionError("the scripted model raised") from self._failure

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request to /v1/messages that arrived whole, in order of arrival."""
        elsewhere = threading.current_thread() is not self._thread
        if self._loop is not None and self._thread.is_alive() and elsewhere:
            asyncio.run_coroutine_threadsafe(self._settle(), self._loop).result()
        return tuple(self._records)

    @property
    def sent(self) -> tuple[Request, ...]:
        """The requests whose whole answer was written to the socket."""
        return tuple(request for request in self.requests if request.sent)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as error:  # the port is taken
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with serve(self._exchange, self._port) as port:
            self.url = f"http://127.0.0.1:{port}"
            self._ready.set()
            await self._stop.wait()
            await self._settle()

    async def _settle(self) -> None:
        """Wait until no answer is between its last byte and its record.

        A client may have read an answer before this thread has noted that it was sent.
        """
        with suppress(TimeoutError):  # a client that does not read its answer holds this up
            await asyncio.wait_for(self._calm.wait(), SETTLE_SECONDS)

    async def _exchange(self, client: Connection) -> None:
        """Answer one request."""
        path = client.path.partition("?")[0]
        if (client.method, path) == ("GET", "/settled"):
            await self._settle()
            await client.send(Answer(204, (), ()))
        elif (client.method, path) == ("POST", "/v1/messages"):
            await self._message(client)
        else:
            await client.send(self._aside(client, path))

    async def _message(self, client: Connection) -> None:
        number, start = len(self._records) + 1, time.perf_counter()
        request = arrived(number, client.path, client.body, time.time(), client.headers)
        self._records.append(request)
        reply = await self._think(request)
        if reply.delay:
            await asyncio.sleep(reply.delay)
        answer = encode(request, reply, reply.usage or self._meter(request, reply), self._piece)
        ending = partial(self._begin_end, number)
        sent = await client.send(answer, pause=reply.pause, before_last=ending)
        done = replace(
            request,
            status=answer.status,
            sent=sent and answer.whole,
            connected=sent and await client.was_read(),
            seconds=time.perf_counter() - start,
        )
        self._records[number - 1] = done
        if done.sent and self._on_sent is not None:
            self._on_sent(done)
        self._ending.discard(number)
        if not self._ending:
            self._calm.set()

    def _begin_end(self, number: int) -> None:
        self._ending.add(number)
        self._calm.clear()

    async def _think(self, request: Request) -> Reply:
        if self._strict and (refused := refusal(request)) is not None:
            return refused
        try:
            reply = self._brain(request)
            return await reply if inspect.isawaitable(reply) else reply
        except Exception as error:  # noqa: BLE001 - a script may raise anything; __exit__ raises it
            self._failure = self._failure or error
            text = f"the scripted model raised {error!r}"
            return Reply(status=500, message=text, headers=(("x-should-retry", "false"),))

    def _aside(self, client: Connection, path: str) -> Answer:
        """What the smaller endpoints answer."""
        request = arrived(0, client.path, client.body, time.time(), client.headers)
        if (client.method, path) == ("POST", "/v1/messages/count_tokens"):
            self.counts += 1
            count = json.dumps({"input_tokens": by_size(request, Reply()).input_tokens})
            return Answer(200, (("content-type", "application/json"),), (count.encode(),))
        reply = failure(404, f"no such endpoint: {client.method} {path}")
        return encode(request, reply, Usage(0, 0), self._piece)


class MessagesProcess:
    """A Messages API in a process of its own, which outlives its clients; a context manager.

    Args:
        script: `module:name` of a brain, importable from the repository's root.
        log: File that gets one line for every request whose answer was wholly sent.
        port: 0: any free one.
        options: Further command-line options (`--piece`, `--cache`).
    """

    def __init__(
        self, script: str, log: Path, *, port: int = 0, options: tuple[str, ...] = ()
    ) -> None:
        self.url, self.log = "", log
        command = [sys.executable, "-m", __spec__.name, "--port", str(port), "--until-stdin-ends"]
        self._command = [*command, "--log", str(log), "--script", script, *options]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        process = subprocess.Popen(self._command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._process = process
        self.url = process.stdout.readline().strip() if process.stdout else ""
        if not self.url:
            self.__exit__()
            raise OSError(f"the server did not start: {' '.join(self._command)}")
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None

    @property
    def sent(self) -> tuple[Request, ...]:
        """The requests whose whole answer was written to the socket, in the order of that."""
        if self._process is not None:
            urllib.request.urlopen(f"{self.url}/settled").close()
        return read_log(self.log)


def read_log(log: Path) -> tuple[Request, ...]:
    """The requests in a server's log; none if there is no such file."""
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    return tuple(from_line(line) for line in text.splitlines())


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT, or the end of standard input if asked to."""
    parser = argparse.ArgumentParser(prog="messages_api", description="A scripted Messages API.")
    parser.add_argument("--script", required=True, help="module:name of a brain")
    parser.add_argument("--log", type=Path, required=True, help="one JSON line per answer sent")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--piece", type=int, default=200, help="characters of a streamed delta")
    parser.add_argument("--cache", action="store_true", help="simulate a prompt cache in the usage")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end with standard input")
    options = parser.parse_args(arguments)
    module, _, name = cast("str", options.script).partition(":")
    brain = cast("Brain", getattr(importlib.import_module(module), name))
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with cast("Path", options.log).open("a", encoding="utf-8", buffering=1) as log:

        def note(request: Request) -> None:
            log.write(to_line(request) + "\n")

        with MessagesServer(
            brain, port=options.port, piece=options.piece, cache=options.cache, on_sent=note
        ) as server:
            sys.stdout.write(server.url + "\n")
            sys.stdout.flush()
            _wait(signals, until_stdin_ends=options.until_stdin_ends)
    return 0


def _wait(signals: set[signal.Signals], *, until_stdin_ends: bool) -> None:
    if not until_stdin_ends:
        signal.sigwait(signals)
        return
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
    sys.stdin.buffer.read()


if __name__ == "__main__":
    sys.exit(main())
