"""How does a text read once Unicode's compatibility forms are resolved, at a cost that its author cannot raise?

Resolving takes time that grows with the square of how many marks stand upon one letter, and a single character can
become eighteen. Long runs of marks are therefore broken up, as Unicode's stream-safe format does it, and a text with
very many characters that swell is read without them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

MOST_MARKS: Final = 100
"""Marks in a row that are composed with each other."""
MOST_SWELLING: Final = 10_000
"""Characters of one text that may become four or more each."""
_JOINER: Final = "\u034f"
"""Composes with nothing, and stands for nothing: COMBINING GRAPHEME JOINER."""
_SWELLING = re.compile(
    "[\u2057\u2152\u2167\u2177\u247d-\u2487\u2a0c\u321d\u321e\u3300-\u33ff\ufdf2-\ufdfc]"
)
_UNUSUAL = re.compile(rf"(?:[^\w\x00-\u02ff]|[\uff9e\uff9f]){{{MOST_MARKS + 1},}}")
"""Only such a stretch can hold a long run of marks: two of all marks count as letters."""


def nfkc(text: str) -> str:
    """The text with its compatibility forms resolved, in time and room that grow with its length alone."""
    if text.isascii():
        return text
    if swelling(text) > MOST_SWELLING:
        text = _SWELLING.sub(" ", text)
    return unicodedata.normalize("NFKC", _UNUSUAL.sub(_broken, text))


def swelling(text: str) -> int:
    """How many of its characters become four or more when they are resolved."""
    return 0 if text.isascii() else sum(1 for _ in _SWELLING.finditer(text))


def is_heavy(text: str) -> bool:
    """Would `nfkc` have to leave something out or break something up?"""
    if text.isascii():
        return False
    runs = (found[0] for found in _UNUSUAL.finditer(text))
    return swelling(text) > MOST_SWELLING or any(_broken_up(run) != run for run in runs)


def _broken(match: re.Match[str]) -> str:
    return _broken_up(match[0])


def _broken_up(stretch: str) -> str:
    out: list[str] = []
    marks = 0
    for letter in stretch:
        marks = marks + 1 if _is_mark(letter) else 0
        if marks > MOST_MARKS:
            out.append(_JOINER)
            marks = 1
        out.append(letter)
    return "".join(out)


@lru_cache(maxsize=2048)
def _is_mark(letter: str) -> bool:
    """Does it stand upon the letter before it, or become what does?"""
    return all(unicodedata.combining(one) for one in unicodedata.normalize("NFKD", letter))
