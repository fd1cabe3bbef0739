"""How is text that a model, a tool or a file wrote made harmless before people see it?

Such text can hold escape sequences that repaint a terminal, characters that turn the reading
direction, and characters that nobody sees. `plain` takes them out of prose; `visible` shows them in
what a human is to judge (a diff, a command, arguments), where an invisible character may be the
whole point. Neither output holds any of them.
"""

from __future__ import annotations

import re
import unicodedata

_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, screen
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x1b\x07\x9c\n]*(?:\x1b\\|\x07|\x9c)"  # OSC, DCS ...
    r"|\x1b[ -/]*[0-~]"  # the short ones
)
"""Whole escape sequences (ECMA-48), so that no printable rest of one is left behind."""

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories that nobody sees: control, format, surrogate, line and paragraph separator."""

_HIDDEN = re.compile("[\U000e0100-\U000e01ef]")
"""Variation selectors beyond the sixteen common ones: invisible, and able to carry any bytes."""

_JOINERS = "\u200c\u200d"
"""Needed inside words of some scripts and inside emoji; kept in prose."""


def plain(text: str) -> str:
    """Prose without escape sequences, control, invisible and direction-turning characters."""
    if _harmless(text):
        return text
    text = _SEQUENCE.sub("", text)
    text = re.sub("\r\n?|\u2028|\u2029|\x85", "\n", text)
    return "".join(c for c in text if not _is_unseen(c) or c in _JOINERS)


def visible(text: str) -> str:
    r"""Text in which every character that would do something unseen stands as its code point.

    >>> visible("if admin:\u202e # safe")
    'if admin:⟨U+202E⟩ # safe'
    """
    if _harmless(text):
        return text
    return "".join(f"⟨U+{ord(c):04X}⟩" if _is_unseen(c) else c for c in text)


def one_line(text: str, width: int = 100) -> str:
    """Prose on one line of at most `width` characters."""
    line = " ".join(plain(text).split())
    return line if len(line) <= width else line[: max(width - 1, 0)].rstrip() + "…"


def _harmless(text: str) -> bool:
    pieces = (part for line in text.split("\n") for part in line.split("\t"))
    return _HIDDEN.search(text) is None and all(piece.isprintable() for piece in pieces)


def _is_unseen(char: str) -> bool:
    if char in "\n\t":
        return False
    return bool(_HIDDEN.match(char)) or unicodedata.category(char) in _UNSEEN
