"""In which spellings may a known secret stand in a text?"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote

MIN_LENGTH = 6
"""Characters below which a known value is too common to be removed everywhere."""
MIN_LINE = 16
"""Characters from which each line of a many-line value (a key file) is removed on its own too."""
HEAD = "[redacted:"
"""How each replacement begins."""

_BASE64 = (base64.b64encode, base64.urlsafe_b64encode)


def spelt(value: str) -> frozenset[str]:
    """Every spelling of a value that is long enough to be removed."""
    whole = value.strip()
    lines = whole.split("\n") if "\n" in whole else []
    parts = (whole, *(line.strip() for line in lines if len(line.strip()) >= MIN_LINE))
    usable = (part for part in parts if len(part) >= MIN_LENGTH and part not in HEAD)
    spelt = (form for part in usable for form in _spellings(part))
    return frozenset(form for form in spelt if len(form) >= MIN_LENGTH and form not in HEAD)


def _spellings(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogateescape")
    yield value
    yield from (raw.hex(), raw.hex().upper())
    yield from _in_json(value)
    yield from _in_url(raw)
    yield from _in_base64(raw)
    yield from (repr(value)[1:-1], html.escape(value), html.escape(value, quote=False))
    yield shlex.quote(value).strip("'")


def _in_json(value: str) -> Iterator[str]:
    """In a JSON string, and in a JSON string inside a JSON string."""
    for ascii_only in (True, False):
        once = json.dumps(value, ensure_ascii=ascii_only)[1:-1]
        twice = json.dumps(once, ensure_ascii=ascii_only)[1:-1]
        yield from (once, once.replace("/", "\\/"), twice)


def _in_url(raw: bytes) -> Iterator[str]:
    for safe in ("", "/", "!'()*~", "/!'()*~:;,@&=+$?#"):
        upper = quote(raw, safe=safe)
        lower = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), upper)
        yield from (upper, lower, upper.replace("%20", "+"), lower.replace("%20", "+"))


def _in_base64(raw: bytes) -> Iterator[str]:
    """On its own, and the part that stays the same where the value stands inside longer data."""
    yield from (encode(raw).decode().rstrip("=") for encode in _BASE64)
    for shift, first in ((0, 0), (1, 2), (2, 3)):
        last = (shift + len(raw)) * 8 // 6
        yield from (encode(b"\0" * shift + raw).decode()[first:last] for encode in _BASE64)
