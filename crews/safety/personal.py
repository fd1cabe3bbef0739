"""Which parts of a text say who somebody is: addresses, telephone, card and account numbers, and names?

What an address or a number looks like, and whether its checksum is right, is judged by Presidio's recognizers, which
need no model and no network. They take tens of milliseconds a KB, so they see only the windows of a text in which a
cheap pattern finds what one of them could. Names are found where a spaCy model is named. Nothing of it is imported
before a text may hold something.
"""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from crews.errors import UsageError
from crews.safety.secret_shapes import Spot

MAIL, PERSON, ANYTHING = "email-address", "person", "personal-data"
KINDS = (
    MAIL, "phone-number", "credit-card", "iban", "us-ssn", "ip-address", PERSON, ANYTHING,
)  # fmt: skip
"""What a redaction shows; `ANYTHING`: it was not looked at, or not to its end."""
CERTAIN = 0.4
"""Presidio's score from which a match counts: that of a telephone number that is valid somewhere."""
WIDTH, OVERLAP = 1000, 200
"""Characters of a window, and those that it shares with the next: longer than anything that is looked for."""
NUMBERS = 16_000
"""Characters of numbers in one text that are judged; more of them go unjudged, for it can take 0.4 s a KB."""
SHORTEST_PHONE = 8
"""Digits of a telephone number without a country: fewer are valid somewhere in Germany, whatever they count."""
_PAD = 8  # characters beside a number by which it is told from a date, a time or a part of a word


class _Result(Protocol):
    start: int
    end: int
    score: float


class _Recognizer(Protocol):
    def analyze(self, text: str, entities: list[str]) -> list[_Result]: ...


@dataclass(frozen=True, slots=True)
class _Kind:
    """One thing that is looked for, where its `hint` is found."""

    name: str
    hint: re.Pattern[str]
    before: int
    after: int
    """Characters around the hint that belong to it, or tell what it is."""


_NUMBER = re.compile(r"\d(?:[^\w\n]{0,4}\d){7,}")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9]\d*)\.\d+")
_COLONS = r"(?<![0-9A-Fa-f:])[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:"
_LOOKED_FOR = (
    _Kind(MAIL, re.compile("@|%40"), 130, 260),
    _Kind("iban", re.compile(r"(?i)[A-Z]{2}\d\d(?:[ -]?[A-Z0-9]{4}){2}"), 1, 50),
    _Kind("ip-address", re.compile(rf"\d\.\d{{1,3}}\.\d{{1,3}}\.\d|{_COLONS}"), 60, 60),
    _Kind("credit-card", _NUMBER, _PAD, _PAD),
    _Kind("us-ssn", _NUMBER, _PAD, _PAD),
    _Kind("phone-number", _NUMBER, _PAD, _PAD),
)


@dataclass(frozen=True, slots=True)
class Personal:
    """Finds personal data."""

    model: str = ""
    kinds: ClassVar[tuple[str, ...]] = KINDS

    def spots(self, text: str) -> list[Spot]:
        """Every part that says who somebody is, none within another; the whole text where that cannot be told."""
        if not text:
            return []
        try:
            return _apart(self._found(text))
        except Exception:  # noqa: BLE001 - whatever failed: what was not looked at does not go out
            return [Spot(ANYTHING, 0, len(text))]

    def _found(self, text: str) -> Iterator[Spot]:
        judged = _numbers_end(text)
        for kind in _LOOKED_FOR:
            end = judged if kind.hint is _NUMBER else len(text)
            for start, window in _windows(text[:end], kind):
                for name, first, last in _in_window(kind.name, window):
                    yield Spot(name, start + first, start + last)
        for match in _NUMBER.finditer(text, judged):
            yield Spot(ANYTHING, *match.span())
        if self.model:
            yield from _persons(self.model, text)


def personal_data(model: str) -> Personal:
    """What finds personal data; `model`: the spaCy model that finds names, or nothing.

    Raises:
        UsageError: what that needs is not installed.
    """
    where = "CREWS_REDACT_PERSONAL_DATA"
    if importlib.util.find_spec("presidio_analyzer") is None:
        raise UsageError(
            "personal data cannot be redacted: the package `presidio-analyzer` is not installed",
            where=where,
            hint='pip install "crews[pii]", or take the setting back',
        )
    if model and not _is_there(model):
        raise UsageError(
            f"names cannot be redacted: there is no spaCy model `{model}`",
            where="CREWS_PERSONAL_NAMES_MODEL",
            hint=f"python -m spacy download {model}",
        )
    return Personal(model)


def _is_there(model: str) -> bool:
    """Is there such a folder, or such a package?"""
    return Path(model).is_dir() or (
        model.isidentifier() and importlib.util.find_spec(model) is not None
    )


def _apart(spots: Iterable[Spot]) -> list[Spot]:
    """Spots of which none touches another: those that overlap are one."""
    found: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot.start, -spot.end)):
        if found and spot.start < found[-1].end:
            last = found.pop()
            found.append(Spot(last.name, last.start, max(last.end, spot.end)))
        else:
            found.append(spot)
    return found


def _numbers_end(text: str) -> int:
    """Where the numbers of the text are judged to."""
    left = NUMBERS
    for match in _NUMBER.finditer(text):
        left -= match.end() - match.start()
        if left < 0:
            return match.start()
    return len(text)


def _windows(text: str, kind: _Kind) -> Iterator[tuple[int, str]]:
    """The parts of the text in which it may be, each with its place."""
    start = end = -1
    for match in kind.hint.finditer(text):
        first, last = max(0, match.start() - kind.before), min(len(text), match.end() + kind.after)
        if start >= 0 and first > end:
            yield from _pieces(text, start, end)
            start = -1
        start, end = first if start < 0 else start, last
    if start >= 0:
        yield from _pieces(text, start, end)


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, str]]:
    while end - start > WIDTH:
        yield start, text[start : start + WIDTH]
        start += WIDTH - OVERLAP
    yield start, text[start:end]


@functools.lru_cache(maxsize=4096)
def _in_window(name: str, window: str) -> tuple[tuple[str, int, int], ...]:
    """Name, start and end of what is in it; kept, because a conversation is looked at again with each turn of it."""
    found = _recognizers()[name](window)
    return tuple((name, r.start, r.end) for r in found if r.score >= CERTAIN)


@functools.cache
def _recognizers() -> dict[str, Callable[[str], list[_Result]]]:
    """Presidio's recognizers by what they find."""
    import presidio_analyzer
    from presidio_analyzer import predefined_recognizers

    # It logs what it could not judge: the very text that must not be told.
    logging.getLogger("presidio-analyzer").disabled = True
    base, known = cast("Any", presidio_analyzer), cast("Any", predefined_recognizers)
    shapes = known.EmailRecognizer.PATTERNS
    quoted = base.Pattern("quoted in a URL", r"\b[\w.+%-]{1,64}%40\w[\w-]*(?:\.\w[\w-]*)+", 0.5)
    found: dict[str, _Recognizer] = {
        # Not Presidio's recognizer of addresses, which asks a host for the list of public suffixes.
        MAIL: base.PatternRecognizer("EMAIL_ADDRESS", patterns=[*shapes, quoted]),
        "iban": known.IbanRecognizer(),
        "ip-address": known.IpRecognizer(),
        "credit-card": known.CreditCardRecognizer(),
        "us-ssn": known.UsSsnRecognizer(),
        "phone-number": known.PhoneRecognizer(),
    }
    return {name: functools.partial(_judged, name, one) for name, one in found.items()}


def _judged(name: str, recognizer: _Recognizer, text: str) -> list[_Result]:
    results = recognizer.analyze(text, [])
    refused = _NOT_ONE.get(name)
    return [r for r in results if refused is None or not refused(text[r.start : r.end])]


def _counts_something(text: str) -> bool:
    """A decimal number, or too few digits for a telephone number that could be called from elsewhere."""
    few = "+" not in text and sum(map(str.isdigit, text)) < SHORTEST_PHONE
    return few or _DECIMAL.fullmatch(text) is not None


def _is_nobodys(text: str) -> bool:
    """An address that every machine has."""
    address = ipaddress.ip_interface(text.partition("%")[0]).ip
    return address.is_loopback or address.is_unspecified


_NOT_ONE = {"phone-number": _counts_something, "ip-address": _is_nobodys}


def _persons(model: str, text: str) -> Iterator[Spot]:
    for start, piece in _pieces(text, 0, len(text)):
        for first, last in _names_in(model, piece):
            yield Spot(PERSON, start + first, start + last)


@functools.lru_cache(maxsize=4096)
def _names_in(model: str, piece: str) -> tuple[tuple[int, int], ...]:
    """Start and end of each name that the model sees."""
    found = _spacy(model)(piece).ents
    return tuple((e.start_char, e.end_char) for e in found if e.label_ in {"PERSON", "PER"})


@functools.cache
def _spacy(model: str) -> Any:
    import spacy

    return cast("Any", spacy).load(model)
