"""Can every answer be kept and sent back, however strange, with only what is wrong in it replaced?"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.records.store import open_store
from crews.runtime.answers import usable
from crews.runtime.conversation import Conversation
from tests.records import builders

USE: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversation]:
    """A thread in which `taken` is a call already."""
    folder = tmp_path_factory.mktemp("journal")
    with open_store(f"sqlite:///{folder / 'crews.db'}") as store:
        journal = builders.owned(store)
        thread = builders.thread(journal)
        blocks = builders.blocks({**USE, "id": "taken"})
        journal.record_turn(builders.turn(journal, blocks=blocks), [])
        yield Conversation.load(journal, thread)


def test_what_is_right_goes_back_as_it_came(talk: Conversation) -> None:
    thought = {"type": "thinking", "thinking": "hm\n", "signature": "c2ln"}
    answer = [thought, {"type": "text", "text": " été \x00"}, USE, {"type": "new", "x": [None]}]
    assert list(usable(answer, talk)) == answer


@pytest.mark.parametrize("wrong", [None, "", 5, "a b", "x" * 129, "taken", "ü"])
def test_a_call_gets_an_id_of_its_own(talk: Conversation, wrong: object) -> None:
    one, two = usable([{**USE, "id": wrong}, {**USE, "id": wrong}], talk)
    assert one["id"] != two["id"]
    assert {one["id"], two["id"]}.isdisjoint({"taken", wrong})
    assert {**one, "id": "toolu_1"} == USE


def test_an_id_that_comes_twice_is_kept_once(talk: Conversation) -> None:
    one, two = usable([USE, USE], talk)
    assert one["id"] == "toolu_1"
    assert two["id"] not in {"toolu_1", "taken"}


def test_a_call_without_an_id_or_arguments_has_them(talk: Conversation) -> None:
    (block,) = usable([{"type": "tool_use", "name": "look"}], talk)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", block["id"])
    assert block["input"] == {}


@pytest.mark.parametrize(
    ("name", "kept"),
    [("look at", "look_at"), (None, "unnamed"), ("", "unnamed"), ("n" * 200, "n" * 128)],
)
def test_a_name_is_one_that_the_api_takes(talk: Conversation, name: object, kept: str) -> None:
    (block,) = usable([{**USE, "name": name}], talk)
    assert block["name"] == kept


@pytest.mark.parametrize(
    ("given_", "kept"),
    [(None, {}), ([1], {"input": [1]}), ("x", {"input": "x"}), ({"a": math.inf}, {"a": None})],
)
def test_arguments_are_an_object(talk: Conversation, given_: object, kept: object) -> None:
    (block,) = usable([{**USE, "input": given_}], talk)
    assert block["input"] == kept


def test_half_a_character_is_escaped_and_no_other(talk: Conversation) -> None:
    (block,) = usable([{"type": "text", "text": "a\ud83d b 😀"}], talk)
    assert block["text"] == "a\\ud83d b 😀"


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
blocks_ = st.fixed_dictionaries(
    {"type": st.sampled_from(("text", "tool_use", "thinking", "other"))},
    optional={"id": values, "name": values, "input": values, "text": values},
)


@given(st.lists(blocks_, max_size=4))
def test_whatever_comes_can_be_kept(talk: Conversation, answer: list[dict[str, Any]]) -> None:
    found = usable(answer, talk)
    json.dumps(list(found), ensure_ascii=False, allow_nan=False).encode()
    uses = [b for b in found if b["type"] == "tool_use"]
    assert len({b["id"] for b in uses} | {"taken"}) == len(uses) + 1
    assert all(isinstance(b["input"], dict) for b in uses)
    assert usable(found, talk) == found
