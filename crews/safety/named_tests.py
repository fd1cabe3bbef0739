"""Which tests does a text hold, by name, and at which lines?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

_NAMES = re.compile(
    r"""(?m)^[ \t]*(?:async[ ]+)?def[ ]+(test\w*)"""
    r"""|^[ \t]*(?:it|test|describe|specify|scenario)(?:\.each\([^\n]{0,200}?\))?"""
    r"""[ (]+["'`]([^"'`\n]+)"""
    r"""|^func[ ]+((?:Test|Fuzz|Benchmark)\w*)"""
    r"""|(?:@(?:\w+\.)*|^[ \t]*\[)(?:Test|ParameterizedTest|TestMethod|Fact|Theory)\b[^\n]*\n"""
    r"""(?:[ \t]*[@\[][^\n]*\n){0,4}[ \t]*(?:[\w<>\[\]]+[ ]+){0,5}(\w+)[ ]*\("""
    r"""|\#\[(?:\w+::)*test\][^\n]*\n(?:[ \t]*\#\[[^\n]*\n){0,4}"""
    r"""[ \t]*(?:pub[ ]+|async[ ]+)*fn[ ]+(\w+)"""
)
"""Names of tests in Python, JavaScript and Ruby, Go, Java and C#, Rust."""
_MARKS = (
    *(
        "def test",
        "test(",
        "test ",
        "test.",
        "it(",
        "it ",
        "it.",
        "describe",
        "specify",
        "scenario",
    ),
    *("func Test", "func Fuzz", "func Benchmark", "Test", "Fact", "Theory", "test]"),
)
"""Text without any of these holds no such name."""
# It begins with one fixed character: `re` then leaps from line to line.
_LINE = re.compile(
    r"\n[ \t]*+(?=[adfist\[])(?:(?:async[ ]+)?def[ ]+test|(?:it|test|describe|specify|scenario)[ (.]"
    r"|func[ ]+(?:Test|Fuzz|Benchmark)|\[(?:Test|Param|Fact|Theory))"
)
"""Where such a name can begin, unless it begins with one of the next."""
_ANYWHERE = ("@", "#[")


@lru_cache(maxsize=64)
def named_tests(text: str | None) -> tuple[tuple[str, int], ...]:
    """Name and line of each test, in order."""
    if not text or not any(mark in text for mark in _MARKS):
        return ()
    return tuple(
        (next(g for g in match.groups() if g), text.count("\n", 0, match.start()) + 1)
        for match in _matches(text)
    )


def _matches(text: str) -> Iterator[re.Match[str]]:
    """As `finditer` gives them, looked for only where one can begin."""
    end = 0
    for place in sorted(chain(_line_starts(text), *(_all_of(mark, text) for mark in _ANYWHERE))):
        if place >= end and (match := _NAMES.match(text, place)):
            end = match.end()
            yield match


def _line_starts(text: str) -> Iterator[int]:
    # The line end put before the text takes the place of the one that each match begins with.
    return (match.start() for match in _LINE.finditer(f"\n{text}"))


def _all_of(mark: str, text: str) -> Iterator[int]:
    place = text.find(mark)
    while place >= 0:
        yield place
        place = text.find(mark, place + 1)
