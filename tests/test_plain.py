"""Is text from models harmless once it has been cleaned?"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.plain import one_line, plain, visible

UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]8;;http://evil\x07link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x1b\\x", "x"),
        ("\x1b]0;never closed", "0;never closed"),
        ("good\rbad", "good\nbad"),
        ("a\r\nb", "a\nb"),
        ("x\u202ey\u2066z\u200b\ufeff", "xyz"),
        ("tag\U000e0041s", "tags"),
        ("selector\U000e0101", "selector"),
        ("\ud800", ""),
        ("tab\tand é, 漢字, 👩\u200d🔬", "tab\tand é, 漢字, 👩\u200d🔬"),
    ],
)
def test_prose_loses_everything_unseen(text: str, cleaned: str) -> None:
    assert plain(text) == cleaned


def test_what_is_judged_shows_everything_unseen() -> None:
    assert visible("if a:\u202e # b\x1b[1m\r\n") == "if a:⟨U+202E⟩ # b⟨U+001B⟩[1m⟨U+000D⟩\n"
    assert visible("a\u200db\ud800") == "a⟨U+200D⟩b⟨U+D800⟩"
    assert visible("tab\tline\n") == "tab\tline\n"


def test_one_line_is_one_line_of_limited_width() -> None:
    assert one_line("  a\n\n b\tc ") == "a b c"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"


@given(st.text(alphabet=st.characters()))
def test_nothing_unseen_is_left(text: str) -> None:
    for cleaned in (plain(text), visible(text)):
        left = {c for c in cleaned if unicodedata.category(c) in UNSEEN}
        assert left <= {"\n", "\t", "\u200c", "\u200d"}
