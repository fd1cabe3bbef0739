"""Is a stretch of Python closed by itself: no string, bracket or line goes on beyond its end?

Answered by its letters alone, several times faster than by a parser. Where that cannot be said with certainty the
answer is no, and a parser is asked: of a string with fields (`f"{...}"`) nested quotes mean one thing to Python 3.11
and another to those after it, so only the plainest of them are read here.
"""

from __future__ import annotations

import re

LONGEST = 20_000
"""Characters beyond which a stretch is left to the parser."""

_SINGLE, _DOUBLE = "'", '"'


def _string(quote: str, other: str) -> str:
    """A string in these quotes. It begins with one fixed character: `re` then leaps from string to string."""
    return (
        rf"{quote}(?:(?<![fFtT]{quote})(?<![fFtT][rR]{quote})(?:{_plain(quote)})"
        rf"|(?:(?<=[fFtT]{quote})|(?<=[fFtT][rR]{quote})){_with_fields(quote, other)})"
    )


def _plain(quote: str) -> str:
    """On several lines, or on one."""
    return (
        rf"{quote}{{2}}(?:[^{quote}\\]++|\\.|{quote}(?!{quote}{quote}))*+{quote}{{3}}"
        rf"|(?!{quote}{quote})(?:[^{quote}\\\n]++|\\.)*+{quote}"
    )


def _with_fields(quote: str, other: str) -> str:
    """On one line, with fields that hold no strings but plain ones in the other quotes."""
    plain = r"[^'\"{}\n\\#]"
    held = rf"{other}[^'\"{{}}\n\\]*+{other}"
    field = rf"\{{(?:{plain}++|{held}|\{{{plain}*+\}})*+\}}"
    text = rf"[^{quote}\\\n{{}}]++|\\[^{{}}]|\{{\{{|\}}\}}|{field}"
    return rf"(?!{quote}{quote})(?:{text})*+{quote}"


_TEXT = rf"#[^\n]*+|{_string(_DOUBLE, _SINGLE)}|{_string(_SINGLE, _DOUBLE)}"
_WHOLE = re.compile(rf"(?:[^'\"#]++|{_TEXT})*+", re.DOTALL)
_TEXTS = re.compile(_TEXT, re.DOTALL)
_BRACKETS = ("()", "[]", "{}")


def is_closed(text: str) -> bool:
    """Can what follows it not belong to it? True only where it is certain, if the whole file is Python."""
    if len(text) > LONGEST or not _WHOLE.fullmatch(text):
        return False
    bare = _TEXTS.sub("", text)
    return not bare.endswith("\\") and all(
        bare.count(opened) == bare.count(closed) for opened, closed in _BRACKETS
    )
