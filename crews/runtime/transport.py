"""How does a request travel, and its answer?

By `aiohttp`, whose parser is written in C: HTTP takes less of a run's time than by `httpx2`'s own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import aiohttp
import httpx2

from crews.runtime import attempts

if TYPE_CHECKING:
    import ssl

    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_CONNECTIONS, _IDLE_SECONDS = 1000, 5.0
"""As many connections as the SDK's own client makes, kept as long."""
_GIVEN = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that `aiohttp` adds where a request has none."""
_HEADER_BYTES = 1 << 16
"""Of one header of an answer."""
_PIECE = 1 << 20
_KEEP_ALIVE = {"TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5, "TCP_KEEPIDLE": 60}
"""As the SDK's own client has it: what lies between must not take a long silence for an end."""
_UNSENT = (
    aiohttp.ClientConnectorError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
"""These come before there is a connection to send anything by."""


class Transport(httpx2.AsyncBaseTransport):
    """Sends the requests of one client.

    `ConnectError`, `ConnectTimeout`: nothing was sent. After any other error something may have been.
    """

    def __init__(self, trust: Callable[[], ssl.SSLContext]) -> None:
        """`trust`: whom connections trust; asked when one is to be encrypted."""
        self._trust = trust
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and read what its answer begins with."""
        body = await request.aread()
        each, whole = _timeouts(**request.extensions["timeout"])
        if self._session is None:
            self._session = _session()
        try:
            async with asyncio.timeout(whole):
                answer = await self._session.request(
                    request.method,
                    _address(request.url),
                    headers=[
                        (name.decode(), value.decode()) for name, value in request.headers.raw
                    ],
                    data=_sent(body),
                    allow_redirects=False,
                    timeout=each,
                    ssl=self._trust() if request.url.scheme == "https" else True,
                    server_hostname=request.extensions.get("sni_hostname"),
                )
        except Exception as error:
            known = _known(error, request)
            if isinstance(known, httpx2.ReadError | httpx2.ReadTimeout):
                attempts.unheard()
            raise known from error
        return httpx2.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
            extensions={"reason_phrase": (answer.reason or "").encode("ascii", "replace")},
        )

    async def aclose(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


class _Body(httpx2.AsyncByteStream):
    """What an answer holds, as it comes."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx2.Request) -> None:
        self._answer, self._request = answer, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.content.iter_any():
                yield piece
        except Exception as error:
            raise _known(error, self._request) from error

    async def aclose(self) -> None:
        # A connection was given back when its answer ended; one whose answer did not end is of no more use.
        self._answer.close()


def _known(error: Exception, request: httpx2.Request) -> Exception:
    """The error of `httpx2` that says the same."""
    text = str(error) or type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return httpx2.ConnectTimeout(text, request=request)
        case TimeoutError():
            return httpx2.ReadTimeout(text, request=request)
        case _ if isinstance(error, _UNSENT):
            return httpx2.ConnectError(text, request=request)
        case _:
            return httpx2.ReadError(text, request=request)


class _Connector(aiohttp.TCPConnector):
    """Makes connections, and keeps those on which nothing comes that nobody asked for."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)  # pyright: ignore[reportUnknownMemberType] - of sockets' addresses
        self._used = WeakSet[asyncio.Transport]()

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as `aiohttp` has it
    ) -> Connection:
        """A connection; what has come on one since its last answer would be taken for the next one."""
        while True:
            made = await super().connect(req, traces, timeout)
            by, heard = made.transport, made.protocol
            if by is None or heard is None:
                return made
            if not (by in self._used and heard.should_close):
                self._used.add(by)
                return made
            made.close()


def _session() -> aiohttp.ClientSession:
    connector = _Connector(
        limit=_CONNECTIONS,
        keepalive_timeout=_IDLE_SECONDS,
        resolver=aiohttp.ThreadedResolver(),
        socket_factory=_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=_GIVEN,
        max_line_size=_HEADER_BYTES,
        max_field_size=_HEADER_BYTES,
    )


def _socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


@lru_cache(maxsize=8)
def _timeouts(
    connect: float | None, read: float | None, write: float | None, pool: float | None
) -> tuple[aiohttp.ClientTimeout, float | None]:
    """Those of each step, and of all until an answer begins: `aiohttp` has none for writing."""
    each = aiohttp.ClientTimeout(sock_connect=connect, sock_read=read, connect=pool)
    steps = [step for step in (connect, read, write, pool) if step is not None]
    return each, sum(steps) if len(steps) == 4 else None


def _sent(body: bytes) -> bytes | BytesIO | None:
    """What `aiohttp` sends: much in pieces, so that others have their turn between them."""
    return (BytesIO(body) if len(body) > _PIECE else body) or None


def _address(url: httpx2.URL) -> str:
    """The URL; whoever is named in it is in the headers already."""
    return str(url.copy_with(userinfo=b"") if url.userinfo else url)
