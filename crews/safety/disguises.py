r"""Where does a known secret stand in a text, broken up, escaped or written in another code?

What is compared are letters and digits alone, in lower case: a value that is split over lines, put together from
quoted pieces, written in hexadecimal with any separators or in base64 with line ends has the same ones in the same
order. Escapes (`\u0061`, `\x61`, `\141`, `&#97;`, `%61`, `=61`, `0x61`) are read first. A value that was encrypted,
compressed, or encoded twice by different means is not found.
"""

from __future__ import annotations

import base64
import html
import re
import string
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, compress, pairwise

from crews.safety.secret_shapes import Spot

SHORTEST = 10
"""Letters and digits below which a broken-up value is not looked for: ordinary text would hold it by chance."""
PLAIN_WORDS = 20
"""The same for a value without a digit, which may be words."""
_PIECE = 7
"""Letters and digits of a piece of a value: text that holds none of its pieces is not looked at any further."""
WIDEST_GAP = 40
"""Characters that may stand between two letters of a broken-up value: quotes, a plus, a line end, indentation."""

_KEPT = string.ascii_letters + string.digits
_DROPPED = bytes(c for c in range(256) if chr(c) not in _KEPT)
_LOWER = bytes(ord(chr(c).lower()) if chr(c) in _KEPT else c for c in range(256))
_IS_KEPT = bytes(chr(c) in _KEPT for c in range(256))
# Each way begins with one fixed character: `re` then leaps from one of those to the next.
_ESCAPE = re.compile(
    r"\\\\*(?:u(?P<u>[0-9a-fA-F]{4})|u\{(?P<b>[0-9a-fA-F]{1,6})\}|x(?P<x>[0-9a-fA-F]{2})|(?P<o>[0-3][0-7]{2}))"
    r"|&\#(?:(?P<d>\d{1,7})|[xX](?P<h>[0-9a-fA-F]{1,6}));|%(?:25)*(?P<p>[0-9a-fA-F]{2})"
    r"|0(?<=\b0)[xX](?P<c>[0-9a-fA-F]{2})\b|=(?P<q>[0-9A-F]{2})|&(?P<n>[a-zA-Z]{2,8});"
)
_BASES = {"u": 16, "x": 16, "o": 8, "d": 10, "h": 16, "b": 16, "c": 16, "p": 16, "q": 16}


class Disguises:
    """Known values, by the letters and digits that give them away.

    Args:
        values: Name -> value.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        bones = {bone: name for name, value in values.items() for bone in _bones(value.strip())}
        self._bones = tuple(bones.items())
        # Wherever a bone stands, one of these pieces begins at a multiple of the stride.
        self._stride = min(map(len, bones), default=SHORTEST) - _PIECE + 1
        self._pieces = frozenset(
            bone[n : n + _PIECE] for bone in bones for n in range(len(bone) - _PIECE + 1)
        )

    def found(self, text: str) -> Iterator[Spot]:
        """Every place where a known value stands in disguise; places may overlap."""
        if not self._bones:
            return
        yield from self._in(text, text, None)
        if _ESCAPE.search(text):
            read = _ESCAPE.sub(_char, text)
            yield from self._in(read, text, _ESCAPE)

    def _in(self, read: str, text: str, escapes: re.Pattern[str] | None) -> Iterator[Spot]:
        bare = _bare(read)
        if self._pieces.isdisjoint(
            [bare[n : n + _PIECE] for n in range(0, len(bare), self._stride)]
        ):
            return
        hits = [(bone, name) for bone, name in self._bones if bone in bare]
        if not hits:
            return
        places = list(compress(range(len(read)), _ascii(read).translate(_IS_KEPT)))
        origin = _Origins.of(text) if escapes else None
        for bone, name in hits:
            at = bare.find(bone)
            while at >= 0:
                mine = places[at : at + len(bone)]
                if all(b - a <= WIDEST_GAP for a, b in pairwise(mine)):
                    yield _spot(name, mine[0], mine[-1], origin)
                at = bare.find(bone, at + 1)


def _spot(name: str, first: int, last: int, origin: _Origins | None) -> Spot:
    if origin is None:
        return Spot(name, first, last + 1)
    return Spot(name, origin.span(first)[0], origin.span(last)[1])


def _bare(text: str) -> bytes:
    return _ascii(text).translate(_LOWER, _DROPPED)


def _ascii(text: str) -> bytes:
    """One byte for each character."""
    return text.encode("ascii", "replace")


def _char(match: re.Match[str]) -> str:
    return _meant(match[0])


@lru_cache(maxsize=4096)
def _meant(escape: str) -> str:
    """The one character that an escape stands for."""
    match = _ESCAPE.fullmatch(escape)
    if match is None:
        return escape
    kind = str(match.lastgroup)
    if kind == "n":
        read = html.unescape(match[0])
        return read if len(read) == 1 else "&"
    code = int(match[kind], _BASES[kind])
    return chr(code) if code < 0x110000 else "?"


@dataclass(frozen=True, slots=True)
class _Origins:
    """Where each character of a text with its escapes read stood before: one escape became one character."""

    places: Sequence[int]
    """Of the escapes, in the text as it was read."""
    spans: Sequence[tuple[int, int]]
    """Of the same, in the text before."""

    @classmethod
    def of(cls, text: str) -> _Origins:
        spans = [match.span() for match in _ESCAPE.finditer(text)]
        longer = accumulate((end - start - 1 for start, end in spans), initial=0)
        places = [start - more for (start, _), more in zip(spans, longer, strict=False)]
        return cls(places, spans)

    def span(self, place: int) -> tuple[int, int]:
        """From where to where this character stood."""
        before = bisect_right(self.places, place) - 1
        if before < 0:
            return place, place + 1
        start, end = self.spans[before]
        beyond = place - self.places[before]
        return (end + beyond - 1, end + beyond) if beyond else (start, end)


def _bones(value: str) -> Iterator[bytes]:
    """What is left of the value in each of its codes when only letters and digits are kept."""
    plain = _bare(value)
    long = SHORTEST if any(c in b"0123456789" for c in plain) else PLAIN_WORDS
    if len(plain) >= long:
        yield plain
        yield plain[::-1]
    for raw in (
        _utf8(value),
        *(value.encode(c, "surrogatepass") for c in ("utf-16-le", "utf-16-be")),
    ):
        codes = (raw.hex(), "".join(str(byte) for byte in raw), *_in_base64(raw))
        yield from (bare for code in codes if len(bare := _bare(code)) >= SHORTEST)


def _utf8(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape" if _is_escaped(value) else "surrogatepass")


def _is_escaped(value: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in value)


def _in_base64(raw: bytes) -> Iterator[str]:
    """The letters that stay the same wherever in longer data the value stands."""
    for shift, first in ((0, 0), (1, 2), (2, 3)):
        last = (shift + len(raw)) * 8 // 6
        yield base64.b64encode(b"\0" * shift + raw).decode()[first:last]
