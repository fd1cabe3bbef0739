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
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from crews.safety.secret_shapes import Spot

SHORTEST = 10
"""Letters and digits below which a broken-up value is not looked for: ordinary text would hold it by chance."""
PLAIN_WORDS = 20
"""The same for a value without a digit, which may be words."""
WIDEST_GAP = 40
"""Characters that may stand between two letters of a broken-up value: quotes, a plus, a line end, indentation."""

_KEPT = string.ascii_letters + string.digits
_DROPPED = bytes(c for c in range(256) if chr(c) not in _KEPT)
_LOWER = bytes(ord(chr(c).lower()) if chr(c) in _KEPT else c for c in range(256))
_ESCAPE = re.compile(
    r"\\+(?:u(?P<u>[0-9a-fA-F]{4})|u\{(?P<b>[0-9a-fA-F]{1,6})\}|x(?P<x>[0-9a-fA-F]{2})|(?P<o>[0-3][0-7]{2}))"
    r"|&\#(?:(?P<d>\d{1,7})|[xX](?P<h>[0-9a-fA-F]{1,6}));|%(?:25)*(?P<p>[0-9a-fA-F]{2})"
    r"|\b0[xX](?P<c>[0-9a-fA-F]{2})\b|=(?P<q>[0-9A-F]{2})|&(?P<n>[a-zA-Z]{2,8});"
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
        hits = [(bone, name) for bone, name in self._bones if bone in bare]
        if not hits:
            return
        places = [n for n, c in enumerate(read) if c in _KEPT]
        origin = _origins(text) if escapes else None
        for bone, name in hits:
            at = bare.find(bone)
            while at >= 0:
                mine = places[at : at + len(bone)]
                if all(b - a <= WIDEST_GAP for a, b in pairwise(mine)):
                    yield _spot(name, mine[0], mine[-1], origin)
                at = bare.find(bone, at + 1)


def _spot(name: str, first: int, last: int, origin: Sequence[tuple[int, int]] | None) -> Spot:
    if origin is None:
        return Spot(name, first, last + 1)
    return Spot(name, origin[first][0], origin[last][1])


def _bare(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(_LOWER, _DROPPED)


def _char(match: re.Match[str]) -> str:
    """The one character that an escape stands for."""
    kind = str(match.lastgroup)
    if kind == "n":
        read = html.unescape(match[0])
        return read if len(read) == 1 else "&"
    code = int(match[kind], _BASES[kind])
    return chr(code) if code < 0x110000 else "?"


def _origins(text: str) -> list[tuple[int, int]]:
    """For each character of the text with its escapes read: from where to where it stood before."""
    found: list[tuple[int, int]] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        found += [(n, n + 1) for n in range(end, match.start())]
        found.append(match.span())
        end = match.end()
    return [*found, *((n, n + 1) for n in range(end, len(text)))]


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
