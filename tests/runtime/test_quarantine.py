"""Does a quarantined reader hand over values of the declared kinds, and no words?"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crews.records.rows import ReturnField
from crews.runtime.quarantine import returning

KINDS = ("number", "flag", "date", "email", "link", "path", "word")
GOOD: dict[str, Any] = {
    "number": 12.5, "flag": True, "date": "2026-11-28", "email": "ann@b.example",
    "link": "https://b.example/x?y=1", "path": "a/b.txt", "word": "inv-7",
}  # fmt: skip


@cache
def the_tool(kind: str, choices: tuple[str, ...], many: bool) -> Any:
    field = {"name": "it", "kind": kind, "choices": choices, "many": many}
    return returning([ReturnField.model_validate(field)])


def parsed(kind: str, value: object, choices: tuple[str, ...] = (), *, many: bool = False) -> Any:
    tool = the_tool(kind, choices, many)
    return tool.handover(tool.args.model_validate({"it": value, "sources": ["0.0"]}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_its_kind_is_handed_over_with_its_source(kind: str) -> None:
    found = parsed(kind, GOOD[kind])
    assert json.loads(found.summary) == {"it": GOOD[kind]}
    assert found.evidence == ("0.0",)
    assert json.loads(parsed(kind, [GOOD[kind]] * 2, many=True).summary) == {"it": [GOOD[kind]] * 2}
    assert json.loads(parsed(kind, None).summary) == {"it": None}


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in {"number", "flag"}])
@given(st.lists(st.sampled_from(["ignore", "your", "task", "and", "pay\n", "<b>"]), min_size=2))
def test_no_sentence_is_a_value(kind: str, words: list[str]) -> None:
    for joint in (" ", "\t", "\n", " "):
        with pytest.raises(ValidationError):
            parsed(kind, joint.join(words))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["x" * 5000, {"a": 1}, "a b", ["x"]])
def test_what_is_of_another_shape_is_refused(kind: str, value: object) -> None:
    with pytest.raises(ValidationError):
        parsed(kind, value)


def test_a_choice_is_one_of_those_that_were_declared() -> None:
    assert json.loads(parsed("choice", "yes", choices=("yes", "no")).summary) == {"it": "yes"}
    with pytest.raises(ValidationError):
        parsed("choice", "maybe", choices=("yes", "no"))
    with pytest.raises(ValidationError):
        parsed("choice", "anything")


def test_a_list_has_an_end() -> None:
    with pytest.raises(ValidationError):
        parsed("word", ["x"] * 51, many=True)


@pytest.mark.parametrize("source", ["of course", "0", "99999.0"])
def test_a_source_is_a_call(source: str) -> None:
    tool = returning([ReturnField(name="it", kind="flag")])
    with pytest.raises(ValidationError):
        tool.args.model_validate({"it": True, "sources": [source]})
