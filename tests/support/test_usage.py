"""Does the tests' Messages API count tokens as told: by size, or with a prompt cache?"""

from __future__ import annotations

import anthropic
from anthropic.types import Message

from tests.support.messages_api import MessagesServer
from tests.support.reply import Reply, Text

MARKED = {"type": "text", "text": "x" * 4000, "cache_control": {"type": "ephemeral"}}


def twice(*, cache: bool) -> list[Message]:
    """The same request, asked twice of one server."""
    with (
        MessagesServer(lambda _: Reply((Text("ok"),)), cache=cache) as server,
        anthropic.Anthropic(base_url=server.url, api_key="test", max_retries=0) as client,
    ):
        return [
            client.messages.create(
                model="m",
                max_tokens=9,
                messages=[{"role": "user", "content": "hello"}],
                extra_body={"system": [MARKED]},
            )
            for _ in range(2)
        ]


def test_usage_by_size_is_the_same_every_time_and_cache_marks_count_when_asked() -> None:
    answers = [*twice(cache=False), *twice(cache=True)]
    plain, again, first, second = (answer.usage for answer in answers)
    assert plain == again
    assert plain.input_tokens > 1000
    assert plain.cache_read_input_tokens == 0
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens
    assert (first.cache_creation_input_tokens or 0) > 1000
    assert second.cache_creation_input_tokens == first.cache_read_input_tokens == 0
    assert first.input_tokens == second.input_tokens < 100
