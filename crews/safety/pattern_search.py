"""Which lines hold one of the patterns of a table, if most of the table need not be tried on them?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from crews.safety.action import Finding
from crews.safety.content_rules import PatternRule
from crews.safety.secret_shapes import SHAPES, Spot, shaped

MAX_CHARS = 2_000
"""Characters of one line that a pattern sees at once."""

Lines = Mapping[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rules, with the needles of all of them."""

    rules: tuple[PatternRule, ...]
    always: tuple[PatternRule, ...]
    """Those that have no needles."""
    needles: tuple[str, ...]
    """Those of the others, each once."""

    @classmethod
    def of(cls, rules: Iterable[PatternRule]) -> Table:
        """A table of these rules, in this order."""
        rows = tuple(rules)
        needles = dict.fromkeys(needle for rule in rows for needle in rule.needles)
        return cls(rows, tuple(rule for rule in rows if not rule.needles), tuple(needles))

    def possible(self, lower: str) -> tuple[PatternRule, ...]:
        """The rules that could hold somewhere in the text, which is in lower case."""
        here = {needle for needle in self.needles if needle in lower}
        if not here:
            return self.always
        return tuple(r for r in self.rules if not r.needles or not here.isdisjoint(r.needles))


def by_pattern(path: str, lines: Lines, table: Table, note: str = "") -> Iterator[Finding]:
    """What the rules find, line by line; `note` is put before what each of them says."""
    live = table.possible("\n".join(lines.values()).lower()) if lines else ()
    looked_at = len(lines) == 1
    for number, line in lines.items() if live else ():
        lower = "" if looked_at else line.lower()
        for rule in live:
            if (looked_at or _has_needle(rule, lower)) and _in_line(rule, line):
                yield Finding(rule.category, path, number, note + rule.detail)


def _has_needle(rule: PatternRule, lower: str) -> bool:
    return not rule.needles or any(needle in lower for needle in rule.needles)


def _in_line(rule: PatternRule, line: str) -> bool:
    parts = range(0, max(1, len(line)), MAX_CHARS // 2)
    return any(rule.pattern.search(line[at : at + MAX_CHARS]) for at in parts)


def secrets_in(text: str) -> Iterator[Spot]:
    """Every secret-shaped part of the text, as `shaped` gives them."""
    lower = text.lower()
    if len(lower) != len(text):  # a few characters become two: `shaped` knows what to do then
        yield from shaped(text)
        return
    here = {needle for needle in _secret_needles() if needle in lower}
    if here:
        yield from shaped(text, tuple(s for s in SHAPES if not here.isdisjoint(s.needles)))


@lru_cache(maxsize=1)
def _secret_needles() -> tuple[str, ...]:
    return tuple(dict.fromkeys(needle for shape in SHAPES for needle in shape.needles))
