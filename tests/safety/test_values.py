"""Are two spellings of one value equal, and two values never?"""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.values import TooDeep, addresses, ambiguous, host_of, leaves, number, piece, words

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://Example.org/a/", "http://example.org/a"),
        ("https://example.org:443/a", "example.org/a"),
        ("https://example.org/%61b", "https://example.org/ab"),
        ("<Ann@Example.ORG>,", "ann@example.org"),
        ("$1,200.50", "1200.5"),
        ("./docs//a.md", "docs/a.md"),
        ("“Main”", "main"),
        ("Ann's", "ann"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
def test_one_value_in_two_spellings(one: str, other: str) -> None:
    assert piece(one) == piece(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://example.org/a", "https://example.org/A"),
        ("https://example.org/a?x=1", "https://example.org/a?x=2"),
        ("https://ann@example.org/", "https://example.org/"),
        ("https://example.org:8080/", "https://example.org/"),
        ("ftp://example.org/", "https://example.org/"),
        ("https://example.org/a%2Fb", "https://example.org/a/b"),
        ("ann@example.org", "ann@example.org.evil.example"),
        ("100", "1000"),
        ("docs/a", "docs/A"),
    ],
)
def test_two_values_stay_two(one: str, other: str) -> None:
    assert piece(one) != piece(other)


@pytest.mark.parametrize("value", ["a​b", "ｅvil.example", "a‮b", "\x1b[2J", "ﬁle", "x\x7f"])
def test_what_could_be_read_as_another_text(value: str) -> None:
    assert ambiguous(value)


@pytest.mark.parametrize("value", ["Zürich", "東京", "naïve", "a b\nc", "é"])
def test_ordinary_text_is_not_ambiguous(value: str) -> None:
    assert not ambiguous(value)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("https://U:p@Example.org:1/x", "example.org"),
        ("ann@Example.org", "example.org"),
        ("example.org/x", "example.org"),
        ("no host", ""),
        ("https://[::1", ""),
        ("12.50", ""),
    ],
)
def test_where_a_value_leads(value: str, host: str) -> None:
    assert host_of(value) == host


def test_every_address_of_a_text_is_found() -> None:
    text = "see (https://a.example/x?y=1), mail b@c.example. or www.d.example/e;"
    assert set(addresses(text)) == {
        "a.example/x?y=1", "a.example", "b@c.example", "c.example", "www.d.example/e", "www.d.example",
    }  # fmt: skip


def test_the_host_inside_a_links_query_is_not_named() -> None:
    assert "evil.example" not in set(addresses("https://good.example/?to=evil.example"))


@pytest.mark.parametrize(
    ("text", "worth"),
    [("€ 12.30", "12.30"), ("50 %", "50"), ("-3", "-3"), ("1,234,567", "1234567")],
)
def test_figures(text: str, worth: str) -> None:
    assert number(text) == Decimal(worth)


@pytest.mark.parametrize("text", ["12a", "1,23", "", "١٢٣" * 40, "1e5", "NaN"])
def test_what_is_no_figure(text: str) -> None:
    assert number(text) is None


def test_an_address_is_one_word() -> None:
    assert "evil" not in words("go to https://good.example/evil and b@evil.example")


@given(JSON)
def test_no_text_inside_a_value_is_missed(value: object) -> None:
    found = {leaf for _, leaf in leaves(json.loads(json.dumps(value)))}

    def check(inner: object) -> None:
        if isinstance(inner, dict):
            for key, item in inner.items():  # type: ignore[misc]
                assert key in found
                check(item)  # type: ignore[arg-type]
        elif isinstance(inner, list):
            for item in inner:  # type: ignore[misc]
                check(item)  # type: ignore[arg-type]
        elif isinstance(inner, str) and inner.strip():
            assert inner in found

    check(value)


def test_nesting_has_an_end() -> None:
    value: object = "x"
    for _ in range(200):
        value = [value]
    with pytest.raises(TooDeep, match="more than 32 levels"):
        list(leaves(value))  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_any_text_has_a_usual_form(text: str) -> None:
    assert isinstance(piece(text), str)
    assert isinstance(host_of(text), str)
    assert all(isinstance(word, str) for word in words(text))
