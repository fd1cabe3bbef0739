"""What does a value say, whatever way it is spelt? Two spellings of one address, link or number are equal.

Text is cut into pieces at white space; each piece loses the punctuation around it and takes its usual form.
Folding goes one way only: trusted text is read generously, while a value that Unicode could read as another one
(invisible characters, compatibility forms) counts as itself and nothing else.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

from pydantic import JsonValue

from crews.safety.composing import is_heavy, nfkc

_AROUND: Final = "\"'`“”‘’«»‹›()[]{}<>,;:!?.…*_|"
_HOST = r"(?:[^\W_](?:[\w-]{0,62})\.){1,12}[^\W\d_][\w-]{1,62}"
_EMAIL = re.compile(rf"[\w.+%'-]{{1,64}}@{_HOST}")
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s<>\"'`\\{}|^]+")
_IP = r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?!\.?\w)"
_HOSTED = re.compile(rf"(?:{_HOST}|{_IP})(?::\d{{1,5}})?(?:[/?#][^\s<>\"'`\\{{}}|^]*)?")
_ADDRESS = re.compile(f"(?P<link>{_LINK.pattern})|(?P<email>{_EMAIL.pattern})|{_HOSTED.pattern}")
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?", re.ASCII)
_FREE_NUMBER = re.compile(rf"(?<![\w.,]){_NUMBER.pattern}(?![.,]?\d|[A-Za-z_]+\d)", re.ASCII)
"""One that is no part of another, or of an id: `1.000,50` is neither 1 nor 50, and `990ab12` is no 990."""
_LOADED: Final = "*?|{}[]!_<>`;"
"""Punctuation around a value that can change what it names: `report*` is not `report`, nor is `>report`."""
_PLAIN = re.compile(r"[#@]?\w+(?:(?:['’]?\s+|['’-])\w+)*['’]?")
"""Words; what begins with a hyphen is an option, or less than nothing."""
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
"""What software may drop from an address, so that it leads elsewhere than it seems to."""
_SIGILS: Final = {"#": "@", "@": "#"}
_STRUCTURED = re.compile(r"[@/\\=:]|\w\.\w")
_MARKER = re.compile(r"(?m)(?:^|(?<=[.:;!?]))[^\S\n]*\(?\d{1,3}[.)](?=\s)")
"""A number that only numbers an entry of a list: it names nothing."""
_MONEY: Final = "$€£¥₹%"
_PORTS: Final = {"http": 80, "https": 443}
_KEPT: Final = "-._~"
"""What a percent-encoding in a link never changes the meaning of, beside letters and digits."""
DEEPEST: Final = 32
"""Levels of a structured argument that are looked into."""


class TooDeep(ValueError):
    """An argument is nested more deeply than anybody can look."""


def leaves(value: JsonValue, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every text and number inside a value, with where it stands; keys of mappings count as text.

    Raises:
        TooDeep: It is nested more than `DEEPEST` levels deep.
    """
    if depth > DEEPEST:
        raise TooDeep(f"`{name[:80]}` is nested more than {DEEPEST} levels deep")
    for place, inner in _inside(value, name):
        yield from leaves(inner, place, depth + 1)
    if isinstance(value, dict):
        yield from ((f"{name} key", key) for key in value)
    elif isinstance(value, str) and value.strip():
        yield name, value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, str(value)


def flags(value: JsonValue, name: str = "") -> Iterator[tuple[str, bool]]:
    """Every yes and no inside a value, with where it stands."""
    if isinstance(value, bool):
        yield name, value
    for place, inner in _inside(value, name):
        yield from flags(inner, place)


def _inside(value: JsonValue, name: str) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        yield from ((f"{name}.{key}", inner) for key, inner in value.items())
    elif isinstance(value, list):
        yield from ((f"{name}[{index}]", inner) for index, inner in enumerate(value))


def ambiguous(value: str) -> bool:
    """Could other software read this as another text than it seems to be?"""
    if value.isascii():
        return any((ord(c) < 32 and c not in "\n\t\r") or ord(c) == 127 for c in value)
    if is_heavy(value):
        return True
    composed = unicodedata.normalize("NFC", value)
    if unicodedata.normalize("NFKC", value) != composed:
        return True
    if value not in {composed, unicodedata.normalize("NFD", value)}:
        return True
    return any(unicodedata.category(c) in {"Cf", "Cc", "Co", "Cn", "Cs"} for c in value)


def loaded(value: str) -> bool:
    """Does punctuation around a piece of it stand there for more than itself?"""
    return any(_is_loaded(part) for part in value.split())


def _is_loaded(part: str) -> bool:
    bare = part.rstrip(",;")
    if bare.startswith("<") and bare.endswith(
        ">"
    ):  # a mail address as it stands in a letter's head
        bare = bare[1:-1]
    if _EMAIL.fullmatch(bare):
        return False
    return part[0] in _LOADED or part[-1] in _LOADED or not _bare(part)


def otherwise_marked(value: str, texts: Iterable[str]) -> bool:
    """Is it a `#channel` where only an `@account` of that name is spoken of, or the other way round?"""
    if value[:1] not in _SIGILS:
        return False
    mine, other = value.casefold(), _SIGILS[value[0]] + value[1:].casefold()
    return any(other in text.casefold() and mine not in text.casefold() for text in texts)


def unnumbered(text: str) -> str:
    """The text without the numbers of its lists' entries."""
    return _MARKER.sub(" ", text)


def pieces(text: str) -> tuple[str, ...]:
    """The text's pieces in their usual form, in order."""
    found = (piece(part) for part in nfkc(text).split())
    return tuple(part for part in found if part)


def words(text: str) -> tuple[str, ...]:
    """The text's runs of letters and digits, without case; an address or a path is one word, not many."""
    found: list[str] = []
    for part in nfkc(text).casefold().split():
        bare = _bare(part)
        found += (piece(part),) if _STRUCTURED.search(bare) else re.findall(r"\w+", bare)
    return tuple(found)


def only_words(value: str) -> bool:
    """Does the value have no structure: words, figures, spaces, hyphens and apostrophes?"""
    return _PLAIN.fullmatch(value.strip()) is not None


def addresses(text: str) -> Iterator[str]:
    """Every mail address, link and host inside a text, in its usual form; of a link its host, too."""
    seen = nfkc(text).replace("。", ".")
    for spelling in dict.fromkeys((seen, _UNSEEN.sub("", seen), _UNSEEN.sub(" ", seen))):
        for match in _ADDRESS.finditer(spelling):
            found = match[0].rstrip(_AROUND + "/") or match[0]
            yield piece(found)
            if host := host_of(found):
                yield host


def figures(text: str) -> Iterator[str]:
    """Every number inside a text, in its usual form."""
    for match in _FREE_NUMBER.finditer(nfkc(text)):
        if (found := number(match[0])) is not None:
            yield _figure(found)


def number(text: str) -> Decimal | None:
    """What a figure is worth: `1,200.50`, `$50`, `50 %`; None: it is none."""
    bare = text.strip().strip(_MONEY).strip()
    if not _NUMBER.fullmatch(bare) or len(bare) > 60:
        return None
    try:
        return Decimal(bare.replace(",", ""))
    except InvalidOperation:
        return None


def _bare(part: str) -> str:
    """Without the punctuation around it; a dot at the beginning belongs to a path."""
    return part.lstrip(_AROUND.replace(".", "")).rstrip(_AROUND)


@lru_cache(maxsize=4096)
def piece(part: str) -> str:
    """One piece in its usual form; empty: it is punctuation only."""
    bare = _bare(part)
    if not bare:
        return ""
    if (found := number(bare)) is not None:
        return _figure(found)
    if _EMAIL.fullmatch(bare):
        return bare.lower()  # not casefold: `ß` and `ss` are two domains
    if _LINK.fullmatch(bare) or _HOSTED.fullmatch(bare):
        return _link(bare)
    if "/" in bare or "\\" in bare:
        return posixpath.normpath(bare.replace("\\", "/"))
    plain = bare.casefold()
    for ending in ("'s", "’s"):
        plain = plain.removesuffix(ending)
    return plain.lstrip("#@") or plain


def host_of(value: str) -> str:
    """The host that a link, a mail address or a bare host leads to; empty: it is none of them."""
    bare = _bare(value.strip())
    if _EMAIL.fullmatch(bare):
        return _host(bare.rpartition("@")[2])
    if _LINK.fullmatch(bare) or _HOSTED.fullmatch(bare):
        try:
            return _host(urlsplit(bare if "://" in bare else f"//{bare}").hostname or "")
        except ValueError:
            return ""
    return ""


def _host(name: str) -> str:
    plain = name.rstrip(".").lower()
    if "ß" in plain or "ς" in plain:  # two domains by now, which an older rule takes for one
        return plain
    try:
        return plain if plain.isascii() else plain.encode("idna").decode()
    except UnicodeError:
        return plain


def _link(link: str) -> str:
    """Without the web's scheme, the usual port and a last slash; what decides where it leads stays."""
    try:
        parts = urlsplit(link if "://" in link else f"//{link}")
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        return link
    scheme = "" if parts.scheme in {"", "http", "https"} else f"{parts.scheme}://"
    user = parts.netloc.rpartition("@")[0]
    login = f"{user}@" if user else ""
    at = "" if port is None or port == _PORTS.get(parts.scheme or "https") else f":{port}"
    path = _decoded(parts.path).rstrip("/")
    query = f"?{_decoded(parts.query)}" if parts.query else ""
    anchor = f"#{parts.fragment}" if parts.fragment else ""
    return f"{scheme}{login}{host}{at}{path}{query}{anchor}"


def _decoded(text: str) -> str:
    """Percent-encodings of letters and digits are spelt out: they never change where a link leads."""

    def plain(match: re.Match[str]) -> str:
        letter = unquote(match[0])
        harmless = letter.isascii() and (letter.isalnum() or letter in _KEPT)
        return letter if harmless else match[0].upper()

    return re.sub(r"%[0-9A-Fa-f]{2}", plain, text)


def _figure(value: Decimal) -> str:
    return f"#{format(value.normalize(), 'f')}"
