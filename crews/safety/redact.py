"""How does text lose the secrets in it before it is logged, shown, or kept?

Known values go first, in every encoding that a tool is likely to print: this is the part with a
guarantee. Text that only looks like a secret goes next (`secret_shapes`): a help, not a promise.
Out of what is kept or sent for others goes, where the settings say so, personal data (`personal`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from pydantic import JsonValue

from crews.safety.disguises import Disguises
from crews.safety.secret_shapes import SHAPES, Spot, shaped
from crews.safety.spellings import HEAD, MIN_LENGTH, spelt

if TYPE_CHECKING:
    from crews.safety.personal import Personal

__all__ = ["MIN_LENGTH", "Redactor", "known_secrets"]

MIN_ROUNDS, MAX_ROUNDS = 3, 20
LOOKED_AT = 2_000_000
"""Characters after which a text that keeps changing is looked at no more: its known values go all the same."""
ACCOUNT = 12
"""Digits from which a number may be that of a card; times and amounts have fewer."""

_SECRET_WORDS = frozenset(
    {"key", "keys", "token", "tokens", "secret", "secrets", "password", "passwd", "passphrase"}
    | {"pass", "pwd", "credential", "credentials", "auth", "cookie", "private", "dsn", "salt"}
)
_HARMLESS_ENDINGS = frozenset(
    {"file", "path", "dir", "sock", "socket", "home", "name", "user", "url", "host", "port", "type"}
)
_URL_PASSWORD = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:([^\s@]+)@")
_HARMLESS_VALUE = re.compile(r"(?i)true|false|none|null|enabled|disabled|default|\d{1,7}")
_TELLING_KEY = re.compile(
    r"(?i)(?:.*[_-])?(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|client[_-]?secret|authorization)"
)


def known_secrets(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The variables whose names say that they hold a secret, and passwords inside URLs.

    `PWD`, paths of key files and the like are left out, and so are values such as `true`.
    """
    found: dict[str, str] = {}
    for name, value in environ.items():
        if match := _URL_PASSWORD.match(value):
            found[name] = match[1]
        elif _names_a_secret(name) and not _HARMLESS_VALUE.fullmatch(value):
            found[name] = value
    return found


def _names_a_secret(name: str) -> bool:
    words = re.findall(r"[a-z0-9]+", name.lower())
    if not words or name.upper() in {"PWD", "OLDPWD"} or words[-1] in _HARMLESS_ENDINGS:
        return False
    return any(
        word in _SECRET_WORDS or word.endswith(("key", "token", "secret", "password"))
        for word in words
    )


class Redactor:
    """Replaces secrets by `[redacted:NAME]`; doing it twice changes nothing.

    Args:
        values: Name -> value of the secrets that this process holds. Values under `MIN_LENGTH`
            characters, and those that the replacement itself would spell, are ignored.
        personal: Finds personal data, for `outward`; None: it is not looked for.
    """

    def __init__(
        self, values: Mapping[str, str] | None = None, personal: Personal | None = None
    ) -> None:
        self._personal = personal
        forms = {form: name for name, value in (values or {}).items() for form in spelt(value)}
        self._disguises = Disguises(values or {})
        names = dict.fromkeys((*forms.values(), *(shape.name for shape in SHAPES)))
        every = dict.fromkeys((*names, *(personal.kinds if personal else ())))
        self._labels = {name: _label(name, n, forms) for n, name in enumerate(every, 1)}
        # Longest first: a form that holds another one is taken whole.
        ordered = sorted(forms, key=len, reverse=True)
        self._forms = tuple((form, self._labels[forms[form]]) for form in ordered)
        self._marks = _any_of(self._labels.values())
        self._secret_marks = _any_of(self._labels[name] for name in names)

    def text(self, text: str) -> str:
        """The text without known values, in any of their forms, and without secret-shaped parts."""
        return self._until_clean(text, self._once)

    def outward(self, text: str) -> str:
        """Like `text`, and without personal data where that is looked for.

        For what is kept or sent for others. Who works or decides needs the true values.
        """
        if self._personal is None:
            return self.text(text)
        return self._until_clean(text, self._outward_once)

    def known(self, text: str) -> str:
        """The text without known values, in any of their forms; what only looks like a secret stays.

        For what is worked with: code that an agent writes may well hold something of a secret's shape.
        """
        return self._until_clean(text, self._known_once)

    def known_json(self, value: JsonValue) -> JsonValue:
        """The JSON value without known values, in strings, keys and numbers."""
        match value:
            case str():
                return self.known(value)
            case list():
                return [self.known_json(item) for item in value]
            case dict():
                return {self.known(key): self.known_json(item) for key, item in value.items()}
            case bool() | None:
                return value
            case int() | float():
                plain = str(value)
                return self.known(plain) if self._knows(plain) else value

    def json(self, value: JsonValue) -> JsonValue:
        """The JSON value with every string, key and number redacted."""
        return self._json(value, self.text)

    def outward_json(self, value: JsonValue) -> JsonValue:
        """The JSON value with every string, key and number as `outward` has it."""
        return self._json(value, self.outward)

    def _json(self, value: JsonValue, clean: Callable[[str], str]) -> JsonValue:
        match value:
            case str():
                return clean(value)
            case list():
                return [self._json(item, clean) for item in value]
            case dict():
                return {clean(key): self._member(key, item, clean) for key, item in value.items()}
            case bool() | None:
                return value
            case int() | float():
                plain = str(value)
                looked_at = self._knows(plain) or (isinstance(value, int) and len(plain) >= ACCOUNT)
                found = clean(plain) if looked_at else plain
                return value if found == plain else found

    def _member(self, key: str, value: JsonValue, clean: Callable[[str], str]) -> JsonValue:
        """A value whose key says that it is a secret goes whole."""
        whole = isinstance(value, str) and len(value) >= MIN_LENGTH and _TELLING_KEY.fullmatch(key)
        if whole and not self._marks.search(str(value)):
            return self._labels["password"]
        return self._json(value, clean)

    def holds(self, text: str) -> bool:
        """Is a known value in the text, in any of its forms or disguises?"""
        return self._knows(text) or next(iter(self._disguises.found(text)), None) is not None

    def marked(self, text: str) -> bool:
        """Does something in the text stand for a secret that was taken out of it?"""
        return self._secret_marks.search(text) is not None

    def _knows(self, text: str) -> bool:
        return any(form in text for form, _ in self._forms)

    def _until_clean(self, text: str, once: Callable[[str], str]) -> str:
        # Again after every change: what stands beside a replacement may be a secret of its own.
        for _ in range(max(MIN_ROUNDS, min(MAX_ROUNDS, LOOKED_AT // (len(text) or 1)))):
            clean = once(text)
            if clean == text:
                return clean
            text = clean
        return self._bluntly(text)

    def _once(self, text: str) -> str:
        known = self._known_once(text)
        clean = self._outside(known, self._shapeless)
        return clean if clean == known else self._known_once(clean)

    def _outward_once(self, text: str) -> str:
        return self._outside(self.text(text), self._impersonal)

    def _known_once(self, text: str) -> str:
        for form, label in self._forms:
            if form in text:
                text = self._outside(text, partial(_swap, form=form, label=label))
        text = self._outside(text, self._undisguised)
        # A value may begin in one replacement and end after it; then the replacement goes as well.
        return self._bluntly(text) if self._knows(text) else text

    def _bluntly(self, text: str) -> str:
        while self._knows(text):
            for form, _ in self._forms:
                text = text.replace(form, "")
        return text

    def _shapeless(self, text: str) -> str:
        return self._cut(text, shaped(text))

    def _impersonal(self, text: str) -> str:
        return text if self._personal is None else self._cut(text, self._personal.spots(text))

    def _undisguised(self, text: str) -> str:
        return self._cut(text, self._disguises.found(text))

    def _cut(self, text: str, spots: Iterable[Spot]) -> str:
        parts: list[str] = []
        end = 0
        for spot in sorted(spots, key=lambda spot: (spot.start, -spot.end)):
            if spot.start >= end:
                parts += [text[end : spot.start], self._labels[spot.name]]
                end = spot.end
        return "".join((*parts, text[end:]))

    def _outside(self, text: str, change: Callable[[str], str]) -> str:
        """The text with everything changed that stands between replacements."""
        if HEAD not in text:
            return change(text)
        parts: list[str] = []
        end = 0
        for mark in self._marks.finditer(text):
            parts += [change(text[end : mark.start()]), mark[0]]
            end = mark.end()
        return "".join((*parts, change(text[end:])))


def _any_of(labels: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(label) for label in labels if label))


def _swap(text: str, *, form: str, label: str) -> str:
    return text.replace(form, label)


def _label(name: str, number: int, forms: Iterable[str]) -> str:
    """What stands for a secret; its name, unless that would give a known value away."""
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    labels = (f"{HEAD}{plain}]", f"{HEAD}{number}]")
    return next((label for label in labels if not any(form in label for form in forms)), "")
