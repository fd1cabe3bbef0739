"""Can anything be handed on that the giver does not have?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.errors import Denied
from crews.safety.grants import GrantExceeded, narrow, narrow_level, narrow_paths
from crews.safety.paths import covered

tools = st.frozensets(st.sampled_from(["read", "write", "run", "fetch", "Read", ""]))
globs = st.sampled_from(
    [
        "**",
        "src/**",
        "/src/**",
        "src/a/**",
        "src/a/*.py",
        "*.py",
        "!src/a/**",
        "!*.md",
        "src/../x",
        "s*/**",
    ]
)
paths = st.sampled_from(
    ["a.py", "src/a.py", "src/a/b.py", "src/a/b.md", "src/b.md", "x", "sub/src/a.py", "docs/src/x"]
)


@given(tools, tools)
def test_what_is_granted_is_a_subset(parent: frozenset[str], requested: frozenset[str]) -> None:
    try:
        granted = narrow(parent, requested)
    except GrantExceeded as error:
        assert set(error.excess) == requested - parent != set()
    else:
        assert granted == requested <= parent


@given(st.lists(globs, max_size=3), st.lists(globs, max_size=3), paths)
def test_paths_that_are_granted_are_the_givers(
    parent: list[str], requested: list[str], path: str
) -> None:
    try:
        granted = narrow_paths(tuple(parent), tuple(requested))
    except GrantExceeded as error:
        assert error.excess
    else:
        assert covered(parent, path) or not covered(granted, path)


def test_the_givers_exclusions_stay() -> None:
    granted = narrow_paths(("**", "!secret/**"), ("secret/**", "src/**"))

    assert covered(granted, "src/a.py")
    assert not covered(granted, "secret/a.py")


def test_the_error_names_what_exceeds_and_what_there_is() -> None:
    with pytest.raises(GrantExceeded) as caught:
        narrow({"read"}, {"read", "run", "fetch"})

    assert isinstance(caught.value, Denied)
    assert caught.value.excess == ("fetch", "run")
    assert str(caught.value) == (
        "These tools cannot be handed on: fetch, run.\n"
        "  The giver has: read. Ask for no more than that."
    )


def test_the_lowest_level_holds() -> None:
    assert narrow_level(3, None, 2) == 2
    assert narrow_level(0, 4) == 0
