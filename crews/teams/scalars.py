"""What does YAML 1.1 make of a single value, and where does it stand?"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml
from yaml import events
from yaml.constructor import SafeConstructor

from crews.teams.source import Place, Source

ScalarKind = Literal["text", "flag", "whole", "number", "nothing", "date"]

MAX_WHOLE = 2**63
CORE = "tag:yaml.org,2002:"
"""Beginning of YAML's own tags."""

_UNTYPED: Final[Any] = yaml  # the stubs leave the resolver without types
_KINDS: Final[dict[str, ScalarKind]] = {
    "str": "text",
    "bool": "flag",
    "int": "whole",
    "float": "number",
    "null": "nothing",
    "timestamp": "date",
    "value": "text",
    "merge": "text",
}
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value."""

    place: Place
    raw: str
    """The text before YAML took it for something else."""
    kind: ScalarKind
    value: str | bool | int | float | None
    """What YAML made of it; a date stays its text."""
    plain: bool
    """Not quoted, no block, no tag."""


def place_of(event: events.Event, end: events.Event | None = None) -> Place:
    """Where an event stands; with `end`: from its start to that event's end."""
    start, stop = event.start_mark, (end or event).end_mark
    same_line = end is None and start.line == stop.line
    length = max(1, stop.column - start.column) if same_line else 1
    return Place(start.line + 1, start.column + 1, length, start.index, stop.index)


def read_scalar(source: Source, event: events.ScalarEvent) -> Scalar:
    """The value of an event; what cannot be used is noted, and replaced by something harmless."""
    place, raw = place_of(event), event.value
    plain = event.style in {None, ""} and event.tag is None
    tag = str(event.tag or "!")
    if tag == "!":
        kind: ScalarKind | None = resolved(raw) if plain else "text"
    else:
        kind = _KINDS.get(tag.removeprefix(CORE)) if tag.startswith(CORE) else None
    if kind is None:
        source.error(place, *strange_tag(tag))
        kind = "text"
    if _UNSTORABLE.search(raw):
        source.error(place, "the text holds a character that cannot be stored", "remove the escape")
        raw = _UNSTORABLE.sub("\ufffd", raw)
    return Scalar(place, raw, kind, _value(source, place, kind, raw), plain)


def resolved(raw: str) -> ScalarKind:
    """What YAML 1.1 would take the text for, if it stood there without quotes."""
    tag = str(_UNTYPED.resolver.Resolver().resolve(yaml.ScalarNode, raw, (True, False)))
    return _KINDS.get(tag.removeprefix(CORE), "text")


def _value(
    source: Source, place: Place, kind: ScalarKind, raw: str
) -> str | bool | int | float | None:
    if kind in {"text", "date"}:
        return raw
    if kind == "nothing":
        return None
    try:
        return convert(kind, raw)
    except (ValueError, KeyError, OverflowError, IndexError):
        source.error(place, f"'{raw[:40]}' is too large, or no number", "quote it, or correct it")
        return 0


def convert(kind: ScalarKind, raw: str) -> bool | int | float:
    """What YAML 1.1 makes of a flag or a number.

    Raises:
        ValueError: It is too large, not finite, or no number at all.
        KeyError: It is no flag.
    """
    build = SafeConstructor()
    if kind == "flag":
        return SafeConstructor.bool_values[raw.lower()]
    if kind == "whole":
        whole = int(build.construct_yaml_int(yaml.ScalarNode(f"{CORE}int", raw)))
        if abs(whole) >= MAX_WHOLE:
            raise ValueError(raw)
        return whole
    number = float(build.construct_yaml_float(yaml.ScalarNode(f"{CORE}float", raw)))
    if not math.isfinite(number):
        raise ValueError(raw)
    return number


def strange_tag(tag: str) -> tuple[str, str]:
    """What to say of a tag that stands for no plain value."""
    short = tag.replace(CORE, "!!", 1)
    return f"tag '{short}' is not supported", "write the value as text, number, list or mapping"
