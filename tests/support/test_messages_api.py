"""Does the real SDK work against the tests' Messages API?"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam, ToolParam

from tests.support import scripts
from tests.support.messages_api import MessagesProcess, MessagesServer, read_log
from tests.support.reply import (
    Fault,
    RedactedThinking,
    Reply,
    Text,
    Thinking,
    ToolUse,
    Usage,
    failure,
)
from tests.support.request import Request, text_of
from tests.support.sample import BRAIN

pytestmark = pytest.mark.anyio

MODEL = "claude-sonnet-5-5"
SCRIPT = "tests.support.sample:BRAIN"
READ: ToolParam = {"name": "read_file", "input_schema": {"type": "object"}}
HELLO: MessageParam = {"role": "user", "content": "hello"}
EVERYTHING = Reply(
    (
        Thinking("what is asked? " * 20),
        RedactedThinking("c2VjcmV0"),
        Text("Grüße, " * 50 + "\n\ndata: not an event"),
        ToolUse("read_file", {"path": "ä.txt", "deep": [{"n": 1.5, "none": None}]}),
        ToolUse("read_file", id="toolu_given"),
    ),
    usage=Usage(10, 20, 30, 40),
)


@asynccontextmanager
async def client_of(
    server: MessagesServer | MessagesProcess,
) -> AsyncGenerator[AsyncAnthropic, None]:
    async with AsyncAnthropic(base_url=server.url, api_key="test", max_retries=0) as client:
        yield client


async def ask(client: AsyncAnthropic, *messages: MessageParam, system: str = "") -> Message:
    """One streamed request with a tool."""
    async with client.messages.stream(
        model=MODEL,
        max_tokens=1000,
        messages=messages or (HELLO,),
        tools=[READ],
        system=system or anthropic.omit,
    ) as stream:
        return await stream.get_final_message()


async def ask_plain(client: AsyncAnthropic) -> Message:
    return await client.messages.create(
        model=MODEL, max_tokens=1000, messages=[HELLO], tools=[READ]
    )


def fixed(reply: Reply) -> MessagesServer:
    return MessagesServer(lambda _: reply, piece=7)


async def test_every_kind_of_content_arrives_alike_streamed_and_whole() -> None:
    with fixed(EVERYTHING) as server:
        async with client_of(server) as client:
            streamed, plain = await ask(client), await ask_plain(client)
    one, other = (m.model_dump(exclude={"id"}) for m in (streamed, plain))
    ids = [(m["content"][3].pop("id"), m["content"][3]["input"]) for m in (one, other)]
    assert one == other
    assert ids[0] != ids[1]  # another body, another id
    assert ids[0][0].startswith("toolu_")
    assert ids[0][1] == {"path": "ä.txt", "deep": [{"n": 1.5, "none": None}]}
    assert [block["type"] for block in one["content"]] == [
        "thinking", "redacted_thinking", "text", "tool_use", "tool_use",
    ]  # fmt: skip
    assert streamed.content[0].model_dump()["signature"].startswith("sig")
    assert one["content"][2]["text"].endswith("data: not an event")
    assert one["content"][4]["id"] == "toolu_given"
    assert one["content"][4]["input"] == {}
    assert (streamed.stop_reason, streamed.model) == ("tool_use", MODEL)
    used = streamed.usage
    assert (used.input_tokens, used.output_tokens) == (10, 20)
    assert (used.cache_creation_input_tokens, used.cache_read_input_tokens) == (30, 40)
    assert [request.stream for request in server.requests] == [True, False]
    assert all(request.sent and request.connected for request in server.requests)


async def test_tool_arguments_come_in_pieces() -> None:
    parts: list[str] = []
    with fixed(Reply((ToolUse("read_file", {"path": "a" * 30}),))) as server:
        async with (
            client_of(server) as client,
            client.messages.stream(model=MODEL, max_tokens=9, messages=[HELLO]) as stream,
        ):
            async for event in stream:
                if event.type == "input_json":
                    parts.append(event.partial_json)
    assert len(parts) == 7
    assert "".join(parts) == '{"path": "' + "a" * 30 + '"}'


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (failure(401), anthropic.AuthenticationError),
        (failure(403), anthropic.PermissionDeniedError),
        (failure(429, retry_after=3), anthropic.RateLimitError),
        (failure(500), anthropic.InternalServerError),
        (failure(529, "Overloaded"), anthropic.InternalServerError),
    ],
)
async def test_errors_are_the_sdk_s_own(
    reply: Reply, error: type[anthropic.APIStatusError]
) -> None:
    with fixed(reply) as server:
        async with client_of(server) as client:
            for attempt in (ask, ask_plain):
                with pytest.raises(error) as caught:
                    await attempt(client)
                assert caught.value.status_code == reply.status
                assert caught.value.request_id
                assert reply.message in str(caught.value)
                wanted = "3" if reply.status == 429 else None
                assert caught.value.response.headers.get("retry-after") == wanted
    assert [request.status for request in server.sent] == [reply.status] * 2


@pytest.mark.parametrize(
    ("fault", "error", "sent"),
    [
        ("hang_up", anthropic.APIConnectionError, False),
        ("cut", Exception, False),
        ("garbled", ValueError, True),
        ("error_event", anthropic.APIStatusError, True),
        ("bad_input", ValueError, True),
    ],
)
async def test_a_stream_breaks_as_it_is_told(
    fault: Fault, error: type[Exception], sent: bool
) -> None:
    with fixed(Reply((ToolUse("read_file", {"path": "a" * 99}),), fault=fault)) as server:
        async with client_of(server) as client:
            with pytest.raises(error):
                await ask(client)
    assert [request.sent for request in server.requests] == [sent]


async def test_a_truncated_stream_has_no_stop_reason() -> None:
    with fixed(Reply((Text("a" * 99),), fault="truncated")) as server:
        async with client_of(server) as client:
            message = await ask(client)
    assert message.stop_reason is None


async def test_the_sdk_retries_and_waits_as_told() -> None:
    def brain(request: Request) -> Reply:
        retries = int(request.headers["x-stainless-retry-count"])
        troubles = (failure(429, retry_after=0.3), failure(529, retry_after=0.1))
        return (*troubles, Reply((Text("at last"),)))[retries]

    with MessagesServer(brain) as server:
        async with client_of(server) as client:
            message = await ask(client.with_options(max_retries=2))
    assert text_of(message.model_dump()["content"]) == "at last"
    assert [request.status for request in server.requests] == [429, 529, 200]
    assert len({request.sha256 for request in server.requests}) == 1
    first, second, third = (request.time for request in server.requests)
    assert second - first >= 0.3
    assert third - second >= 0.1


async def test_a_slow_first_byte_times_out_and_is_not_counted() -> None:
    with fixed(Reply((Text("late"),), delay=0.4)) as server:
        async with client_of(server) as client:
            with pytest.raises(anthropic.APITimeoutError):
                await ask(client.with_options(timeout=0.1))
        await asyncio.sleep(0.5)
        assert len(server.requests) == 1
        assert server.sent == ()


BODY = b'{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}'
HEAD = b"POST /v1/messages HTTP/1.1\r\nx-api-key: test\r\nanthropic-version: 1\r\n"


@pytest.mark.parametrize("reads", [True, False])
async def test_a_client_may_leave_once_it_has_read_its_answer(reads: bool) -> None:
    with fixed(Reply((Text("x" * 50_000),), delay=0.02)) as server:
        for _ in range(20):
            reader, writer = await asyncio.open_connection(*server.url[7:].split(":"))
            writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY)
            if reads:
                await reader.readuntil(b"\r\n0\r\n\r\n")
            await writer.drain()
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert [(r.sent, r.connected) for r in server.requests] == [(reads, reads)] * 20


async def test_twenty_requests_at_once() -> None:
    async def brain(request: Request) -> Reply:
        await asyncio.sleep(0.2)
        return Reply((Text(scripts.task_of(request)),))

    with MessagesServer(brain) as server:
        async with client_of(server) as client:
            start = time.perf_counter()
            questions: list[MessageParam] = [{"role": "user", "content": f"{n}"} for n in range(20)]
            answers = await asyncio.gather(*(ask(client, question) for question in questions))
            assert time.perf_counter() - start < 2
        texts = [text_of(answer.model_dump()["content"]) for answer in answers]
        assert texts == [str(n) for n in range(20)]
        assert [request.number for request in server.sent] == list(range(1, 21))
        assert len({request.id for request in server.sent}) == 20


async def converse(client: AsyncAnthropic) -> Message:
    """A thread of two turns, with two tool calls."""
    system = "You are reader, who reads.\nBe short."
    first = await ask(client, HELLO, system=system)
    calls = [block.id for block in first.content if block.type == "tool_use"]
    results: MessageParam = {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": calls[0], "content": "text of a"},
            {"type": "tool_result", "tool_use_id": calls[1], "content": "gone", "is_error": True},
        ],
    }
    return await ask(client, HELLO, first.to_param(), results, system=system)


async def test_a_script_needs_no_memory_of_its_own(tmp_path: Path) -> None:
    answers: list[Message] = []
    logs = [tmp_path / "one", tmp_path / "two"]
    for log in logs:
        with MessagesProcess(SCRIPT, log) as server:
            async with client_of(server) as client:
                answers.append(await converse(client))
                assert len(server.sent) == 2
    assert answers[0] == answers[1]
    expected = "('read_file',) [('text of a', False), ('gone', True)]"
    assert text_of(answers[0].model_dump()["content"]) == expected
    one, two = (read_log(log) for log in logs)
    assert [request.body for request in one] == [request.body for request in two]
    assert scripts.agent_of(one[0]) == "reader"
    assert [scripts.turn_of(request) for request in one] == [0, 1]
    assert [c.input for c in scripts.calls_of(one[1])] == [{"name": "a"}, {}]


async def test_a_missing_step_fails_the_test_that_ran_into_it() -> None:
    with pytest.raises(AssertionError, match="scripted model raised") as caught:
        with MessagesServer(BRAIN) as server:
            async with client_of(server) as client:
                with pytest.raises(anthropic.InternalServerError, match="no script for agent"):
                    await ask(client.with_options(max_retries=2), system="You are nobody, at all.")
        assert len(server.requests) == 1
    assert isinstance(caught.value.__cause__, LookupError)


CHILD = """
import asyncio, sys
from anthropic import AsyncAnthropic
async def main():
    client = AsyncAnthropic(base_url=sys.argv[1], api_key="test", max_retries=0)
    async with client.messages.stream(
        model="m", max_tokens=9, system=sys.argv[2], messages=[{"role": "user", "content": "hello"}]
    ) as stream:
        async for event in stream:
            print(event.type, flush=True)
asyncio.run(main())
"""


def child(url: str, agent: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, url, f"You are {agent}, a test."]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_client_killed_in_mid_stream_is_not_counted(tmp_path: Path) -> None:
    with MessagesProcess(SCRIPT, tmp_path / "log") as server:
        with child(server.url, "slow") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "message_start\n"
            process.send_signal(signal.SIGKILL)
        with child(server.url, "reader") as process:
            pass
        time.sleep(2)  # longer than the rest of the broken stream would have taken
        assert [scripts.agent_of(request) for request in server.sent] == ["reader"]
        assert server.sent[0].connected


async def test_the_server_ends_while_a_client_waits() -> None:
    asked = threading.Event()

    def brain(_: Request) -> Reply:
        asked.set()
        return Reply((Text("never"),), delay=60)

    with MessagesServer(brain) as server:
        async with client_of(server) as client:
            waiting = asyncio.create_task(ask(client))
            await asyncio.to_thread(asked.wait)
            server.__exit__(None, None, None)
            with pytest.raises(anthropic.APIConnectionError):
                await waiting


def test_a_taken_port_is_an_error() -> None:
    with fixed(Reply()) as server:
        taken = MessagesServer(lambda _: Reply(), port=int(server.url.rpartition(":")[2]))
        with pytest.raises(OSError), taken:
            pass
