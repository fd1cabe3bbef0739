"""Which statements of a Python file stand at given lines, if what was parsed before is not parsed again?

A file is cut where a function or a class begins at the margin. If every part is Python by itself, the whole is Python,
and its statements are those of the parts: a part that parses alone leaves no bracket, string or block open, and nothing
that begins at the margin can belong to a statement that has ended. Where a part is no Python by itself, the whole file
is parsed instead.
"""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from crews.safety.closing import is_closed

MAX_PARSED = 300_000
"""Characters beyond which a file is not parsed but judged as plain text."""
KEPT = 20_000
"""Characters of the largest part that is remembered as parsed."""

Aliases = tuple[tuple[str, str], ...]
"""Local name and full dotted name of what is imported at the margin, in order."""

_NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)
_QUOTES = ('"""', "'''")
_DEFINES = re.compile(r"\n(?=[@acd])(?:(?P<decorates>@)|def\b|class\b|async\b)")
"""Where a part may begin. It begins with one fixed character: `re` then leaps from line to line."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """The statements that touch the lines, in their places, and what the file imports."""

    tree: ast.Module
    aliases: dict[str, str]


def parse(source: str) -> ast.Module | None:
    """The whole tree; None where the text is no Python of this version, or too much to parse."""
    if len(source) > MAX_PARSED:
        return None
    try:
        return _parsed(source)
    except _NO_PYTHON:
        return None


def parse_at(source: str, lines: frozenset[int]) -> Parsed | None:
    """The statements of `parse` that touch one of the lines; None where it gives none."""
    if len(source) > MAX_PARSED:
        return None
    try:
        return _by_parts(source, lines, _known)
    except _NO_PYTHON:
        tree = parse(source)
        return None if tree is None else Parsed(tree, dict(imported(tree)))


def glance_at(source: str, lines: frozenset[int]) -> Parsed | None:
    """What `parse_at` gives if the file is Python, which may be no more than likely. None: look closer."""
    if len(source) > MAX_PARSED:
        return None
    try:
        return _by_parts(source, lines, _likely)
    except _NO_PYTHON:
        return None


def _by_parts(source: str, lines: frozenset[int], passed_over: Callable[[str], Aliases]) -> Parsed:
    """The parts with the lines are parsed; of the others it is asked what they import."""
    parts, wanted = list(_parts(source)), sorted(lines)
    # First what is most often no Python, so that nothing else is looked at in vain.
    trees = {
        above: _parsed("\n" * above + text)
        for above, last, text in parts
        if bisect_right(wanted, above) < bisect_right(wanted, last)
    }
    aliases: dict[str, str] = {}
    for above, _, text in parts:
        if tree := trees.get(above):
            aliases.update(imported(tree))
        elif found := passed_over(text) if len(text) <= KEPT else _aliases_of(text):
            aliases.update(found)
    return Parsed(ast.Module([s for tree in trees.values() for s in tree.body], []), aliases)


def _parts(source: str) -> Iterator[tuple[int, int, str]]:
    """Each part with the number of the line above it, and of its last one."""
    text = "\n" + source.replace("\r\n", "\n").replace("\r", "\n")
    begun, above, counted = 0, 0, 0
    is_open = [False] * len(_QUOTES)
    quotes = [(n, quote) for n, quote in enumerate(_QUOTES) if quote in text]
    decorated = False
    for row in _DEFINES.finditer(text):
        at = row.start()
        # Each stretch is counted once: a file may be one string with thousands of such lines in it.
        for n, quote in quotes:
            is_open[n] ^= text.count(quote, counted, at) % 2 == 1
        counted = at
        if at and not decorated and not any(is_open):
            part = text[begun + 1 : at]
            last = above + part.count("\n") + 1
            yield above, last, part
            begun, above = at, last
        decorated = row["decorates"] is not None
    part = text[begun + 1 :]
    yield above, above + part.count("\n") + 1, part


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _aliases_of(text: str) -> Aliases:
    return imported(_parsed(text))


_known = lru_cache(maxsize=4096)(_aliases_of)


@lru_cache(maxsize=4096)
def _likely(text: str) -> Aliases:
    """The same, of a part that only need not run on into the next."""
    return () if "import" not in text and is_closed(text) else _known(text)


def imported(tree: ast.Module) -> Aliases:
    """What the tree imports at the margin."""
    found: list[tuple[str, str]] = []
    for node in tree.body:
        match node:
            case ast.Import():
                found += ((a.asname, a.name) for a in node.names if a.asname)
            case ast.ImportFrom(module=str(module)):
                found += ((a.asname or a.name, f"{module}.{a.name}") for a in node.names)
            case _:
                pass
    return tuple(found)
