"""Which lines of a file does a change touch, and what stands around them?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

MAX_MIDDLE = 4_000
"""Lines between the first and last difference beyond which all of them count as changed."""


@dataclass(frozen=True, slots=True)
class LineDiff:
    """The difference of two texts by lines, numbered from 1."""

    added: frozenset[int] = frozenset()
    """Lines of the new text that are new or different."""
    removed: tuple[tuple[int, str], ...] = ()
    """Lines of the old text that are gone or different, with their old numbers."""
    seams: frozenset[int] = frozenset()
    """Lines of the new text next to which something was removed."""


@lru_cache(maxsize=256)
def lines_of(text: str | None) -> tuple[str, ...]:
    """The lines without their ends, split where Python's parser splits; empty for no text."""
    if not text:
        return ()
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return tuple(plain.removesuffix("\n").split("\n"))


@lru_cache(maxsize=64)
def changed_lines(before: str | None, after: str | None) -> LineDiff:
    """The difference of two texts; `None` is a file that does not exist."""
    old, new = lines_of(before), lines_of(after)
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    return _between(old[start : len(old) - end], new[start : len(new) - end], start)


def _shared(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


def _between(old: tuple[str, ...], new: tuple[str, ...], start: int) -> LineDiff:
    """The difference of the middle parts, which begin after `start` shared lines."""
    blocks = _blocks(old, new)
    added: set[int] = set()
    removed: list[tuple[int, str]] = []
    seams: set[int] = set()
    for old_from, old_to, new_from, new_to in blocks:
        added.update(start + n + 1 for n in range(new_from, new_to))
        removed += [(start + n + 1, old[n]) for n in range(old_from, old_to)]
        if old_from < old_to:
            seams.update((start + new_from, start + new_to + 1))
    return LineDiff(frozenset(added), tuple(removed), frozenset(seams))


def _blocks(old: tuple[str, ...], new: tuple[str, ...]) -> Iterable[tuple[int, int, int, int]]:
    if not old or not new or max(len(old), len(new)) > MAX_MIDDLE:
        return ((0, len(old), 0, len(new)),)
    if frozenset(old).isdisjoint(new):
        return ((0, len(old), 0, len(new)),)
    codes = SequenceMatcher(None, old, new, autojunk=True).get_opcodes()
    return tuple((a, b, c, d) for tag, a, b, c, d in codes if tag != "equal")


def around(numbers: Iterable[int], context: int, last: int) -> frozenset[int]:
    """The line numbers within `context` lines of the given ones, from 1 to `last`."""
    near = {n for at in numbers for n in range(at - context, at + context + 1)}
    return frozenset(n for n in near if 1 <= n <= last)


def headers(lines: tuple[str, ...], numbers: Iterable[int]) -> frozenset[int]:
    """The line above each of the given ones that begins at the margin, as `diff -p` shows it.

    In most languages it names the function, class or section around them.
    """
    ordered = sorted({0, *numbers})
    found: set[int] = set()
    latest = 0
    for start, at in pairwise(ordered):
        span = range(max(start, 1), at)
        latest = next((n for n in reversed(span) if _at_margin(lines[n - 1])), latest)
        if latest:
            found.add(latest)
    return frozenset(found)


def _at_margin(line: str) -> bool:
    first = line[:1]
    return first in {"_", "$"} or (first.isalpha() and not line.rstrip().endswith(":"))
