"""How much may a model, a tool or a question be, before it is refused or cut?

The limits that stand in the way of whoever wants to use up memory, time, or a human's patience. What is about one
tool alone (lines of a search, bytes of a file) stands with that tool.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from crews.safety.composing import MOST_SWELLING, swelling

DEEPEST = 32
"""Levels of lists and objects in a call's arguments."""
MOST_VALUES = 20_000
"""Values, keys included, in a call's arguments."""
LARGEST_ARGUMENTS = 4_000_000
"""Characters of all texts and keys in a call's arguments: more than the largest file that can be written."""
LARGEST_NUMBER = 512
"""Bits of a whole number."""
LARGEST_RESULT = 1_000_000
"""Characters of a result that are kept; what is beyond is lost, and the model is told so."""
LONGEST_SECRET = 20_000
"""Characters beyond `LARGEST_RESULT` that are looked through, so that no half of a secret is left at the cut."""
CHARACTERS_A_TOKEN = 100
"""More than any token holds: an answer beyond this, for each token that it was allowed, is broken off."""

LONG_TEXT = 20_000
"""Characters of one text in a plan, a delegation, a hand-over or a question."""
SHORT_TEXT = 4_000
"""Characters of one entry of a list in them, and of a question."""
MOST_ENTRIES = 200
"""Entries of a list in them."""
MOST_DELEGATIONS = 200
"""Delegations of one supervisor's thread."""
MOST_QUESTIONS = 20
"""Questions that the supervisor's own tools may put to humans in one run."""


def too_much(arguments: object) -> str:
    """Why a call's arguments are not looked at any further; empty: they are within all bounds.

    Goes down one level at a time, so that depth costs no stack, and stops at the first bound.
    """
    level: list[object] = [arguments]
    values = characters = swollen = depth = 0
    while level:
        values += len(level)
        if values > MOST_VALUES:
            return f"the arguments hold more than {MOST_VALUES:,} values"
        if any(_is_huge(value) for value in level):
            return f"the arguments hold a number of more than {LARGEST_NUMBER} bits"
        texts = [value for value in level if isinstance(value, str)]
        characters += sum(len(text) for text in texts)
        if characters > LARGEST_ARGUMENTS:
            return f"the arguments hold more than {LARGEST_ARGUMENTS:,} characters"
        swollen += sum(swelling(text) for text in texts)
        if swollen > MOST_SWELLING:
            return f"the arguments hold more than {MOST_SWELLING:,} characters that swell when they are resolved"
        level = [inner for value in level for inner in _within(value)]
        depth += 1
        if level and depth > DEEPEST:
            return f"the arguments are nested deeper than {DEEPEST} levels"
    return ""


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > LARGEST_NUMBER


def _within(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        found = cast("dict[object, object]", value)
        return (*found.keys(), *found.values())
    return cast("list[object]", value) if isinstance(value, list) else ()
