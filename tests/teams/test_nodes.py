"""Is YAML understood as PyYAML understands it, with places, and within limits?"""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crews.teams.nodes import MAX_VALUES, Listing, Node, Table, parse
from crews.teams.scalars import Scalar
from crews.teams.source import source_of


def plain(node: Node | None) -> object:
    """The value as PyYAML would give it."""
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    if isinstance(node, Table):
        return {entry.key.value: plain(entry.value) for entry in node.entries}
    return node.value if node else None


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([None, True, False]))
def test_what_was_written_is_read(value: object, flow: bool | None) -> None:
    source = source_of("f", yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True))
    assert plain(parse(source)) == value
    assert source.problems == []


def test_anchors_and_merges_mean_what_pyyaml_says() -> None:
    text = """\
a: &a {x: 1, y: 2}
b: &b {y: 3, z: 4}
c: {<<: [*a, *b], x: 0}
d: {<<: *a}
e: [*b, *b]
"""
    source = source_of("f", text)
    assert plain(parse(source)) == yaml.safe_load(text)
    assert source.problems == []


def test_a_scalar_knows_its_place_and_what_it_was() -> None:
    source = source_of("f", "a: 1\nkey:  'on'\nb: on\n")
    root = parse(source)
    assert isinstance(root, Table)
    quoted, bare = root.entries[1].value, root.entries[2].value
    assert isinstance(quoted, Scalar)
    assert isinstance(bare, Scalar)
    assert (quoted.place.line, quoted.place.column, quoted.place.length) == (2, 7, 4)
    assert source.text[quoted.place.start : quoted.place.end] == "'on'"
    assert (quoted.kind, quoted.value, quoted.plain) == ("text", "on", False)
    assert (bare.kind, bare.value, bare.raw, bare.plain) == ("flag", True, "on", True)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n", "--- # x\n..."])
def test_an_empty_file_is_no_mistake_of_yaml(text: str) -> None:
    source = source_of("f", text)
    assert plain(parse(source)) is None
    assert source.problems == []


@pytest.mark.timeout(60)
def test_an_alias_bomb_costs_nothing() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
    source = source_of("f", "\n".join(rows))
    assert parse(source) is None
    (problem,) = source.problems
    assert f"more than {MAX_VALUES} values" in problem.message
    assert problem.line <= 5


@pytest.mark.parametrize("text", ["[" * 200_000, "- " * 100_000, "a: " * 50_000, "? " * 50_000])
@pytest.mark.timeout(60)
def test_depth_ends_early(text: str) -> None:
    source = source_of("f", text)
    assert parse(source) is None
    assert len(source.problems) == 1


@pytest.mark.parametrize(
    "text", ["a: 0b_", "a: 9" + "9" * 5000, "a: .inf", "a: .nan", "a: !!int x"]
)
def test_numbers_that_are_none(text: str) -> None:
    source = source_of("f", text)
    parse(source)
    assert [(p.line, p.column) for p in source.problems] == [(1, 4)]


@given(st.text(max_size=60) | st.text("abc:-[]{}&*!|>'\"#%@`,?<~ \t\n01\\x", max_size=60))
def test_no_text_can_make_it_raise(text: str) -> None:
    source = source_of("f", text)
    parse(source)
    for problem in source.problems:
        assert 1 <= problem.line <= len(source.lines) + 1
        assert problem.column >= 1
        assert problem.render()
