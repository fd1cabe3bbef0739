"""Does a value have the shape that its key asks for, and what is it worth as plain data?"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from pydantic import JsonValue

from crews.teams.keys import AUTONOMY, MAX_WALL, SECONDS, WALL_PATTERN, Key, Kind
from crews.teams.nodes import Listing, Node, Table
from crews.teams.scalars import Scalar, convert, resolved
from crews.teams.source import Place, Source

Path: TypeAlias = tuple[str | int, ...]
"""Where a value is: `("NAME", "tools", 0)`."""

_OCTAL = re.compile(r"^[-+]?0[0-7_]+$")
_FLAGS, _LEVELS = "write true or false", f"one of: {', '.join(AUTONOMY)}, or 0 to 4"
_LAZY_FLAGS = frozenset({"yes", "no", "on", "off"})


@dataclass(frozen=True, slots=True)
class Slot:
    """The value that is being read: what it must be, and where it goes."""

    source: Source
    key: Key
    name: str
    path: Path
    places: dict[Path, Place]
    """Filled while lists are read."""

    def error(self, node: Node, message: str, suggestion: str = "") -> None:
        """Note an error at the node."""
        self.source.error(node.place, message, suggestion)

    def warn(self, node: Node, message: str, suggestion: str = "") -> None:
        """Note a warning at the node."""
        self.source.warning(node.place, message, suggestion)


class Nothing:
    """What stands for a value that cannot be used; the problem is noted."""


NOTHING: Final = Nothing()
Value: TypeAlias = JsonValue | Nothing


def closest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing if nothing is close."""
    found = difflib.get_close_matches(name[:80], sorted(known), n=1)
    return f"did you mean '{found[0]}'?" if found else ""


def filled(node: Node) -> bool:
    """Is anything there?"""
    return not (isinstance(node, Scalar) and node.kind == "nothing")


def read_value(slot: Slot, node: Node) -> Value:
    """The value as plain data, or NOTHING if it is wrong. Not for tables: `shape` reads those."""
    return _READERS[slot.key.kind](slot, node)


def noun(node: Node) -> str:
    """What the node is, in words."""
    if isinstance(node, Scalar):
        kinds = {"text": "text", "flag": "true or false", "nothing": "nothing", "date": "a date"}
        return kinds.get(node.kind, "a number")
    return "a list" if isinstance(node, Listing) else "a mapping"


def _text(slot: Slot, node: Node) -> Value:
    if not isinstance(node, Scalar):
        hint = "quote it" if isinstance(node, Table) else "write it as one text"
        slot.error(node, f"'{slot.name}' must be text, not {noun(node)}", hint)
    elif node.kind == "nothing":
        slot.error(node, f"'{slot.name}' has no value", "write a text")
    elif node.kind != "text":
        took = str(node.value).lower() if node.kind != "date" else "a date"
        slot.error(node, f"'{slot.name}' must be text, but YAML reads {node.raw} as {took}",
                   f"quote it: '{node.raw}'")  # fmt: skip
    elif slot.key.choices and node.raw not in slot.key.choices:
        slot.error(
            node, f"'{node.raw[:80]}' is no {slot.name}", _one_of(node.raw, slot.key.choices)
        )
    elif not node.raw.strip() and (slot.key.required or slot.key.kind == "texts"):
        slot.error(node, f"'{slot.name}' is empty", "write a text")
    else:
        return node.raw
    return NOTHING


def _one_of(name: str, choices: Iterable[str]) -> str:
    return closest(name, choices) or f"one of: {', '.join(choices)}"


def _flag(slot: Slot, node: Node) -> Value:
    if not isinstance(node, Scalar) or (node.kind != "flag" and not _is_quoted(node, "flag")):
        slot.error(node, f"'{slot.name}' must be true or false, not {noun(node)}", _FLAGS)
        return NOTHING
    flag = bool(convert("flag", node.raw))
    word = str(flag).lower()
    if node.kind == "text":
        slot.warn(node, f"'{slot.name}' is quoted; it is read as {word}", "remove the quotes")
    elif node.raw.lower() in _LAZY_FLAGS:
        slot.warn(node, f"YAML 1.1 reads {node.raw} as {word}", f"write {word}")
    return flag


def _is_quoted(node: Scalar, *kinds: str) -> bool:
    """Is it text only because of its quotes? CrewAI accepts such numbers and flags."""
    return node.kind == "text" and not node.plain and resolved(node.raw) in kinds


def _number(slot: Slot, node: Node) -> Value:
    kinds = ("whole",) if slot.key.kind == "whole" else ("whole", "number")
    wanted = "a whole number" if slot.key.kind == "whole" else "a number"
    if not isinstance(node, Scalar) or not (node.kind in kinds or _is_quoted(node, *kinds)):
        slot.error(node, f"'{slot.name}' must be {wanted}, not {_found(node)}", f"write {wanted}")
        return NOTHING
    try:
        number = convert(resolved(node.raw), node.raw)
    except ValueError:
        slot.error(node, f"'{slot.name}' must be {wanted}", f"write {wanted}")
        return NOTHING
    if strange := _strange(node.raw):
        slot.error(node, f"YAML 1.1 reads {node.raw} as {number} ({strange})", f"write {number}")
        return NOTHING
    if node.kind == "text":
        slot.warn(node, f"'{slot.name}' is quoted; it is read as {number}", "remove the quotes")
    return number if _in_range(slot, node, number) else NOTHING


def _found(node: Node) -> str:
    short = isinstance(node, Scalar) and 0 < len(node.raw) <= 40 and "\n" not in node.raw
    return f"'{node.raw}'" if isinstance(node, Scalar) and short else noun(node)


def _strange(raw: str) -> str:
    if _OCTAL.match(raw):
        return "octal, because of the leading 0"
    return "minutes and seconds, base 60" if ":" in raw else ""


def _in_range(slot: Slot, node: Node, number: float) -> bool:
    low, high = slot.key.low, slot.key.high
    if slot.key.positive and number <= 0:
        slot.error(node, f"'{slot.name}' must be above 0, not {number:g}", "write a larger number")
        return False
    if low is not None and number < low:
        slot.error(
            node, f"'{slot.name}' must be at least {low:g}, not {number:g}", f"write {low:g}"
        )
        return False
    if high is not None and number > high:
        slot.error(
            node, f"'{slot.name}' must be at most {high:g}, not {number:g}", f"write {high:g}"
        )
        return False
    return True


def _wall(slot: Slot, node: Node) -> Value:
    hint = "write seconds, or a text such as 90s, 30m or 1h30m"
    if isinstance(node, Scalar) and node.kind in {"whole", "number"} and not _strange(node.raw):
        seconds = float(node.value or 0)
    elif isinstance(node, Scalar) and re.match(WALL_PATTERN, node.raw) and len(node.raw) < 40:
        parts = re.findall(r"([0-9.]+)([smhd])", node.raw)
        seconds = math.fsum(float(amount) * SECONDS[unit] for amount, unit in parts)
    else:
        slot.error(node, f"'{slot.name}' must be a time, not {_found(node)}", hint)
        return NOTHING
    if 0 < seconds <= MAX_WALL:
        return seconds
    wrong = "above 0" if seconds <= 0 else f"at most {MAX_WALL // SECONDS['d']}d"
    slot.error(node, f"'{slot.name}' must be {wrong}", hint)
    return NOTHING


def _autonomy(slot: Slot, node: Node) -> Value:
    if isinstance(node, Scalar) and node.kind == "whole" and not _strange(node.raw):
        if isinstance(node.value, int) and 0 <= node.value < len(AUTONOMY):
            return node.value
        slot.error(node, f"'{slot.name}' must be from 0 to 4, not {node.raw}", _LEVELS)
    elif isinstance(node, Scalar) and node.raw in AUTONOMY:
        return AUTONOMY.index(node.raw)
    else:
        raw = node.raw if isinstance(node, Scalar) else ""
        hint = closest(raw, AUTONOMY) or f"0 to 4, or one of: {', '.join(AUTONOMY)}"
        slot.error(node, f"'{slot.name}' must be a level, not {_found(node)}", hint)
    return NOTHING


def _texts(slot: Slot, node: Node) -> Value:
    if isinstance(node, Table):
        slot.error(
            node, f"'{slot.name}' must be a list of texts, not a mapping", "write - before each"
        )
        return NOTHING
    items = node.items if isinstance(node, Listing) else (node,)
    if len(items) < (slot.key.low or 0):
        slot.error(node, f"'{slot.name}' is an empty list", "name at least one, or remove the key")
        return NOTHING
    result: list[JsonValue] = []
    for item in items:
        value = _text(slot, item)
        if isinstance(value, str):
            slot.places[(*slot.path, len(result))] = item.place
            result.append(value)
    return result


def _words(slot: Slot, node: Node) -> Value:
    """A mapping from free names to one of the key's choices each."""
    if not isinstance(node, Table):
        hint = f"write NAME: and one of {', '.join(slot.key.choices)}"
        slot.error(node, f"'{slot.name}' must be a mapping, not {noun(node)}", hint)
        return NOTHING
    result: dict[str, JsonValue] = {}
    for entry in node.entries:
        name = str(entry.key.value)
        inner = replace(slot, name=name, path=(*slot.path, name))
        if isinstance(value := _text(inner, entry.value), str):
            slot.places[inner.path] = entry.value.place
            result[name] = value
    return result


def _any(slot: Slot, node: Node) -> JsonValue:
    if isinstance(node, Listing):
        return [_any(slot, item) for item in node.items]
    if isinstance(node, Table):
        return {str(entry.key.value): _any(slot, entry.value) for entry in node.entries}
    lazy = node.kind == "flag" and node.raw.lower() in _LAZY_FLAGS
    if node.kind == "date":
        slot.error(node, f"YAML reads {node.raw} as a date", f"quote it: '{node.raw}'")
    elif lazy or (node.kind in {"whole", "number"} and _strange(node.raw)):
        took = str(node.value).lower()
        slot.warn(node, f"YAML 1.1 reads {node.raw} as {took}", f"write {took}, or quote it")
    return node.value


_READERS: Final[dict[Kind, Callable[[Slot, Node], Value]]] = {
    "text": _text,
    "flag": _flag,
    "whole": _number,
    "number": _number,
    "wall": _wall,
    "autonomy": _autonomy,
    "texts": _texts,
    "words": _words,
    "any": _any,
}
