"""How does a command reach the hosts that policy lists, and no other? By a proxy on our side.

The command has a network of its own with nothing in it but a program on loopback
(`crews.tools.egress_child`) that hands each connection to a Unix socket, at whose other end is this
proxy: plain HTTP and CONNECT. It resolves names itself and connects to the address that it judged,
so that an answer cannot change in between. What a listed host's own server does with a request (a
proxy there, another site at the same address) is beyond what a list of names can hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from crews.safety.egress import AllowList, shown

FOLDER, SOCKET, PORT = "/run/egress", "proxy", 3128
"""Where the socket is seen inside, and the port on the command's own loopback."""
_HEAD = 16_384
_PATIENCE = 20.0
_CONNECTIONS = 64
_DROPPED = ("proxy-", "connection:", "keep-alive:", "host:")

Resolve = Callable[[str, int], Awaitable[list[str]]]
_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def proxied() -> dict[str, str]:
    """What a command's environment says of the way out; most programs look there."""
    address, own = f"http://127.0.0.1:{PORT}", "localhost,127.0.0.1,::1"
    names = {"http_proxy": address, "https_proxy": address, "no_proxy": own}
    return names | {name.upper(): value for name, value in names.items()}


class _Refused(Exception):
    """The status line that the command is told."""


async def resolved(host: str, port: int) -> list[str]:
    """The host's addresses, by this machine's name service."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _Refused("502 this host is not known") from error
    return list(dict.fromkeys(str(answer[4][0]) for answer in found))


@dataclass(slots=True)
class Proxy:
    """One command's way out, and where it went."""

    allowed: AllowList
    resolve: Resolve = resolved
    reached: set[str] = field(default_factory=set[str])
    refused: set[str] = field(default_factory=set[str])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    @contextlib.asynccontextmanager
    async def serving(self, folder: Path, uid: int | None) -> AsyncGenerator[Proxy]:
        """Serve at a socket in this folder, which user `uid` may reach; no connection outlives it."""
        server = await asyncio.start_unix_server(
            self._connected, sock=_listener(folder, uid), limit=_HEAD
        )
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def facts(self) -> dict[str, list[str]]:
        """For the audit log."""
        return {"reached": shown(self.reached), "refused": shown(self.refused)}

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve((reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: _Streams) -> None:
        reader, writer = client
        try:
            if len(self._tasks) > _CONNECTIONS:
                raise _Refused("503 too many connections at once")
            async with asyncio.timeout(_PATIENCE):
                upstream, first = await self._opened(await _head(reader))
            try:
                (upstream[1] if first[0] else writer).write(first[1])
                await _joined(client, upstream)
            finally:
                upstream[1].close()
        except _Refused as refusal:
            writer.write(
                f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            with contextlib.suppress(OSError):
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # either end is gone, or said what is no HTTP
        finally:
            writer.close()

    async def _opened(self, lines: list[str]) -> tuple[_Streams, tuple[bool, bytes]]:
        """The connection that was asked for; and what is said first, to whom (True: the host)."""
        method, target, _ = lines[0].split(" ", 2)
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            upstream = await self._reach(host, int(port))
            return upstream, (False, b"HTTP/1.1 200 connected\r\n\r\n")
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            raise _Refused("400 ask for http://HOST/, or CONNECT")
        upstream = await self._reach(url.hostname, url.port or 80)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        kept = [line for line in lines[1:] if not line.lower().startswith(_DROPPED)]
        named = url.hostname if url.port is None else f"{url.hostname}:{url.port}"
        head = [f"{method} {path} HTTP/1.1", f"Host: {named}", *kept, "Connection: close", "", ""]
        return upstream, (True, "\r\n".join(head).encode("latin-1"))

    async def _reach(self, host: str, port: int) -> _Streams:
        name = f"{host.lower()}:{port}"
        if not self.allowed.allows(host, port):
            self.refused.add(name)
            raise _Refused("403 the team's policy does not list this host")
        addresses = await self.resolve(host, port)
        usable = [one for one in addresses if self.allowed.reaches(one)]
        if not usable:
            self.refused.add(name)
            raise _Refused("403 this host lies in a private network")
        for address in usable:
            with contextlib.suppress(OSError):
                upstream = await asyncio.open_connection(address, port, limit=_HEAD)
                self.reached.add(name)
                return upstream
        raise _Refused("502 the host does not answer")


def _listener(folder: Path, uid: int | None) -> socket.socket:
    """A socket in a new folder, which nobody but the command's user can use."""
    folder.mkdir(mode=0o755)
    path = folder / SOCKET
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        if uid is not None:
            os.chown(path, uid, uid)
    except OSError:
        listener.close()
        raise
    return listener


async def _head(reader: asyncio.StreamReader) -> list[str]:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise ValueError("no head of a request") from error
    return head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")


async def _joined(one: _Streams, other: _Streams) -> None:
    """Carry bytes both ways until both ends have said all."""
    async with asyncio.TaskGroup() as both:
        both.create_task(_carry(one[0], other[1]))
        both.create_task(_carry(other[0], one[1]))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
