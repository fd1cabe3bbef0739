"""Does each request of a thread begin with the bytes of the one before, so that its price is that of a cache?

Compared on the raw bodies that the server got: parsed values could hide another order of keys, another
way to write a number or an escape.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.stories.children import Nursery
from tests.stories.lives import Life, as_recorded
from tests.stories.press import QUESTION, STEPS, press
from tests.stories.teams import REVIEWER, SUPERVISOR, WORKER
from tests.support.reply import RedactedThinking, ToolUse
from tests.support.request import Request
from tests.support.scripts import Script, agent_of, call, reply, scripted, task_of, text, thinking

DECODER = json.JSONDecoder()
BLANK = " \t\r\n"
MARK = '"cache_control"'
AWKWARD: dict[str, object] = {
    "z": 1.0,
    "a": {"ü": '\u2028 "quoted" \\ / é \U0001f372', "nothing": None},
    "tiny": 1e-7,
    "big": 2**60,
    "list": [True, [], {}],
    "": "no name",
}
"""A tool's arguments, in an order and in ways of writing that a careless copy would change."""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as running:
        yield running


def test_requests_of_a_thread_share_their_prefix_also_across_processes(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Killed while both typists are in the middle of their threads, after a wait for a human."""
    with Life(tmp_path / "life", nursery, press(delay=0.08, question=True)) as life:
        assert life.start().ended() == 3
        [review] = life.open_reviews()
        assert review.about["question"] == QUESTION
        life.decide()
        life.die_when(lambda: _typists_turns(life) >= 2)
        cut = len(life.server.requests)
        life.live_on()
        life.check_paid_once()

        threads = by_thread(life.server.requests)
        assert sorted(agent_of(t[0]) for t in threads) == sorted(
            [SUPERVISOR, *[WORKER] * 3, *[REVIEWER] * 2]
        )
        assert all(len(thread) >= 2 for thread in threads)
        for thread in threads:
            check_prefix(thread)
        crossed = [t for t in threads if t[0].number <= cut < t[-1].number]
        assert {agent_of(t[0]) for t in crossed} >= {SUPERVISOR, WORKER}
        for request in life.server.requests:
            check_marks(request)


def test_whatever_a_model_says_is_sent_back_in_the_same_bytes(
    nursery: Nursery, tmp_path: Path
) -> None:
    """Odd arguments, refused and cut-off calls, long results and the engine's own notices."""
    with Life(tmp_path / "life", nursery, _awkward()) as life:
        life.die_when(lambda: len(life.server.requests) >= 7)
        life.live_on()
        life.check_paid_once()
        assert 0 < len(life.deaths[0].recorded) < len(life.server.requests)

        threads = by_thread(life.server.requests)
        typist = next(t for t in threads if agent_of(t[0]) == WORKER)
        assert len(typist) == len(_TYPIST)
        for thread in threads:
            check_prefix(thread)
        last = members(typist[-1].body.decode())["messages"]
        assert "You made no tool call" in last
        assert "more characters: read_result" in last
        assert "was cut off at the length limit" in last
        assert "you have no tool `oven`" in last
        for request in life.server.requests:
            check_marks(request)


def test_the_comparison_sees_what_a_parser_would_not() -> None:
    """The tools of this module can fail."""
    body = (
        '{"max_tokens": 1, "messages": [{"role": "user", "content": "a"} , {"b":1.0}], "system":[]}'
    )
    assert members(body) == {
        "max_tokens": "1",
        "messages": '[{"role": "user", "content": "a"} , {"b":1.0}]',
        "system": "[]",
    }
    assert elements(members(body)["messages"]) == ['{"role": "user", "content": "a"}', '{"b":1.0}']
    assert elements('[{"b": 1}]') != elements('[{"b":1}]')
    assert elements('[{"b":1.0,"a":2}]') != elements('[{"a":2,"b":1.0}]')
    assert elements(" [ ] ") == []


# -- what must hold ---------------------------------------------------------------------------


def check_prefix(thread: Sequence[Request]) -> None:
    """From turn to turn: the same system, tools and earlier messages, byte for byte."""
    for before, after in pairwise(thread):
        old, new = members(before.body.decode()), members(after.body.decode())
        assert {k: old[k] for k in ("model", "system", "tools")} == {
            k: new[k] for k in ("model", "system", "tools")
        }
        messages, more = elements(old["messages"]), elements(new["messages"])
        assert more[: len(messages)] == messages
        assert len(more) == len(messages) + 2  # the answer, and what came of it
        # The bodies themselves: up to the last message of the earlier one they are the same.
        end = before.body.index(old["messages"].encode()) + len(old["messages"].encode()) - 1
        assert after.body[:end] == before.body[:end]


def check_marks(request: Request) -> None:
    """One mark on the system prompt and the API's own one at the top level; the API allows four."""
    body = request.body.decode()
    raw = members(body)
    [system] = elements(raw["system"])
    assert "cache_control" in raw
    assert "cache_control" in members(system)
    assert MARK not in raw["messages"]
    assert MARK not in raw["tools"]
    assert body.count(MARK) == 2


def by_thread(requests: Sequence[Request]) -> list[list[Request]]:
    """The requests of each thread in order, without those that were asked again after a death."""
    threads: defaultdict[tuple[str, str], dict[str, Request]] = defaultdict(dict)
    for request in requests:
        threads[agent_of(request), task_of(request)].setdefault(as_recorded(request), request)
    return [list(thread.values()) for thread in threads.values()]


# -- JSON as it is written --------------------------------------------------------------------


def members(text: str) -> dict[str, str]:
    """The members of a JSON object: name -> value as it is written."""
    found: dict[str, str] = {}
    at = _skip(text, 0) + 1
    while text[at := _skip(text, at)] != "}":
        name, at = DECODER.raw_decode(text, at)
        start = _skip(text, _skip(text, at) + 1)
        _, at = DECODER.raw_decode(text, start)
        found[name] = text[start:at]
        at = _skip(text, at, ",")
    return found


def elements(text: str) -> list[str]:
    """The elements of a JSON array, as they are written."""
    found: list[str] = []
    at = _skip(text, 0) + 1
    while text[at := _skip(text, at)] != "]":
        _, end = DECODER.raw_decode(text, at)
        found.append(text[at:end])
        at = _skip(text, end, ",")
    return found


def _skip(text: str, at: int, more: str = "") -> int:
    while text[at] in BLANK + more:
        at += 1
    return at


# -- models -----------------------------------------------------------------------------------


def _typists_turns(life: Life) -> int:
    """Answers of typists that the journal holds, if both are at work."""
    if life.run is None:
        return 0
    threads = [t for t in life.journal.threads() if t.agent == WORKER and t.state == "open"]
    return sum(t.turns for t in threads) if len(threads) == 2 else 0


_LONG = "".join(f"{n} cups of patience\n" for n in range(1500))
_TYPIST = (
    reply(thinking("Where to begin?"), text("Let me think aloud first.")),
    reply(RedactedThinking("b3BhcXVl"), ToolUse("read_file", {"path": "style.md", **AWKWARD})),
    reply(ToolUse("oven", AWKWARD), call("read_file", path="nowhere.md")),
    reply(call("write_file", path="recipes/long.md", content=_LONG), call("search", pattern="cup")),
    reply(
        call("read_file", path="recipes/long.md", lines=1500),
        call("write_file", path="recipes/cut.md", content="half of i"),
        stop_reason="max_tokens",
    ),
    reply(call("read_file", path="recipes/long.md", lines=1500)),
    reply(call("hand_over", summary="Set.", evidence=["3.0"], confidence=1)),
)


def _awkward() -> Script:
    # The end is slow, so that whoever dies after the seventh request dies before it.
    end = reply(call("finish", summary="Enough.", confidence=0.5, deliver=False))
    editor = (
        reply(call("plan", steps=STEPS[:1])),
        reply(call("delegate", step="soup", note=str(AWKWARD))),
        replace(end, delay=0.5),
    )
    return scripted({SUPERVISOR: editor, WORKER: _TYPIST})
