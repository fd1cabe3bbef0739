"""Is a model asked as the provider wants it, its answer kept whole, and every failure given its meaning?"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace

import pytest
from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
from httpx2 import create_ssl_context
from pydantic import SecretStr

from crews.errors import EXIT_KEY, KeyMissing, ModelAuthError, ModelError
from crews.runtime.claude import Claude, ModelSource
from crews.runtime.models import ModelAnswer, ModelRequest
from crews.runtime.prices import price
from crews.runtime.transport import Transport
from crews.settings import Settings
from tests.runtime.asked import ASKED, MODEL, OTHER
from tests.support.messages_api import Brain, MessagesServer
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
from tests.support.request import Request

GOOD = Reply((Text("good"),))


class Heard(list[str]):
    """What was said of retries, and of which of them the attempt before may be billed."""

    billed: int = 0

    def __call__(self, text: str, *, billed: bool) -> None:
        self.append(text)
        self.billed += billed


def anthropic(url: str, max_retries: int = 0) -> AsyncAnthropic:
    """The SDK's client as a run has it, with fewer retries."""
    http = DefaultAsyncHttpxClient(transport=Transport(create_ssl_context))
    return AsyncAnthropic(base_url=url, api_key="key", max_retries=max_retries, http_client=http)


def ask(server: MessagesServer, request: ModelRequest = ASKED) -> tuple[ModelAnswer, Heard]:
    """The answer, and what was heard of retries."""
    retries = Heard()

    async def once() -> ModelAnswer:
        async with anthropic(server.url, max_retries=2) as client:
            return await Claude(client).ask(request, retries)

    return asyncio.run(once()), retries


def count(url: str, request: ModelRequest = ASKED) -> int | None:
    """What the endpoint says that the request reads."""

    async def once() -> int | None:
        async with anthropic(url) as client:
            return await Claude(client).count(request)

    return asyncio.run(once())


def in_turn(*replies: Reply) -> Brain:
    """A model that answers each request with the next reply."""
    left = list(replies)
    return lambda _: left.pop(0)


# -- the request ----------------------------------------------------------------------------------


def test_a_request_streams_and_marks_what_is_to_be_cached() -> None:
    with MessagesServer(lambda _: GOOD) as server:
        ask(server)
        [request] = server.requests
    body = request.json
    mark = {"type": "ephemeral"}
    assert request.stream
    assert body["system"] == [{"type": "text", "text": ASKED.system, "cache_control": mark}]
    assert body["cache_control"] == mark  # the newest turn: earlier messages keep their bytes
    assert "cache_control" not in json.dumps([body["messages"], body["tools"]])
    assert body["max_tokens"] == 100
    assert "tool_choice" not in body


# -- the answer -----------------------------------------------------------------------------------


def test_thinking_comes_back_and_goes_out_again_byte_for_byte() -> None:
    blocks = (
        Thinking("First –\n  I look.\u2028\0", signature="c2lnbmF0dXJl+/=="),
        RedactedThinking("b3BhcXVl"),
        Text("naïve 語"),
        ToolUse("look", {"b": [1, {"é": None}], "a": 'x\\"y'}),
    )
    with MessagesServer(lambda _: Reply(blocks), piece=3) as server:
        answer, _ = ask(server)
        assert answer.blocks[:3] == (
            {"type": "thinking", "thinking": "First –\n  I look.\u2028\0",
             "signature": "c2lnbmF0dXJl+/=="},
            {"type": "redacted_thinking", "data": "b3BhcXVl"},
            {"type": "text", "text": "naïve 語"},
        )  # fmt: skip
        use = answer.blocks[3]
        assert use["input"] == {"b": [1, {"é": None}], "a": 'x\\"y'}
        result = {"type": "tool_result", "tool_use_id": use["id"], "content": "done"}
        again = (
            *ASKED.messages,
            {"role": "assistant", "content": list(answer.blocks)},
            {"role": "user", "content": [result]},
        )
        ask(server, replace(ASKED, turn=1, messages=again))
        sent = server.requests[1].messages[1]
    assert sent["content"] == list(answer.blocks)
    assert answer.stop_reason == "tool_use"


def test_usage_is_kept_and_priced() -> None:
    usage = Usage(100, 20, 3000, 40_000)
    with MessagesServer(lambda _: replace(GOOD, usage=usage)) as server:
        answer, _ = ask(server)
    assert (answer.input_tokens, answer.output_tokens) == (100, 20)
    assert (answer.cache_write_tokens, answer.cache_read_tokens) == (3000, 40_000)
    assert answer.money == price(MODEL, 100, 20, 3000, 40_000)
    assert answer.seconds > 0


# -- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 529])
def test_a_busy_endpoint_is_asked_again_by_the_sdk(status: int) -> None:
    with MessagesServer(in_turn(failure(status, retry_after=0.01), GOOD)) as server:
        answer, _ = ask(server)
        assert len(server.requests) == 2
    assert answer.blocks == ({"type": "text", "text": "good"},)


FAULTS: tuple[Fault, ...] = (
    "hang_up", "cut", "truncated", "garbled", "stray", "error_event", "bad_input", "deep_input",
    "deep_event",
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_breaks_off_is_asked_for_again(fault: Fault) -> None:
    broken = Reply((Text("x" * 1000), ToolUse("look", {"a": 1})), fault=fault)
    roomy = replace(ASKED, max_tokens=4000)  # what is nested without end is less than that
    with MessagesServer(in_turn(broken, GOOD)) as server:
        answer, retries = ask(server, roomy)
        assert len(server.requests) == 2
    assert answer.blocks == ({"type": "text", "text": "good"},)
    if fault != "hang_up":  # before the first byte the SDK tries again itself
        [retry] = retries
        assert retry.startswith(MODEL)
        assert retries.billed == 1  # what was sent of it


def test_the_fallbacks_are_asked_in_their_order() -> None:
    def brain(request: Request) -> Reply:
        return GOOD if request.model == OTHER else failure(404, f"no model {request.model}")

    with MessagesServer(brain) as server:
        answer, retries = ask(server, replace(ASKED, fallback=("claude-none", OTHER)))
        models = [r.model for r in server.requests]
    assert models == [MODEL, "claude-none", OTHER]
    assert answer.model == OTHER
    assert answer.money == price(OTHER, answer.input_tokens, answer.output_tokens)
    assert [r.partition(":")[0] for r in retries] == [MODEL, "claude-none"]
    assert retries.billed == 0  # a refusal costs nothing


def test_a_fallback_that_is_asked_after_a_broken_answer_is_one_more_attempt() -> None:
    broken = Reply((Text("x" * 1000),), fault="truncated")

    with MessagesServer(lambda r: GOOD if r.model == OTHER else broken) as server:
        answer, retries = ask(server, replace(ASKED, fallback=(OTHER,)))
        assert len(server.requests) == 4
    assert answer.model == OTHER
    assert retries.billed == 3


CUT = Reply((Text("x" * 1000),), fault="truncated")


@pytest.mark.parametrize(("last", "billed"), [(CUT, True), (failure(400, "no"), False)])
def test_a_failure_says_of_its_last_attempt_alone_whether_it_may_be_billed(
    last: Reply, billed: bool
) -> None:
    with (
        MessagesServer(lambda r: last if r.model == OTHER else CUT) as server,
        pytest.raises(ModelError) as error,
    ):
        ask(server, replace(ASKED, fallback=(OTHER,)))
    assert error.value.billed is billed


def test_what_a_request_reads_is_counted_by_the_provider_with_a_margin() -> None:
    with MessagesServer(lambda _: GOOD) as server:
        answer, _ = ask(server)
        counted = count(server.url)
        assert len(server.requests) == 1  # a count is no request for an answer
    assert counted is not None
    assert 0 < answer.input_tokens - 20 < counted < answer.input_tokens + 60
    assert count(server.url) is None  # nobody is there


def test_where_nothing_answers_every_model_says_why() -> None:
    def brain(request: Request) -> Reply:
        return failure(400, f"no {request.model}")

    with MessagesServer(brain) as server, pytest.raises(ModelError) as error:
        ask(server, replace(ASKED, fallback=(OTHER,)))
    assert f"no {MODEL}" in error.value.what
    assert f"no {OTHER}" in error.value.what
    assert "keeps its place" in error.value.hint


def test_an_answer_that_always_breaks_off_is_given_up() -> None:
    broken = Reply((Text("x" * 1000),), fault="truncated")
    with MessagesServer(lambda _: broken) as server:
        with pytest.raises(ModelError, match="broke off every time"):
            ask(server)
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_asked_with_no_second_time(status: int) -> None:
    with MessagesServer(lambda _: failure(status, "bad key")) as server:
        with pytest.raises(ModelAuthError, match="bad key") as error:
            ask(server, replace(ASKED, fallback=(OTHER,)))
        assert len(server.requests) == 1
    assert error.value.exit_code == EXIT_KEY
    assert "ANTHROPIC_API_KEY" in error.value.hint


def test_an_endpoint_that_is_not_there_is_named_as_such() -> None:
    with MessagesServer(lambda _: GOOD) as server:
        pass
    with pytest.raises(ModelError, match="cannot be reached") as error:
        ask(server)
    assert not error.value.billed


def test_an_endpoint_that_takes_a_request_and_falls_silent_may_have_answered_it() -> None:
    with (
        MessagesServer(lambda _: Reply(fault="hang_up")) as server,
        pytest.raises(ModelError, match="cannot be reached") as error,
    ):
        ask(server)
    assert error.value.billed


def test_who_stops_waiting_does_not_wait() -> None:
    async def impatient(url: str) -> float:
        began = time.monotonic()
        async with anthropic(url, max_retries=2) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(Claude(client).ask(ASKED, Heard()), 0.2)
        return time.monotonic() - began

    with MessagesServer(lambda _: replace(GOOD, delay=5.0)) as server:
        assert asyncio.run(impatient(server.url)) < 3.0


# -- who is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{}, {"api_key": SecretStr("")}, {"base_url": "", "auth_token": SecretStr("")}]
)
def test_a_missing_key_names_three_ways_out(settings: dict[str, object]) -> None:
    with pytest.raises(KeyMissing) as error:
        ModelSource(Settings.model_validate(settings)).check()
    for way in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "--tape"):
        assert way in error.value.hint
    assert error.value.exit_code == EXIT_KEY


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"api_key": SecretStr("a-key")}, "a-key"),
        ({"auth_token": SecretStr("a-token")}, "a-token"),
        ({}, "none"),
    ],
)
def test_the_endpoint_gets_the_key_that_was_set(settings: dict[str, object], value: str) -> None:
    async def ask_source(url: str) -> None:
        source = ModelSource(Settings.model_validate({**settings, "base_url": url}))
        source.check()
        await source.ask(ASKED, Heard())
        await source.ask(ASKED, Heard())
        await source.aclose()

    with MessagesServer(lambda _: GOOD) as server:
        asyncio.run(ask_source(server.url))
        requests = server.requests
    assert len(requests) == 2
    for request in requests:
        sent = (request.headers.get("x-api-key"), request.headers.get("authorization"))
        assert value in {str(s).removeprefix("Bearer ") for s in sent}
