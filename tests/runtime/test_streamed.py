"""Do the events of an answer add up to what the SDK makes of them?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.errors import ModelError
from crews.runtime.streamed import BrokenStream, Message, read

Event = dict[str, Any]
ROOM = 10_000
USAGE = {"input_tokens": 3, "output_tokens": 1, "cache_read_input_tokens": 7}
START: Event = {
    "type": "message_start",
    "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": USAGE,
    },
}  # fmt: skip
END: Event = {
    "type": "message_delta",
    "delta": {"stop_reason": "tool_use", "stop_sequence": None},
    "usage": {"output_tokens": 9},
}
STOP: Event = {"type": "message_stop"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
TEXTS = st.text(max_size=30)


async def _given(sent: bytes, length: int) -> AsyncIterator[bytes]:
    for start in range(0, len(sent), length):
        yield sent[start : start + length]


def added(events: Sequence[Event], max_tokens: int = ROOM) -> Message:
    """What the events add up to."""
    return received(written(events), max_tokens=max_tokens)


def received(sent: str, length: int = 1 << 16, max_tokens: int = ROOM) -> Message:
    """What an answer that comes in pieces of this length adds up to."""
    return asyncio.run(read(_given(sent.encode(), length), max_tokens))


def written(events: Sequence[Event], end: str = "\n") -> str:
    """The events as an endpoint sends them."""
    return "".join(f"event: {e['type']}{end}data: {_json(e)}{end}{end}" for e in events)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def block(place: int, start: Event, *deltas: Event) -> list[Event]:
    """The events of one block."""
    return [
        {"type": "content_block_start", "index": place, "content_block": start},
        *({"type": "content_block_delta", "index": place, "delta": d} for d in deltas),
        {"type": "content_block_stop", "index": place},
    ]


def call(place: int, name: str, *pieces: str) -> list[Event]:
    """The events of a tool call whose arguments come in these pieces."""
    start: Event = {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": {}}
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(place, start, *deltas)


def cut(text: str, length: int) -> list[str]:
    """The text in pieces."""
    return [text[i : i + length] for i in range(0, len(text), length)]


def by_the_sdk(events: Sequence[Event]) -> list[Event]:
    """The blocks that `messages.stream` makes of the events."""
    sent = written(events)

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=sent)

    async def ask() -> list[Event]:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
        async with (
            AsyncAnthropic(api_key="k", base_url="http://127.0.0.1", http_client=http) as client,
            client.messages.stream(model="m", max_tokens=1, messages=[]) as stream,
        ):
            message = await stream.get_final_message()
            return [b.to_dict(mode="json", exclude_unset=True) for b in message.content]

    return asyncio.run(ask())


@settings(deadline=None)  # the SDK is loaded by the first of them
@given(
    said=st.lists(TEXTS, max_size=3),
    thought=st.lists(TEXTS, max_size=3),
    arguments=st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
    length=st.integers(1, 9),
)
def test_blocks_are_those_that_the_sdk_makes(
    said: list[str], thought: list[str], arguments: Event, length: int
) -> None:
    place = {"type": "char_location", "cited_text": "c", "document_index": 0,
             "document_title": None, "start_char_index": 0, "end_char_index": 1}  # fmt: skip
    events = [
        START,
        *block(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            *({"type": "thinking_delta", "thinking": t} for t in thought),
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"}),
        *block(
            2,
            {"type": "text", "text": "", "citations": None},
            *({"type": "text_delta", "text": t} for t in said),
            {"type": "citations_delta", "citation": place},
        ),
        *call(3, "look", *cut(json.dumps(arguments), length)),
        *call(4, "look", ""),
        END,
        STOP,
    ]
    assert list(added(events).blocks) == by_the_sdk(events)


def test_later_counts_replace_earlier_ones() -> None:
    usage = added([START, END, STOP]).usage
    assert (usage.input_tokens, usage.output_tokens) == (3, 9)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (7, 0)
    more = END | {
        "usage": {"output_tokens": 10, "input_tokens": 5, "cache_read_input_tokens": None}
    }
    assert added([START, END, more]).usage.input_tokens == 5
    assert added([START, END, more]).usage.cache_read_input_tokens == 7


def _started(**changed: object) -> Event:
    return {**START, "message": {**START["message"], **changed}}


@pytest.mark.parametrize(
    "events",
    [
        [_started(usage={}), END],
        [_started(usage={"input_tokens": None, "output_tokens": 1}), END],
        [START, {**END, "usage": {}}],
        [START, {**END, "usage": None}],
        [START, {**END, "usage": {"output_tokens": None}}],
    ],
)
def test_what_an_answer_took_is_never_counted_as_nothing(events: list[Event]) -> None:
    with pytest.raises(BrokenStream, match="how many tokens"):
        added(events)


def test_an_answer_cannot_give_tokens_back() -> None:
    with pytest.raises(ValueError, match="less than nothing"):
        added([_started(usage={"input_tokens": -5, "output_tokens": 1}), END])


def test_what_an_answer_begins_with_is_a_part_of_it() -> None:
    start = _started(content=[{"type": "text", "text": "pre"}])
    delta = {"type": "text_delta", "text": "fix"}
    event = {"type": "content_block_delta", "index": 0, "delta": delta}
    assert added([start, event, END]).blocks == ({"type": "text", "text": "prefix"},)
    whole = _started(content=[{"type": "text", "text": "all"}], stop_reason="end_turn")
    assert added([whole]).stop_reason == "end_turn"


def test_a_block_gets_no_field_of_another_kind() -> None:
    strange = [
        {"type": "input_json_delta", "partial_json": "{}"},
        {"type": "thinking_delta", "thinking": "x"},
        {"type": "signature_delta", "signature": "x"},
    ]
    events = [START, *block(0, {"type": "text", "text": "a"}, *strange), END]
    assert added(events).blocks == ({"type": "text", "text": "a"},)


def test_a_call_that_the_limit_has_cut_off_holds_what_came_of_it() -> None:
    events = [START, *call(0, "look", '{"a": [1, 2', "], "), END]
    assert added(events).blocks[0]["input"] == {"a": [1, 2]}
    assert list(added(events).blocks) == by_the_sdk(events)


def test_what_is_not_known_changes_nothing() -> None:
    events = [
        START,
        {"type": "weather", "is": "fine"},
        *block(0, {"type": "text", "text": ""}, {"type": "mood_delta", "mood": "fine"}),
        END,
    ]
    assert added(events).blocks == ({"type": "text", "text": ""},)


@pytest.mark.parametrize(
    "events",
    [[], [START], [START, *block(0, {"type": "text", "text": "x"})], [END], [STOP]],
    ids=["nothing", "a start", "no end", "no start", "an end alone"],
)
def test_what_has_no_start_or_no_end_broke_off(events: list[Event]) -> None:
    with pytest.raises(BrokenStream):
        added(events)


@pytest.mark.parametrize("kind", ["text", "partial_json", "thinking", "nothing"])
def test_an_answer_without_end_is_ended(kind: str) -> None:
    deltas = {
        "text": {"type": "text_delta", "text": "x" * 100},
        "partial_json": {"type": "input_json_delta", "partial_json": "[" * 100},
        "thinking": {"type": "thinking_delta", "thinking": "x" * 100},
        "nothing": {"type": "text_delta", "text": ""},
    }
    many = block(0, {"type": "text", "text": "", "thinking": ""}, *[deltas[kind]] * 2000)
    with pytest.raises(ModelError, match="had no end") as caught:
        added([START, *many, END], max_tokens=10)
    assert caught.value.billed


SAID: list[Event] = [
    START,
    *block(
        0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "naïve\u2028語\x85\x0c"}
    ),
    *call(1, "look", '{"a": "é"}'),
    END,
    STOP,
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 64, 1 << 16])
def test_an_answer_is_the_same_however_it_is_cut_and_its_lines_end(end: str, length: int) -> None:
    first, *rest = SAID
    quiet = (
        f": a comment{end}event: ping{end}data: {{}}{end}{end}data: [{end}{end}event: x{end}{end}"
    )
    sent = written([first], end) + quiet + written(rest, end)
    assert received(sent, length) == added(SAID)
    assert added(SAID).blocks[0]["text"] == "naïve\u2028語\x85\x0c"


def test_an_event_that_spans_lines_is_one() -> None:
    halves = [line for e in SAID for line in (f"event: {e['type']}", *_in_lines(e), "")]
    assert received("\n".join([*halves, ""])) == added(SAID)


def _in_lines(event: Event) -> list[str]:
    return [f"data:{line}" for line in json.dumps(event, indent=1).splitlines()]


def test_an_event_without_its_end_does_not_count() -> None:
    with pytest.raises(BrokenStream, match="broke off"):
        received(written([START, END]).removesuffix("\n"))


def test_an_error_that_comes_as_an_event_ends_the_answer() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Too much"}}
    with pytest.raises(BrokenStream, match="Too much"):
        added([START, error, END])


@pytest.mark.parametrize("sent", [b"\xff", b"[[" * 100_000, b"1", b"null", b"[]"])
def test_what_is_no_event_of_an_answer_is_an_error(sent: bytes) -> None:
    pieces = _given(b"event: x\ndata: " + sent + b"\n\n", 1 << 16)
    with pytest.raises((AttributeError, RecursionError, TypeError, ValueError)):
        asyncio.run(read(pieces, ROOM))
