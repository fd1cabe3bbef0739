"""Does the tests' Messages API refuse what the real one refuses?"""

from __future__ import annotations

import anthropic
import pytest

from tests.support.messages_api import MessagesServer
from tests.support.reply import Reply, Text
from tests.support.request import JSONObject

CALL: JSONObject = {"type": "tool_use", "id": "t", "name": "read_file", "input": {}}
RESULT: JSONObject = {"type": "tool_result", "tool_use_id": "t", "content": "text"}
HELLO: JSONObject = {"role": "user", "content": "hello"}
READ: JSONObject = {"name": "read_file", "input_schema": {"type": "object"}}


def send(change: JSONObject) -> anthropic.types.Message:
    """One request that is sound but for `change`."""
    with (
        MessagesServer(lambda _: Reply((Text("fine"),))) as server,
        anthropic.Anthropic(base_url=server.url, api_key="test", max_retries=0) as client,
    ):
        return client.messages.create(
            model="m",
            max_tokens=9,
            messages=[{"role": "user", "content": "hello"}],
            extra_body=change,
        )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"messages": []}, "messages: Field required"),
        ({"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "first message"),
        ({"messages": [HELLO, {"role": "assistant", "content": [CALL]}]}, "without `tool_result`"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id`"),
        ({"tools": [READ, READ]}, "must be unique"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "match pattern"),
        (
            {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5},
            "maximum of 4",
        ),
    ],
)
def test_what_the_real_api_refuses_is_refused(change: JSONObject, complaint: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match=complaint):
        send(change)


def test_a_sound_thread_passes() -> None:
    thread = [
        HELLO,
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": [RESULT, {"type": "text", "text": "and?"}]},
    ]
    assert send({"messages": thread, "tools": [READ]}).stop_reason == "end_turn"
