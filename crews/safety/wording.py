"""Do the words around a change say that it touches authentication, permissions or cryptography?

Each stem counts once in a file, where it says most: in the path, in a changed line, in the header of the
function around it, or beside it. Words of the three categories support each other; what they say together
must reach `ENOUGH`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from crews.safety.action import Finding
from crews.safety.word_rules import WORD_DETAILS, WORDS

ENOUGH = 1.0
KEPT = 400
"""Characters of the longest line of which it is remembered what it says."""
IN_PATH, CHANGED, HEADER, BESIDE = 1.5, 1.0, 1.0, 0.34
"""How much of its weight a word keeps by where it stands."""
IN_COMMENT = 0.5
"""And how much of that is left in a comment, which explains and does nothing."""
OF_ITS_OWN = 0.5
"""What a category must have of itself to be named."""

_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")
_COMMENT = re.compile(
    r"\s*(?://|/\*|\*(?:[\s/*]|$)|--\s|;;|dnl\s|<!--|#(?!\[|\s*(?:include|if|el|endif|define|undef|pragma)))"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Lines of a change that say the same amount: number (0: the path) and text."""

    weight: float
    lines: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class _Word:
    """A word that a rule knows."""

    category: str
    stem: str
    weight: float


def by_words(path: str, places: Iterable[Place]) -> Iterator[Finding]:
    """What the words of a file's path and of the lines around its changes say, line by line."""
    best: dict[str, tuple[_Word, float]] = {}
    spots: dict[tuple[str, int], Finding] = {}
    for place in (Place(IN_PATH, ((0, path),)), *places):
        for number, line in place.lines:
            known = _words_of(line)
            if not known:
                continue
            worth = place.weight * (IN_COMMENT if number and _COMMENT.match(line) else 1)
            for text, word in known:
                if word.weight * worth > best.get(word.stem, (word, 0.0))[1]:
                    best[word.stem] = (word, word.weight * worth)
                spots.setdefault((word.category, number), _finding(path, number, text, word))
    yield from (spots[key] for key in _told(best.values(), spots))


def says_nothing(line: str) -> bool:
    """Does it hold no word of a rule, so that it makes no difference in any place?"""
    return not _words_of(line)


def _words_of(line: str) -> tuple[tuple[str, _Word], ...]:
    return _remembered(line) if len(line) <= KEPT else _read(line)


def _told(
    words: Iterable[tuple[_Word, float]], spots: Mapping[tuple[str, int], Finding]
) -> Iterator[tuple[str, int]]:
    """The spots worth telling of: none where the words say too little together."""
    totals: dict[str, float] = {}
    for word, worth in words:
        totals[word.category] = totals.get(word.category, 0.0) + worth
    if sum(totals.values()) < ENOUGH:
        return
    least = min(OF_ITS_OWN, max(totals.values()))
    yield from (key for key in spots if totals.get(key[0], 0.0) >= least)


def _finding(path: str, number: int, text: str, word: _Word) -> Finding:
    if not number:
        return Finding(
            word.category, path, 0, f"the path speaks of {WORD_DETAILS[word.category]}: `{text}`"
        )
    return Finding(word.category, path, abs(number), f"{WORD_DETAILS[word.category]}: `{text}`")


def _read(line: str) -> tuple[tuple[str, _Word], ...]:
    """The words of the line that a rule knows, as they are written."""
    found = ((text, _known(text.lower())) for text in _WORD.findall(line))
    return tuple((text, word) for text, word in found if word is not None)


_remembered = lru_cache(maxsize=16_384)(_read)


@lru_cache(maxsize=16_384)
def _known(word: str) -> _Word | None:
    for rule in WORDS:
        if found := rule.stems.match(word):
            return _Word(rule.category, found[0][:5], rule.weight)
    return None
