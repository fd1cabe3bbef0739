"""Which keys stand in a file, which are missing or unknown, and what are their values?"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue

from crews.teams.keys import NAME_PATTERN, TOOL_PATTERN, Fields, Key
from crews.teams.nodes import Entry, Listing, Node, Table
from crews.teams.scalars import Scalar
from crews.teams.source import Place, Source
from crews.teams.values import (
    NOTHING,
    Nothing,
    Path,
    Slot,
    Value,
    closest,
    filled,
    noun,
    read_value,
)

_TEMPLATE = (".", "x-")
"""Beginnings of top-level names that hold anchors for others to use, and declare nothing."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's values as plain data, and the place of each."""

    source: Source
    data: dict[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    keys: dict[Path, Place] = field(default_factory=dict[Path, Place])
    places: dict[Path, Place] = field(default_factory=dict[Path, Place])
    complete: bool = True
    """False: it could not be read as a whole, so that nothing can be said to be missing from it."""

    def key(self, *path: str | int) -> Place:
        """Where the key stands."""
        return self.keys.get(path, Place())

    def place(self, *path: str | int) -> Place:
        """Where the value stands."""
        return self.places.get(path) or self.key(*path)


def read_named(source: Source, root: Node | None, fields: Fields, thing: str) -> Sheet:
    """A file that maps names to mappings: agents or tasks."""
    table = _root(source, root, f"a mapping from names of {thing} to their keys")
    sheet = Sheet(source, complete=table is not None)
    for entry in table.entries if table else ():
        name = str(entry.key.value)
        if name.startswith(_TEMPLATE):
            continue
        sheet.keys[(name,)] = entry.key.place
        _check_name(source, entry)
        sheet.data[name] = {}
        if isinstance(entry.value, Table):
            sheet.data[name] = _read(sheet, entry.value, fields, (name,), entry.key.place)
        else:
            source.error(entry.value.place if filled(entry.value) else entry.key.place,
                         f"'{name}' must be a mapping of keys, not {noun(entry.value)}",
                         f"indent the keys of '{name}' below it")  # fmt: skip
    if table and not sheet.data and not source.problems:
        source.error(Place(), f"there are no {thing} in this file", f"declare {thing}")
    return sheet


def _check_name(source: Source, entry: Entry) -> None:
    name = str(entry.key.value)
    if not re.match(NAME_PATTERN, name):
        source.error(entry.key.place, f"'{name[:80]}' cannot be a name",
                     "use letters, digits, '_' and '-'")  # fmt: skip


def read_plain(source: Source, root: Node | None, fields: Fields) -> Sheet:
    """A file that is one mapping with fixed keys; it may be empty."""
    if root is None or not filled(root):
        return Sheet(source, complete=not source.problems)
    table = _root(source, root, "a mapping")
    sheet = Sheet(source, complete=table is not None)
    if table:
        sheet.data.update(_read(sheet, table, fields, (), table.place))
    return sheet


def _root(source: Source, root: Node | None, wanted: str) -> Table | None:
    if isinstance(root, Table):
        return root
    if root is not None and filled(root):
        source.error(root.place, f"the file must be {wanted}, not {noun(root)}", "write `name:`")
    elif not source.problems:
        source.error(Place(), "the file is empty", f"it must be {wanted}")
    return None


def _read(
    sheet: Sheet, table: Table, fields: Fields, path: Path, owner: Place
) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    passed: dict[str, JsonValue] = {}
    for entry in table.entries:
        name = str(entry.key.value)
        key = fields.get(name)
        sheet.keys[(*path, name)] = entry.key.place
        if key is None and not sheet.source.full:
            sheet.source.error(entry.key.place, f"unknown key '{name[:80]}'", _meant(name, fields))
        if key is None:
            continue
        value = _entry(sheet, Slot(sheet.source, key, name, (*path, name), sheet.places), entry)
        if isinstance(value, Nothing):
            continue
        target = passed if key.standing == "passed" else result
        target[key.becomes or name] = value
    for name, key in fields.items():
        if key.required and (*path, name) not in sheet.keys:
            sheet.source.error(owner, f"key '{name}' is missing", f"add `{name}: ...`: {key.help}")
    return {**result, "crewai": passed} if passed else result


def _meant(name: str, fields: Fields) -> str:
    inner: Mapping[str, Key] = fields["oversight"].fields if "oversight" in fields else {}
    if name in inner:
        return f"put it under `oversight:`, as `oversight: {{{name}: ...}}`"
    known = [known for known, key in fields.items() if key.accepted]
    return closest(name, known) or (f"known keys: {', '.join(known)}" if len(known) < 12 else "")


def _entry(sheet: Sheet, slot: Slot, entry: Entry) -> Value:
    sheet.places[slot.path] = entry.value.place
    if slot.key.standing in {"used", "passed"}:
        return _given(sheet, slot, entry)
    raw = _unused(slot, entry.value)
    # `is`-like comparison: 0 is not False here.
    said = any(type(raw) is type(v) and raw == v for v in slot.key.silent)
    source, place, name = slot.source, entry.key.place, slot.name
    if slot.key.standing == "deprecated":
        source.warning(place, f"'{name}' is deprecated and has no effect here", slot.key.why)
    elif slot.key.standing == "idle" and not said:
        source.warning(place, f"'{name}' has no effect here, because {slot.key.why}", "remove it")
    elif not slot.key.accepted and not said:
        source.error(place, f"'{name}' cannot be set here: {slot.key.why}", "remove it")
    return NOTHING


def _unused(slot: Slot, node: Node) -> Value:
    """The value of a key that has no effect; still it must be one that CrewAI could take."""
    if slot.key.accepted and slot.key.kind != "any" and filled(node):
        return read_value(slot, node)
    return node.value if isinstance(node, Scalar) else NOTHING


def _given(sheet: Sheet, slot: Slot, entry: Entry) -> Value:
    if filled(entry.value):
        if slot.key.kind == "table":
            return _table(sheet, slot, entry.value)
        if slot.key.kind == "tables":
            return _tables(sheet, slot, entry.value)
        if slot.key.kind == "lists":
            return _lists(sheet, slot, entry.value)
        if slot.key.kind == "named":
            return _named(sheet, slot, entry.value)
        return read_value(slot, entry.value)
    note = slot.source.error
    if slot.key.blank or slot.key.kind in {"table", "tables", "lists", "named"}:
        note = slot.source.warning
    note(entry.key.place, f"'{slot.name}' has no value", "give it one, or remove the key")
    return NOTHING


def _table(sheet: Sheet, slot: Slot, node: Node) -> Value:
    if isinstance(node, Table):
        owner = sheet.key(*slot.path)
        return _read(sheet, node, slot.key.fields, slot.path, owner)
    hint = f"known keys: {', '.join(slot.key.fields)}"
    slot.error(node, f"'{slot.name}' must be a mapping, not {noun(node)}", hint)
    return NOTHING


def _tables(sheet: Sheet, slot: Slot, node: Node) -> Value:
    if not isinstance(node, Listing):
        slot.error(node, f"'{slot.name}' must be a list, not {noun(node)}", "begin each with '- '")
        return NOTHING
    if len(node.items) < (slot.key.low or 0):
        slot.error(node, f"'{slot.name}' is empty", f"known keys: {', '.join(slot.key.fields)}")
        return NOTHING
    result: list[JsonValue] = []
    for item in node.items:
        path = (*slot.path, len(result))
        if isinstance(item, Table):
            sheet.places[path] = item.place
            result.append(_read(sheet, item, slot.key.fields, path, item.place))
        else:
            slot.error(item, f"each of '{slot.name}' must be a mapping, not {noun(item)}",
                       f"known keys: {', '.join(slot.key.fields)}")  # fmt: skip
    return result


def _named(sheet: Sheet, slot: Slot, node: Node) -> Value:
    """A mapping from names of tools to mappings."""
    hint = "write the tool's name, and its keys below it"
    empty = f"give it one of the keys {', '.join(slot.key.fields)}"
    return _by_name(sheet, slot, node, _Kind("names", hint, empty, _check_tool, _table))


def _lists(sheet: Sheet, slot: Slot, node: Node) -> Value:
    """A mapping from names to lists of mappings."""
    hint = "write a name, and the list below it"
    empty = f"list at least one, with the keys {', '.join(slot.key.fields)}"
    return _by_name(sheet, slot, node, _Kind("names to lists", hint, empty, _check_name, _tables))


@dataclass(frozen=True, slots=True)
class _Kind:
    """What stands below each name of a mapping, and what is said where it does not."""

    wanted: str
    hint: str
    empty: str
    check: Callable[[Source, Entry], None]
    read: Callable[[Sheet, Slot, Node], Value]


def _by_name(sheet: Sheet, slot: Slot, node: Node, kind: _Kind) -> Value:
    if not isinstance(node, Table):
        what = f"'{slot.name}' must be a mapping from {kind.wanted}, not {noun(node)}"
        slot.error(node, what, kind.hint)
        return NOTHING
    result: dict[str, JsonValue] = {}
    for entry in node.entries:
        name = str(entry.key.value)
        path = (*slot.path, name)
        sheet.keys[path], sheet.places[path] = entry.key.place, entry.value.place
        kind.check(slot.source, entry)
        inner = Slot(slot.source, slot.key, name, path, slot.places)
        if not filled(entry.value):
            slot.source.error(entry.key.place, f"'{name[:80]}' is empty", kind.empty)
        elif not isinstance(found := kind.read(sheet, inner, entry.value), Nothing):
            result[name] = found
    return result


def _check_tool(source: Source, entry: Entry) -> None:
    name = str(entry.key.value)
    if not re.match(TOOL_PATTERN, name):
        source.error(entry.key.place, f"'{name[:80]}' cannot be a tool's name",
                     "write what the tool calls itself, or module:Class")  # fmt: skip
