"""Who answers on loopback with the very bytes that a test wants, and what did it hear?"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Heard:
    """What came to a server."""

    url: str = ""
    requests: list[tuple[int, str, bytes]] = field(default_factory=list[tuple[int, str, bytes]])
    """Number of the connection, head and body of each."""
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list[asyncio.StreamWriter])
    server: asyncio.Server = field(init=False)
    _ended: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    def end(self) -> None:
        """The client has closed a connection."""
        self._ended.release()

    async def closed(self, count: int = 1) -> None:
        """Wait until the client has closed so many more."""
        async with asyncio.timeout(5):
            for _ in range(count):
                await self._ended.acquire()


Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Heard]:
    """A server that answers each request so."""
    heard = Heard()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.connections += 1
        heard.writers.append(writer)
        number = heard.connections
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
                heard.requests.append((number, head, await reader.readexactly(length)))
                await answer(head, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            heard.end()
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    heard.server = server
    heard.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    async with server:
        yield heard


def says(sent: bytes, *, end: bool = False) -> Answer:
    """An answer that is these bytes, and perhaps the connection's end."""

    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        if end:
            writer.close()

    return answer
