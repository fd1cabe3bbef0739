"""Does a request travel as it would by the SDK's own client, and is it known what was never sent?"""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from anthropic import DefaultAsyncHttpxClient

from crews.errors import ModelError
from crews.runtime.claude import ModelSource
from crews.runtime.transport import Transport
from crews.settings import Settings
from tests.runtime.asked import ASKED
from tests.runtime.listening import Answer, says, serving
from tests.support.messages_api import MessagesServer
from tests.support.reply import Reply, Text
from tests.support.tls import tls

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbeg"
UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout)
GOOD = Reply((Text("good"),))


def client(
    trust: Callable[[], ssl.SSLContext] = httpx2.create_ssl_context, **timeouts: float
) -> httpx2.AsyncClient:
    """A client whose steps take at most the given times."""
    timeout = httpx2.Timeout(5.0, **timeouts)
    return DefaultAsyncHttpxClient(transport=Transport(trust), timeout=timeout)


def test_requests_that_follow_each_other_use_one_connection() -> None:
    async def asking() -> None:
        async with serving(says(OK)) as heard:
            async with client() as http:
                for _ in range(20):
                    assert (await http.post(heard.url, content=b"hello")).text == "ok"
            await heard.closed()
        assert heard.connections == 1
        assert [body for _, _, body in heard.requests] == [b"hello"] * 20

    asyncio.run(asking())


def test_a_request_has_the_headers_it_was_given_and_no_other() -> None:
    async def heads() -> list[str]:
        given = {"user-agent": "me", "accept": "text/x", "x-key": "Ab: c"}
        async with serving(says(OK)) as heard:
            for made in (client, DefaultAsyncHttpxClient):
                async with made() as http:
                    await http.post(heard.url + "/a%2Fb?c=d%20e", content=b"x")
                    await http.get(heard.url, headers=given)
            return [head for _, head, _ in heard.requests]

    post, get, *theirs = [sorted(head.split("\r\n")) for head in asyncio.run(heads())]
    assert [post, get] == theirs


def test_many_requests_at_once_go_by_one_client() -> None:
    async def late(_: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(OK)

    async def asking() -> None:
        async with serving(late) as heard:
            async with client() as http:
                asked = [http.post(heard.url, content=b"%d" % n) for n in range(60)]
                assert {r.text for r in await asyncio.gather(*asked)} == {"ok"}
            await heard.closed(60)
        assert len({body for _, _, body in heard.requests}) == 60

    asyncio.run(asking())


def test_each_run_has_connections_of_its_own_that_end_with_it() -> None:
    async def asking() -> None:
        async with serving(says(_ANSWER)) as heard:
            for _ in range(2):
                source = ModelSource(Settings.model_validate({"base_url": heard.url}))
                await source.ask(ASKED, _never)
                await asyncio.wait_for(source.asked.wait(), 5)
                await source.ask(ASKED, _never)
                await source.aclose()
                await heard.closed()
        assert [number for number, _, _ in heard.requests] == [1, 1, 2, 2]

    asyncio.run(asking())


def test_what_comes_unasked_is_nobodys_answer() -> None:
    """A server, or what lies between, may send an answer too many, or one that was waited for no longer."""
    stale = OK.replace(b"ok", b"no")

    async def asking() -> None:
        async with serving(says(OK)) as heard, client() as http:
            assert (await http.post(heard.url, content=b"1")).text == "ok"
            heard.writers[0].write(stale)
            await asyncio.sleep(0.1)
            assert (await http.post(heard.url, content=b"2")).text == "ok"
        assert heard.connections == 2

    asyncio.run(asking())


def test_who_speaks_before_he_is_asked_is_heard_once() -> None:
    """A gateway that is too busy says so as soon as there is a connection, over TLS with the handshake's end."""
    busy = b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno"

    async def asking() -> None:
        made = 0

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal made
            made += 1
            writer.write(busy)
            await reader.read(1)
            writer.close()

        server = await asyncio.start_server(speak, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, client() as http:
            answer = await http.post(f"http://127.0.0.1:{port}", content=b"1")
        assert (answer.status_code, made) == (503, 1)

    asyncio.run(asking())


def test_an_attempt_that_was_sent_counts_whatever_becomes_of_the_next_one() -> None:
    """The SDK tries again by itself, and tells of its last attempt only."""

    async def asking() -> ModelError:
        async def hang_up(_: str, writer: asyncio.StreamWriter) -> None:
            writer.close()
            server.close()

        async with serving(hang_up) as heard:
            server = heard.server
            source = ModelSource(Settings.model_validate({"base_url": heard.url}))
            with pytest.raises(ModelError) as refused:
                await source.ask(ASKED, _told)
            await source.aclose()
        assert len(heard.requests) == 1
        return refused.value

    def _told(text: str, *, billed: bool) -> None:
        del text, billed  # another model would be asked

    assert asyncio.run(asking()).billed


def _never(text: str, *, billed: bool) -> None:
    raise AssertionError(text, billed)


_EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n'
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":1}}\n\n'
)
_PACKED = gzip.compress(_EVENTS)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: text/event-stream\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_PACKED), _PACKED)
)
"""A whole answer; it is packed."""


def test_who_stops_reading_closes_the_connection() -> None:
    async def asking() -> None:
        async with serving(says(BEGUN)) as heard, client() as http:

            async def read() -> None:
                async with http.stream("POST", heard.url, content=b"x") as answer:
                    async for _ in answer.aiter_bytes():
                        reading.set()

            reading = asyncio.Event()
            task = asyncio.create_task(read())
            await asyncio.wait_for(reading.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await heard.closed()
            async with http.stream("POST", heard.url, content=b"x"):
                pass  # not read at all
            await heard.closed()

    asyncio.run(asking())


async def _silent(_: str, writer: asyncio.StreamWriter) -> None:
    await writer.drain()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (says(b"", end=True), httpx2.ReadError),
        (says(b"HTTP/1.1 2", end=True), httpx2.ReadError),
        (says(b"no HTTP\r\n\r\n", end=True), httpx2.ReadError),
        (says(BEGUN, end=True), httpx2.ReadError),
        (says(BEGUN), httpx2.ReadTimeout),
        (
            says(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", end=True),
            httpx2.ReadError,
        ),
        (_silent, httpx2.ReadTimeout),
    ],
    ids=["hung up", "half a head", "garbled", "cut", "halting", "no chunk", "silent"],
)
def test_what_goes_wrong_once_a_request_is_sent_is_no_unsent_request(
    answer: Answer, error: type[Exception]
) -> None:
    async def asking() -> None:
        async with serving(answer) as heard:
            async with client(read=0.3) as http:
                with pytest.raises(error) as caught:
                    await http.post(heard.url, content=b"x")
                assert not isinstance(caught.value, UNSENT)
            assert len(heard.requests) == 1

    asyncio.run(asking())


def test_a_server_that_does_not_read_ends_the_wait() -> None:
    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.transport.abort()

    async def asking() -> None:
        server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1 << 10)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, client(connect=0.1, read=0.1, write=0.1, pool=0.1) as http:
            with pytest.raises(httpx2.ReadTimeout):
                await http.post(url, content=b"x" * (1 << 25))
            ended.set()

    ended = asyncio.Event()
    asyncio.run(asking())


def test_what_never_got_a_connection_was_not_sent(tmp_path: Path) -> None:
    async def failing(url: str) -> httpx2.TransportError:
        async with client(connect=0.3) as http:
            with pytest.raises(httpx2.TransportError) as caught:
                await http.post(url, content=b"x")
        return caught.value

    async def asking() -> None:
        async with serving(says(OK)) as heard:
            # The handshake of TLS gets no answer.
            assert isinstance(
                await failing(heard.url.replace("http:", "https:")), httpx2.ConnectTimeout
            )
        async with serving(says(OK), tls(tmp_path)) as heard:
            assert isinstance(await failing(heard.url), httpx2.ConnectError)
        assert isinstance(await failing(heard.url), httpx2.ConnectError)

    asyncio.run(asking())


def test_a_certificate_is_trusted_where_the_environment_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asking() -> None:
        async with serving(says(OK), tls(tmp_path)) as heard:
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
            async with client() as http:
                assert (await http.post(heard.url, content=b"x")).text == "ok"

    asyncio.run(asking())


def test_a_redirect_is_followed_with_the_whole_request_and_cookies_are_kept() -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        there = b"location: /there\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n"
        first = head.startswith("post /here")
        writer.write(b"HTTP/1.1 307 Moved\r\n" + there if first else OK)

    async def asking() -> None:
        async with serving(answer) as heard, client() as http:
            address = heard.url.replace("//", "//me:secret@") + "/here"
            assert (await http.post(address, content=b"body")).text == "ok"
        (_, first, _), (_, second, body) = heard.requests
        assert second.startswith("post /there")
        assert body == b"body"
        assert "authorization: basic bwu6c2vjcmv0" in first
        assert second.count("cookie:") == 1

    asyncio.run(asking())


@pytest.mark.parametrize("apart", [False, True])
def test_a_proxy_of_the_environment_is_used_unless_it_is_not_for_the_endpoint(
    apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def asking(url: str) -> list[str]:
        async with serving(says(_ANSWER)) as proxy:
            monkeypatch.setenv("http_proxy", proxy.url)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.setenv("no_proxy", "127.0.0.1" if apart else "")
            source = ModelSource(Settings.model_validate({"base_url": url}))
            await source.ask(ASKED, _never)
            await source.aclose()
        return [head.partition("\r\n")[0] for _, head, _ in proxy.requests]

    with MessagesServer(lambda _: GOOD) as server:
        by_proxy = asyncio.run(asking(server.url))
        assert len(server.requests) == apart
    assert by_proxy == ([] if apart else [f"post {server.url}/v1/messages http/1.1"])
