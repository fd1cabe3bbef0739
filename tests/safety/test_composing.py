"""Is text resolved as Unicode says where it is ordinary, and in bounded time and room where it is not?"""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety import values
from crews.safety.bounds import too_much
from crews.safety.composing import MOST_MARKS, MOST_SWELLING, is_heavy, nfkc, swelling

MARKS = "\u0301\u0316" * 100_000
SWOLLEN = "\ufdfa" * 200_000


@given(st.text())
def test_ordinary_text_is_what_unicode_says(text: str) -> None:
    assert nfkc(text) == unicodedata.normalize("NFKC", text)
    assert not is_heavy(text)


@pytest.mark.parametrize("count", [0, 1, MOST_MARKS])
def test_a_letter_may_have_marks(count: int) -> None:
    text = "q" + "\u0316" * count + "x"
    assert nfkc(text) == unicodedata.normalize("NFKC", text)
    assert not is_heavy(text)


@pytest.mark.parametrize("text", ["a" + MARKS, SWOLLEN, "\u0344" * 200_000])
def test_a_bomb_costs_what_its_length_says(text: str) -> None:
    assert is_heavy(text)
    began = time.process_time()
    assert len(nfkc(text)) <= 3 * len(text)
    assert values.ambiguous(text)
    for read in (values.pieces, values.words, values.figures, values.addresses):
        tuple(read(text))
    assert time.process_time() - began < 5  # without bounds it is minutes


def test_an_address_behind_a_bomb_is_still_found() -> None:
    text = f"a{MARKS} ann@example.org"
    assert "ann@example.org" in tuple(values.addresses(text))


def test_arguments_that_swell_are_refused_and_a_few_such_characters_are_not() -> None:
    assert "swell" in too_much({"a": SWOLLEN})
    assert "swell" in too_much({"a": ["\u3316" * MOST_SWELLING, {"\ufdfb": 1}]})
    assert too_much({"a": "\u33af" * 100}) == ""


def test_every_character_that_swells_and_every_mark_is_known() -> None:
    for letter in map(chr, range(0x80, 0x110000)):
        if not (unicodedata.decomposition(letter) or unicodedata.combining(letter)):
            continue
        whole = unicodedata.normalize("NFKC", letter)
        assert len(whole) < 4 or swelling(letter), ascii(letter)
        if all(unicodedata.combining(c) for c in unicodedata.normalize("NFKD", letter)):
            assert is_heavy(letter * (MOST_MARKS + 1)), ascii(letter)
