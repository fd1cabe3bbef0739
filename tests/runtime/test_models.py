"""Is a request what the provider wants, and its digest of just that?"""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from crews.records.store import dump
from tests.runtime.asked import ASKED, OTHER


def test_the_last_turn_can_be_forced_to_hand_over() -> None:
    body = replace(ASKED, forced_tool="look").body()
    assert body["tool_choice"] == {"type": "tool", "name": "look"}
    assert "tools" not in replace(ASKED, tools=()).body()


def test_the_digest_is_of_what_the_provider_sees() -> None:
    assert replace(ASKED, thread="/0.0", turn=3, agent="bob").digest() == ASKED.digest()
    for other in (
        replace(ASKED, system="You are bob, Bob."),
        replace(ASKED, model=OTHER),
        replace(ASKED, messages=({"role": "user", "content": "Go on!"},)),
        replace(ASKED, forced_tool="look"),
    ):
        assert other.digest() != ASKED.digest()


def test_each_request_begins_with_the_bytes_of_the_one_before() -> None:
    later = replace(
        ASKED,
        messages=(
            *ASKED.messages,
            {"role": "assistant", "content": [{"type": "text", "text": "ok"}]},
            {"role": "user", "content": "And now?"},
        ),
    )
    first, second = (json.dumps(r.body()["messages"])[:-1] for r in (ASKED, later))
    assert second.startswith(first)


@given(
    st.lists(st.text(st.characters(), max_size=40), min_size=1, max_size=4),
    st.text(st.characters(), max_size=20),
)
def test_what_is_sent_is_what_the_digest_is_of_however_it_was_written(
    texts: list[str], system: str
) -> None:
    messages = tuple({"role": "user", "content": text} for text in texts)
    plain = replace(ASKED, system=system, messages=messages, forced_tool="look")
    grown = replace(plain, texts=tuple(map(dump, messages)))
    assert grown.text() == dump(plain.body())
    assert grown.digest() == plain.digest()
    for model in (OTHER, grown.model, ',"system":['):
        streamed = dump(plain.body(model) | {"stream": True})
        assert grown.text(model, streamed=True) == plain.text(model, streamed=True) == streamed
    assert grown.digest() == plain.digest()
