"""How much may a model, a tool or a question be, before it is refused or cut?

The limits that stand in the way of whoever wants to use up memory, time, or a human's patience. What is about one
tool alone (lines of a search, bytes of a file) stands with that tool.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from typing import cast

from pydantic import BaseModel

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


@dataclass(frozen=True, slots=True)
class Room:
    """How much a value may hold."""

    values: int
    """Keys included."""
    characters: int
    """Of all texts and keys."""
    levels: int
    swelling: int
    """Characters that become several once Unicode's compatibility forms are resolved."""


ARGUMENTS = Room(MOST_VALUES, LARGEST_ARGUMENTS, DEEPEST, MOST_SWELLING)
DATA = Room(values=500_000, characters=4 * LARGEST_RESULT, levels=200, swelling=4 * LARGEST_RESULT)
"""What a tool of others may give back as data: it is spelt out before it is cut."""


def too_much(value: object, what: str = "the arguments", room: Room = ARGUMENTS) -> str:
    """Why a value is not looked at any further; empty: it is within all bounds.

    Goes down one level at a time, so that depth costs no stack, and stops at the first bound.
    """
    level: list[object] = [value]
    values = characters = swollen = depth = 0
    while level:
        values += len(level)
        if values > room.values:
            return f"{what} hold more than {room.values:,} values"
        if any(_is_huge(one) for one in level):
            return f"{what} hold a number of more than {LARGEST_NUMBER} bits"
        texts = [one for one in level if isinstance(one, str)]
        characters += sum(len(text) for text in texts)
        if characters > room.characters:
            return f"{what} hold more than {room.characters:,} characters"
        swollen += sum(swelling(text) for text in texts)
        if swollen > room.swelling:
            return f"{what} hold more than {room.swelling:,} characters that swell when resolved"
        inner = chain.from_iterable(_within(one) for one in level)
        level = list(islice(inner, room.values - values + 1))
        depth += 1
        if level and depth > room.levels:
            return f"{what} are nested deeper than {room.levels} levels"
    return ""


def _is_huge(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > LARGEST_NUMBER


def _within(value: object) -> Iterable[object]:
    if isinstance(value, BaseModel):
        value = value.__dict__
    if isinstance(value, dict):
        found = cast("dict[object, object]", value)
        return chain(found.keys(), found.values())
    return cast("Iterable[object]", value) if isinstance(value, (list, tuple)) else ()
