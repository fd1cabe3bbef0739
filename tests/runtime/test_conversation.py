"""Is a thread's conversation its rows, the same bytes whoever loads it, and one that the API takes?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.records.journal import Journal
from crews.records.rows import CallRow, ThreadRow, TurnRow
from crews.records.store import dump, open_store
from crews.runtime.conversation import KEPT_TURNS, SHORT, Conversation
from tests.records import builders

USE: dict[str, Any] = {"type": "tool_use", "id": "use-0-0", "name": "touch", "input": {}}
SAID = {"type": "text", "text": "I look."}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        yield builders.owned(store)


def use(turn: int, place: int = 0) -> dict[str, Any]:
    return {**USE, "id": f"use-{turn}-{place}"}


def record(journal: Journal, number: int, *content: dict[str, Any], **values: Any) -> list[CallRow]:
    """A turn with this content; its calls are done with the result `RESULT-turn.place`."""
    uses = [b for b in content if b["type"] == "tool_use"]
    calls = [
        builders.call(journal, turn=number, place=n, state="done", result=f"RESULT-{number}.{n}")
        for n, _ in enumerate(uses)
    ]
    row = builders.turn(journal, number=number, blocks=builders.blocks(*content), **values)
    journal.record_turn(row, calls)
    return calls


def load(journal: Journal) -> Conversation:
    thread = journal.thread("/")
    assert thread is not None
    return Conversation.load(journal, thread)


def sizes(talk: Conversation) -> tuple[int, ...]:
    bounds = (talk.most_tokens(by_one_model=one) for one in (True, False))
    return talk.estimated_tokens(), *bounds


def test_a_new_thread_is_its_brief(journal: Journal) -> None:
    builders.thread(journal, brief="Find the bug.", tools='[{"name":"look"}]')
    talk = load(journal)
    assert talk.messages == [{"role": "user", "content": "Find the bug."}]
    assert talk.tools == ({"name": "look"},)
    assert (talk.turns, talk.last, talk.calls) == (0, None, ())


def test_answers_and_results_take_turns_and_the_last_turn_is_left_open(journal: Journal) -> None:
    builders.thread(journal)
    record(journal, 0, SAID, use(0), use(0, 1))
    record(journal, 1, use(1))
    talk = load(journal)
    assert [m["role"] for m in talk.messages] == ["user", "assistant", "user", "assistant"]
    assert talk.messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "use-0-0", "content": "RESULT-0.0"},
        {"type": "tool_result", "tool_use_id": "use-0-1", "content": "RESULT-0.1"},
    ]
    assert talk.last is not None
    assert (talk.turns, talk.last.turn, [c.address for c in talk.calls]) == (2, 1, ["/:1.0"])


def test_what_is_loaded_is_what_was_grown(journal: Journal) -> None:
    builders.thread(journal)
    grown = load(journal)
    for number in range(4):
        calls = record(journal, number, SAID, use(number), notice="Hurry." if number == 2 else "")
        assert json.dumps(load(journal).messages)[:-1].startswith(json.dumps(grown.messages)[:-1])
        [row] = journal.turns("/")[number:]
        grown.add_turn(row, calls)
        again = load(journal)
        assert again.messages == grown.messages
        grown.add_results(calls)
        again.add_results(again.calls)
        assert json.dumps(again.messages) == json.dumps(grown.messages)
        assert sizes(again) == sizes(grown)


def test_results_come_in_the_order_of_the_calls_and_the_notice_last(journal: Journal) -> None:
    builders.thread(journal)
    calls = record(journal, 0, use(0), use(0, 1), notice="Last turn.")
    talk = load(journal)
    talk.add_results(tuple(reversed(calls)))
    content = talk.messages[-1]["content"]
    assert [b.get("tool_use_id") for b in content] == ["use-0-0", "use-0-1", None]
    assert content[-1] == {"type": "text", "text": "Last turn."}


def test_what_failed_says_so_and_what_was_cut_off_says_why(journal: Journal) -> None:
    builders.thread(journal)
    calls = record(journal, 0, use(0), use(0, 1), use(0, 2))
    talk = load(journal)
    failed = replace(calls[0], is_error=True, result="no such file")
    talk.add_results([failed, replace(calls[1], result="")])
    first, empty, cut = talk.messages[-1]["content"]
    assert (first["is_error"], first["content"]) == (True, "no such file")
    assert empty["content"] == "[no output]"
    assert "is_error" not in empty
    assert cut["is_error"]
    assert "cut off" in cut["content"]


@pytest.mark.parametrize(
    "content",
    [[], [{"type": "text", "text": ""}], [{"type": "text", "text": " \n"}], [SAID]],
)
def test_an_empty_answer_does_not_spoil_the_thread(
    journal: Journal, content: list[dict[str, Any]]
) -> None:
    """The API gives empty answers now and then, and refuses to be sent one."""
    builders.thread(journal)
    record(journal, 0, *content, notice="Go on.")
    talk = load(journal)
    talk.add_results(())
    sent = talk.messages[1]["content"]
    assert sent
    assert all(str(b["text"]).strip() for b in sent)
    assert [r.content for r in journal.turns("/")] == [content]  # the row keeps what came


def test_thinking_is_never_left_out(journal: Journal) -> None:
    builders.thread(journal)
    thought = {"type": "thinking", "thinking": "", "signature": "c2ln"}
    record(journal, 0, thought, {"type": "text", "text": "\n"}, use(0))
    assert load(journal).messages[1]["content"] == [thought, use(0)]


def test_a_compacted_thread_is_shorter_and_says_where_the_rest_is(journal: Journal) -> None:
    thread = builders.thread(journal)
    for number in range(3):
        [call] = record(journal, number, use(number))
        journal.set_call(call, result="x" * (SHORT + number * 100))
    whole = load(journal)
    whole.add_results(whole.calls)
    journal.compact_thread("/", 2, 1000)
    short = load(journal)
    short.add_results(short.calls)
    results = [m["content"][0]["content"] for m in short.messages[2::2]]
    assert results[0] == "x" * SHORT
    assert "read_result call=1.0" in results[1]
    assert results[2] == "x" * (SHORT + 200)
    whole.estimate_anew()
    assert short.estimated_tokens() < whole.estimated_tokens()
    assert journal.thread("/") == replace(
        thread, compacted=2, tokens=30, money=21, turns=3, calls=3
    )


def test_a_compacted_thread_that_is_loaded_is_as_large_as_one_that_grew(journal: Journal) -> None:
    """Also long after: what was asked for since then says how much it read."""
    builders.thread(journal)
    for number in range(KEPT_TURNS + 1):
        [call] = record(journal, number, use(number), input_tokens=9000)
        journal.set_call(call, result="x" * SHORT * 3)
    journal.compact_thread("/", 1, 1000)
    grown = load(journal)
    assert sizes(grown)[0] < 9000  # of what was sent before nothing can be told
    for number in range(KEPT_TURNS + 1, KEPT_TURNS + 4):
        grown.add_results(grown.calls)
        calls = record(journal, number, use(number), input_tokens=300)
        grown.add_turn(journal.turns("/")[number], calls)
        assert sizes(load(journal)) == sizes(grown)


def test_tools_that_are_described_in_another_script_count_in_bytes(journal: Journal) -> None:
    described = dump([{"name": "look", "description": "看" * 1000}])
    builders.thread(journal, tools=described)
    assert load(journal).most_tokens(by_one_model=False) > len(described.encode())


def test_a_forced_call_may_take_more_framing_than_was_seen(journal: Journal) -> None:
    builders.thread(journal)
    record(journal, 0, use(0))
    talk = load(journal)
    free, forced = (talk.most_tokens(by_one_model=True, forced=f) for f in (False, True))
    assert forced > free + 100


def test_an_estimate_counts_what_the_last_request_read_and_what_came_since(
    journal: Journal,
) -> None:
    builders.thread(journal)
    calls = record(journal, 0, use(0), input_tokens=5000)
    talk = load(journal)
    before = talk.estimated_tokens()
    assert before >= 5000
    talk.add_results([replace(calls[0], result="y" * 9000)])
    assert talk.estimated_tokens() >= before + 3000


@given(st.text(max_size=300))
def test_an_estimate_is_no_lower_for_scripts_that_take_more_tokens(text: str) -> None:
    """No tokenizer of these models takes more than a token for each byte of UTF-8 text."""
    thread = _thread(text)
    talk = Conversation.begin(thread)
    talk.estimate_anew()
    wide = sum(ord(c) > 0x7F for c in text)
    assert talk.estimated_tokens() >= wide * 2


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_no_request_reads_more_tokens_than_what_is_set_aside_for_it(texts: list[str]) -> None:
    """A token of a byte-level vocabulary is a byte of UTF-8 at least."""
    talk = Conversation.begin(_thread(texts[0]))
    talk.estimate_anew()
    for number, text in enumerate(texts[1:]):
        content = [{"type": "text", "text": text}]
        row = TurnRow(
            run="r", path="/", turn=number, request_hash="", model="m", blocks=dump(content),
            stop_reason="end_turn", notice=text, input_tokens=1, output_tokens=1,
            cache_write_tokens=0, cache_read_tokens=0, money=0, seconds=0.0, ended_at=0.0,
        )  # fmt: skip
        talk.add_turn(row, ())
        talk.add_results(())
    whole = json.dumps(talk.messages, ensure_ascii=False).encode(errors="surrogatepass")
    texts_alone = sum(len(text.encode(errors="surrogatepass")) for text in texts)
    assert talk.most_tokens(by_one_model=False) >= len(whole) - 40 * len(texts)
    assert talk.most_tokens(by_one_model=False) >= texts_alone
    newest = len(texts[-1].encode(errors="surrogatepass"))
    assert talk.most_tokens(by_one_model=True) >= newest


def _thread(brief: str) -> ThreadRow:
    return ThreadRow(
        run="r", path="/", kind="task", agent="ann", task="", step="", model="m", system="",
        tools="[]", brief=brief, grants="{}", limits="{}", state="open", handover=None, flags="[]",
        hash_before="", hash_after="", compacted=0, finish_now=False, tokens=0, money=0,
        money_known=True, turns=0, calls=0, working_seconds=0.0, started_at=0.0, ended_at=None,
    )  # fmt: skip
