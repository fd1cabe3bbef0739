"""How does one request of HTTP/1.1 come in, and its answer go out?

Written by hand for the tests' server: keep-alive, bodies with a length, chunked answers that can
be slow or break off. Nothing else of HTTP.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus

from tests.support.reply import Answer

HEAD_LIMIT = 1 << 20
"""Bytes of a request's head."""


class Connection:
    """One client; `method`, `path`, `headers` and `body` are those of its current request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.method = self.path = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        writer.transport.set_write_buffer_limits(high=0)  # drain() then means: all is written

    async def receive(self) -> bool:
        """Read the next request; False if the client has closed the connection."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")[:-2]
            self.method, self.path, _ = first.split(" ", 2)
            fields = (line.partition(":") for line in lines)
            self.headers = {name.strip().lower(): value.strip() for name, _, value in fields}
            self.body = await self._reader.readexactly(int(self.headers.get("content-length", 0)))
        except asyncio.IncompleteReadError:
            return False
        return True

    async def send(
        self,
        answer: Answer,
        *,
        pause: float = 0.0,
        before_last: Callable[[], None] | None = None,
    ) -> bool:
        """Write the answer, with `pause` seconds between its chunks.

        Returns:
            Whether all of it was written; False also if the client had gone before. `before_last`
            is called before the last part goes out.
        """
        parts = _parts(answer)
        if not pause:
            parts = [b"".join(parts)]
        try:
            for number, part in enumerate(parts, 1):
                if not await self.is_there():
                    return False
                if number == len(parts) and before_last is not None:
                    before_last()
                self._writer.write(part)
                await self._writer.drain()
                if number < len(parts):
                    await asyncio.sleep(pause)
        except ConnectionError:
            return False
        if not answer.whole:
            self._writer.transport.abort()
        return True

    async def is_there(self) -> bool:
        """Whether the client still holds its end of the connection."""
        await self._see_what_arrived()
        return not (self._reader.at_eof() or self._writer.is_closing())

    async def was_read(self) -> bool:
        """Whether the client still waits, or left in order, having read all it was sent.

        A socket that is closed with unread bytes, or gets some afterwards, answers with a reset
        (RFC 1122, 4.2.2.13), whether its process closed it or was killed.
        """
        await self._see_what_arrived()
        if self._writer.is_closing():
            return False
        own: socket.socket = self._writer.get_extra_info("socket")
        return own.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0

    @staticmethod
    async def _see_what_arrived() -> None:
        for _ in range(2):  # one turn of the loop to see it, one to handle it
            await asyncio.sleep(0)


Handler = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def serve(handler: Handler, port: int) -> AsyncGenerator[int, None]:
    """Serve on 127.0.0.1 and give the port; on leaving, every connection is dropped."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            client = Connection(reader, writer)
            while await client.receive():
                await handler(client)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=HEAD_LIMIT)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks)
        await asyncio.sleep(0)


def _parts(answer: Answer) -> list[bytes]:
    """Every chunk in its frame, the head before the first; nothing if there is no status."""
    if not answer.status:
        return []
    reason = HTTPStatus(answer.status).phrase if answer.status != 529 else "Overloaded"
    head = f"HTTP/1.1 {answer.status} {reason}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    if answer.status == 204:
        return [f"{head}\r\n".encode()]
    frames = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in answer.chunks if chunk]
    frames[0] = f"{head}transfer-encoding: chunked\r\n\r\n".encode() + frames[0]
    frames[-1] += b"0\r\n\r\n" if answer.whole else b""
    return frames
