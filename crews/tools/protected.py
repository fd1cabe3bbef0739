"""Does a name mean a version control folder, on whichever file system it comes to lie?"""

from __future__ import annotations

import re
import unicodedata

PROTECTED = frozenset({".git", ".hg", ".svn", ".jj"})
"""Folders of version control: their hooks and settings run code on the user's machine."""

_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SHORT_NAME = re.compile(r"(git|hg|svn|jj)~[0-9]+")


def is_protected(path: str) -> bool:
    """Does any component mean a version control folder, on any file system?

    Folded as the file systems do that fold most: NFKC, case, ignorable code points (HFS+), trailing
    dots and spaces, alternate data streams and short names (NTFS), a backslash as a separator.
    """
    return any(_folds_to_protected(part) for part in re.split(r"[/\\]", path))


def _folds_to_protected(part: str) -> bool:
    folded = _IGNORABLE.sub("", unicodedata.normalize("NFKC", part)).casefold()
    folded = _IGNORABLE.sub("", unicodedata.normalize("NFKC", folded))
    names = [name.split(":", 1)[0].strip().rstrip(". ") for name in re.split(r"[/\\]", folded)]
    return any(name in PROTECTED or _SHORT_NAME.fullmatch(name) for name in names)
