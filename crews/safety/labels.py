"""Where does a value come from, and may an action be aimed by it?

A thread that has read what others wrote may be steered by them. What it then sends, and where, must be found in
what is trusted: the goal, a human's answers, the team's files, and results of trusted tools that were asked
with trusted arguments. The rule runs in this direction on purpose: a value that is merely absent from what was
read may be there in another encoding.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from pydantic import JsonValue

from crews.safety.composing import nfkc
from crews.safety.values import (
    TooDeep,
    addresses,
    ambiguous,
    figures,
    flags,
    leaves,
    loaded,
    number,
    only_words,
    otherwise_marked,
    pieces,
    unnumbered,
    words,
)
from crews.teams.spec import ArgumentRole, Effect

Exposure = Literal["trusted", "values", "workspace", "untrusted"]
"""What a thread has read, the worst of it: nothing of others; single values of a declared shape that somebody
else read for it; files of the workspace; what anybody may have written."""
EXPOSURES: Final[tuple[Exposure, ...]] = get_args(Exposure)
AIMED: Final[frozenset[Effect]] = frozenset({"network", "external"})
"""Effects that leave the run. Fetching a page is one: the address can carry what was read."""
AIMING: Final[frozenset[ArgumentRole]] = frozenset({"target", "amount", "secret"})
"""Roles of arguments that decide what an action does to whom."""
SHORT: Final = 4
"""Characters below which a value is looked for as a word of its own."""
_CUT = "\x1f"
_TELLING = re.compile(r"(?=[\w.+@-]*[\d@])[\w+@-][\w.+@-]{4,}\w")
"""What may be an account, a key, a number or an address."""


def worst(labels: Iterable[str]) -> Exposure:
    """The worst of the labels; one that is not known is the worst there is."""
    ranks = [EXPOSURES.index(x) if x in EXPOSURES else len(EXPOSURES) - 1 for x in labels]
    return EXPOSURES[max(ranks, default=0)]


@dataclass(frozen=True, slots=True)
class _Read:
    """One trusted text, taken apart."""

    pieces: str
    words: str
    atoms: frozenset[str]

    @classmethod
    def of(cls, text: str) -> _Read:
        atoms = frozenset((*addresses(text), *figures(text)))
        return cls(_joined(pieces(text)), _joined(words(text)), atoms)


@dataclass(frozen=True, slots=True)
class Grounds:
    """Trusted text, ready to be searched for values. It is never read across the ends of its texts."""

    raw: tuple[str, ...] = ()
    _seen: dict[str, _Read] = field(default_factory=lambda: {}, compare=False, repr=False)
    """Texts that were taken apart: most agents never aim anything, so that is done when it is needed."""

    @classmethod
    def of(cls, texts: Iterable[str]) -> Grounds:
        """The grounds that these texts are."""
        return cls().plus(texts)

    def plus(self, texts: Iterable[str]) -> Grounds:
        """These grounds and more."""
        new = tuple(unnumbered(text) for text in texts if text.strip())
        return Grounds(self.raw + new, self._seen) if new else self

    def _read(self) -> list[_Read]:
        for text in self.raw:
            if text not in self._seen:
                self._seen[text] = _Read.of(text)
        return [self._seen[text] for text in self.raw]

    def hold(self, value: str) -> bool:
        """Is the value found here: the whole of it, in this order, whatever way it is spelt?"""
        if ambiguous(value) or loaded(value):
            return any(f" {value.strip()} " in f" {' '.join(t.split())} " for t in self.raw)
        parts = pieces(value)
        if not parts:
            return not value.strip()
        if otherwise_marked(value.strip(), self.raw):
            return False
        texts = self._read()
        whole = _joined(parts)
        if any(whole in text.pieces for text in texts):
            return True
        atoms = {part for part in parts for text in texts if part in text.atoms}
        if len(parts) == 1 and parts[0] in atoms:
            return True
        if number(value) is None and only_words(value) and (spoken := words(value)):
            said = _joined(spoken)
            return any(said in text.words for text in texts)
        return len(parts) > 1 and all(_is_address(p) and p in atoms for p in parts)


def _joined(parts: Sequence[str]) -> str:
    return _CUT + _CUT.join(parts) + _CUT


def _is_address(part: str) -> bool:
    return "@" in part or "." in part


@dataclass(frozen=True, slots=True)
class Origin:
    """One value by which an action is aimed."""

    argument: str
    """Which argument, and where inside it: `to[0]`."""
    role: ArgumentRole
    value: str
    grounded: bool
    """Was it found in what is trusted?"""
    seen: str = ""
    """The first call of the thread whose result holds it; empty: none does, or it is grounded."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an action is aimed by, and what its thread has read."""

    exposure: Exposure = "trusted"
    origins: tuple[Origin, ...] = ()
    secret: bool = False
    """Does it carry a secret that this process knows, where none belongs?"""
    private: bool = False
    """Does it carry a value of a result's secret fields, where none belongs?"""

    @property
    def exposed(self) -> bool:
        """May the thread be steered by somebody else?"""
        return self.exposure in {"workspace", "untrusted"}

    @property
    def ungrounded(self) -> tuple[Origin, ...]:
        """The values that nobody who is trusted has named."""
        return tuple(origin for origin in self.origins if not origin.grounded)

    @property
    def aimless(self) -> bool:
        """Does nothing say where it is aimed, although the thread may be steered?"""
        return self.exposed and not any(o.role in AIMING for o in self.origins)

    @property
    def labels(self) -> frozenset[str]:
        """Everything that a rule's `labels` can name of it."""
        found = {"ungrounded" if self.ungrounded else "grounded"}
        if self.exposure != "trusted":
            found.add(self.exposure)
        if self.secret or self.private:
            found.add("secret")
        return frozenset(found)


def origins(
    arguments: Mapping[str, JsonValue], roles: Mapping[str, ArgumentRole], grounds: Grounds
) -> Iterator[Origin]:
    """Every value of the arguments that aims, and addresses in content that nobody has named.

    An argument without a role is a target.

    Raises:
        TooDeep: An argument cannot be looked into.
    """
    for name, value in arguments.items():
        role = roles.get(name, "target")
        for place, leaf in leaves(value, name):
            if role in AIMING:
                yield Origin(place, role, leaf, grounds.hold(leaf))
            else:
                yield from _led_to(place, leaf, grounds)
        if role in AIMING:
            # Nobody can have named a yes or a no: `public: true` is whoever's who says it.
            yield from (Origin(p, role, str(f), grounded=False) for p, f in flags(value, name))


def _led_to(place: str, text: str, grounds: Grounds) -> Iterator[Origin]:
    """Addresses inside content lead whoever reads it: one that nobody trusted has named aims the action, too."""
    for address in dict.fromkeys(addresses(text)):
        if not grounds.hold(address):
            yield Origin(place, "content", address, grounded=False)


def with_places(found: Iterable[Origin], results: Sequence[tuple[str, str]]) -> tuple[Origin, ...]:
    """The origins, each ungrounded one with the first result that holds its value: for a human to judge.

    Args:
        found: As `origins` gives them.
        results: Address and text of the thread's earlier results, oldest first.
    """
    return tuple(
        o if o.grounded else replace(o, seen=next((a for a, t in results if o.value in t), ""))
        for o in found
    )


def asked_with_trust(
    arguments: Mapping[str, JsonValue],
    exposure: Exposure,
    grounds: Grounds,
    beside: frozenset[str] = frozenset(),
) -> bool:
    """Were a call's arguments trusted? Only then its result can be.

    `beside`: names of arguments that do not count.
    """
    if exposure == "trusted":
        return True
    counted = ((name, value) for name, value in arguments.items() if name not in beside)
    return all(grounds.hold(leaf) for name, value in counted for _, leaf in leaves(value, name))


def trusted_texts(
    text: str, arguments: Mapping[str, JsonValue], fields: Sequence[str] = ()
) -> tuple[str, ...]:
    """What of a trusted tool's result can ground a value: nothing that merely echoes an argument.

    Args:
        text: The result.
        arguments: What the tool was given.
        fields: Only these fields of a JSON result; empty: all of it.
    """
    given = {_folded(leaf) for name, value in arguments.items() for _, leaf in leaves(value, name)}
    try:
        parsed: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        # Text without structure: a line that repeats an argument may be nothing but its echo.
        return (
            () if fields else tuple(x for x in text.splitlines() if not _echoes(x, given, least=0))
        )
    try:
        found = tuple(of_fields(parsed, frozenset(fields)) if fields else leaves(parsed))
    except (TooDeep, RecursionError):
        return ()
    return tuple(leaf for _, leaf in found if not _echoes(leaf, given))


def _echoes(leaf: str, given: set[str], least: int = 3) -> bool:
    """Is it a part of an argument, or is an argument of `least` letters a part of it, whatever its case?

    A value of a few letters is one only where it stands free: a figure is found inside many a longer one.
    """
    said = _folded(leaf)
    short = re.compile(rf"(?<!\w){re.escape(said)}(?!\w)") if len(said) < SHORT else None
    return any(
        (short.search(g) is not None if short else said in g)
        or (len(g) >= least and _joined(pieces(g)) in _joined(pieces(said)))
        for g in given
    )


def _folded(text: str) -> str:
    return " ".join(nfkc(text).casefold().split())


def secret_texts(text: str, fields: Sequence[str]) -> frozenset[str]:
    """Values of these fields of a JSON result; in one that cannot be read, all that may be a number or an address."""
    if not fields:
        return frozenset()
    try:
        parsed: JsonValue = json.loads(text)
        return frozenset(leaf for _, leaf in of_fields(parsed, frozenset(fields)))
    except (ValueError, RecursionError):  # TooDeep is a ValueError
        return frozenset({text, *_TELLING.findall(text)})


def of_fields(value: JsonValue, fields: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Everything inside the fields of these names, at whatever depth they stand."""
    if isinstance(value, list):
        for inner in value:
            yield from of_fields(inner, fields)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in fields:
                yield from leaves(inner, key)
            else:
                yield from of_fields(inner, fields)
