"""Are arguments that would use up memory or the stack seen as such before anything is done with them?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.bounds import DEEPEST, LARGEST_ARGUMENTS, MOST_VALUES, too_much


def deep(levels: int) -> Any:
    value: Any = "x"
    for n in range(levels):
        value = [value] if n % 2 else {"a": value}
    return value


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"a": deep(10_000)}, "nested deeper"),
        ({"a": deep(DEEPEST)}, "nested deeper"),
        ({"a": 10**5000}, "number of more than"),
        ({"a": ["x" * (LARGEST_ARGUMENTS // 2)] * 3}, "characters"),
        ({"k" * (LARGEST_ARGUMENTS + 1): 1}, "characters"),
        ({"a": list(range(MOST_VALUES))}, "values"),
        ({str(n): n for n in range(MOST_VALUES)}, "values"),
    ],
)
def test_what_is_beyond_a_bound_is_named(arguments: object, why: str) -> None:
    assert why in too_much(arguments)


@given(st.dictionaries(st.text(), st.recursive(st.integers(-(2**60), 2**60) | st.text(), st.lists)))
def test_what_is_ordinary_is_not(arguments: dict[str, Any]) -> None:
    assert json.loads(json.dumps(arguments)) == arguments
    assert too_much(arguments) == ""
