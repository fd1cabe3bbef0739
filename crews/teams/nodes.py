"""Which values stand in a YAML file, where does each stand, and what did YAML make of it?

Built from PyYAML's events, not from its nodes: events come one at a time, so that depth and number
of values are counted before they cost anything, and an alias is a reference, never a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, TypeAlias

import yaml
from yaml import events

from crews.teams.scalars import CORE, Scalar, place_of, read_scalar, strange_tag
from crews.teams.source import Place, Source, lines_of

MAX_DEPTH = 40
MAX_VALUES = 20_000
"""Values in one file, each alias counted as all that it stands for."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNTYPED: Final[Any] = yaml  # the stubs leave `parse` without types


@dataclass(frozen=True, slots=True)
class Listing:
    """A YAML sequence."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Table:
    """A YAML mapping; its keys are texts, each once."""

    place: Place
    entries: tuple[Entry, ...]


Node: TypeAlias = Scalar | Listing | Table


class _Refused(Exception):
    """The file cannot be understood any further; the problem is noted already."""


@dataclass(slots=True)
class _Open:
    """A sequence or mapping whose end has not come yet."""

    start: events.Event
    anchor: str | None
    children: list[tuple[Node, int]] = field(default_factory=list[tuple["Node", int]])


@dataclass(slots=True)
class _Builder:
    source: Source
    stack: list[_Open] = field(default_factory=list[_Open])
    anchors: dict[str, tuple[Node, int]] = field(default_factory=dict[str, tuple["Node", int]])
    root: Node | None = None
    documents: int = 0
    values: int = 0

    def take(self, event: events.Event) -> None:
        if isinstance(event, events.DocumentStartEvent):
            self._document(event)
        elif isinstance(event, events.ScalarEvent):
            self._add(event, read_scalar(self.source, event), 1, event.anchor)
        elif isinstance(event, events.AliasEvent):
            self._alias(event)
        elif isinstance(event, events.CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, events.CollectionEndEvent):
            self._finish(event)

    def _document(self, event: events.Event) -> None:
        self.documents += 1
        if self.documents > 1:
            self._refuse(event, "a second YAML document begins here", "drop `---` and what follows")

    def _alias(self, event: events.AliasEvent) -> None:
        name = str(event.anchor)
        if any(level.anchor == name for level in self.stack):
            self._refuse(event, f"alias '*{name}' stands inside what it names")
        known = self.anchors.get(name)
        if known is None:
            hint = f"write &{name} before it, or quote the text"
            self._refuse(event, f"alias '*{name}' has no anchor", hint)
        self._add(event, *known, None)

    def _begin(self, event: events.CollectionStartEvent) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep")
        if event.tag and event.tag not in {f"{CORE}map", f"{CORE}seq"}:
            self.source.error(place_of(event), *strange_tag(event.tag))
        self.stack.append(_Open(event, event.anchor))

    def _finish(self, end: events.Event) -> None:
        level = self.stack.pop()
        children = [node for node, _ in level.children]
        place = place_of(level.start, end)
        size = 1 + sum(size for _, size in level.children)
        if isinstance(level.start, events.SequenceStartEvent):
            node: Node = Listing(place, tuple(children))
        else:
            node = Table(place, tuple(_entries(self.source, children)))
        self.values -= size - 1  # they were counted when they came; `_add` counts the whole
        self._add(level.start, node, size, level.anchor)

    def _add(self, event: events.Event, node: Node, size: int, anchor: str | None) -> None:
        self.values += size
        if self.values > MAX_VALUES:
            self._refuse(event, f"more than {MAX_VALUES} values, counting what aliases stand for")
        if anchor:
            self.anchors[anchor] = (node, size)
        if self.stack:
            self.stack[-1].children.append((node, size))
        else:
            self.root = node

    def _refuse(self, event: events.Event, message: str, suggestion: str = "") -> NoReturn:
        self.source.error(place_of(event), message, suggestion)
        raise _Refused


def parse(source: Source) -> Node | None:
    """The file's one value; None if it is empty, or no YAML, as the source's problems then say."""
    builder = _Builder(source)
    try:
        for event in _events(source, builder.stack):
            builder.take(event)
    except _Refused:
        return None
    return builder.root


def _events(source: Source, stack: list[_Open]) -> Iterator[events.Event]:
    try:
        yield from _UNTYPED.parse(source.text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        place = _place_of_error(source, error, stack)
        source.error(place, *_explained(source, error, place))
        raise _Refused from None
    except yaml.reader.ReaderError as error:
        source.error(_at_index(source, int(error.position)), "a control character stands here",
                     "remove it, or write it as an escape in double quotes")  # fmt: skip
        raise _Refused from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        source.error(Place(), f"this is not YAML: {error}")
        raise _Refused from None


def _place_of_error(source: Source, error: yaml.MarkedYAMLError, stack: list[_Open]) -> Place:
    """Where it went wrong; at the end of the file rather where that began which was never closed."""
    end = len(source.text.rstrip())
    marks = [m for m in (error.problem_mark, error.context_mark) if m is not None]
    for mark in marks:
        if mark.index < end:
            return Place(mark.line + 1, mark.column + 1, 1, mark.index, mark.index)
    flowing = [level.start for level in stack if getattr(level.start, "flow_style", False)]
    if flowing:
        return place_of(flowing[-1])
    return Place(marks[0].line + 1, marks[0].column + 1) if marks else Place()


def _at_index(source: Source, index: int) -> Place:
    before = lines_of(source.text[:index])
    return Place(len(before), len(before[-1]) + 1, 1, index, index + 1)


_HINTS: Final[tuple[tuple[str, str], ...]] = (
    ("mapping values are not allowed", "quote a text that holds ': ', and check the indentation"),
    ("could not find expected ':'", "a key needs ': ' behind it; long text starts with '>' or '|'"),
    ("unexpected end of stream", "close the quote"),
    ("node content", "close the bracket"),
    ("',' or '", "close the bracket; quote a text that begins with '{' or '['"),
    ("expected key", "check the indentation; quote a text that begins with '{', '[', '\"' or '-'"),
    ("<block end>", "check the indentation; quote a text that begins with '{', '[', '\"' or '-'"),
    ("'-' indicator", "check the indentation"),
    ("cannot start any token", "quote the text: '...'"),
    ("escape", "write a backslash in double quotes twice, or use single quotes"),
)


def _explained(source: Source, error: yaml.MarkedYAMLError, place: Place) -> tuple[str, str]:
    line = source.lines[place.line - 1] if place.line <= len(source.lines) else ""
    if line[place.column - 1 : place.column] == "\t":
        return "a tab stands where YAML wants spaces", "indent with spaces"
    problem = error.problem or "it cannot be read"
    hint = next((hint for part, hint in _HINTS if part in problem), "")
    context = f" {error.context}" if error.context else ""
    opened = error.context_mark
    since = f", begun in line {opened.line + 1}" if opened and opened.line + 1 < place.line else ""
    return f"this is not YAML: {problem}{context}{since}", hint


def _entries(source: Source, children: list[Node]) -> Iterator[Entry]:
    """Keys with values, in the file's order; what `<<` brings in comes last and never replaces."""
    seen: dict[str, Place] = {}
    merged: list[Node] = []
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, Scalar) or not isinstance(key.value, str) or key.kind != "text":
            _no_text_key(source, key)
        elif key.plain and key.raw == "<<":
            merged += value.items if isinstance(value, Listing) else (value,)
        elif key.value in seen:
            first = seen[key.value].line
            source.error(key.place, f"key '{key.value}' is given twice",
                         f"it stands in line {first} already; keep one of them")  # fmt: skip
        else:
            seen[key.value] = key.place
            yield Entry(key, value)
    yield from _merged(source, merged, set(seen))


def _merged(source: Source, tables: list[Node], seen: set[str]) -> Iterator[Entry]:
    for table in tables:
        if not isinstance(table, Table):
            source.error(table.place, "'<<' needs a mapping", "name one: <<: *anchor")
            continue
        for entry in table.entries:
            if str(entry.key.value) not in seen:
                seen.add(str(entry.key.value))
                yield entry


def _no_text_key(source: Source, key: Node) -> None:
    if not isinstance(key, Scalar):
        source.error(key.place, "a key must be text, not a list or mapping", "quote it")
    else:
        took = "nothing" if key.value is None else repr(key.value).lower()
        source.error(
            key.place, f"a key must be text, but YAML reads {key.raw or 'it'} as {took}",
            f"quote it: '{key.raw}'",
        )  # fmt: skip
