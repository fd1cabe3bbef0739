"""What may stand in a team's files, as JSON Schema for editors?

Draft-07: it is what the YAML language server documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import JsonValue

from crews.teams.keys import (
    AGENT,
    AUTONOMY,
    MAX_WALL,
    NAME_PATTERN,
    POLICY,
    TASK,
    TOOL_PATTERN,
    WALL_PATTERN,
    Fields,
    Key,
    Kind,
)
from crews.teams.spec import CONTENT_CATEGORIES

Schema = dict[str, JsonValue]
DRAFT = "http://json-schema.org/draft-07/schema#"


def agents_schema() -> Schema:
    """The schema of `agents.yaml`."""
    return _named("agents.yaml of a team", AGENT)


def tasks_schema() -> Schema:
    """The schema of `tasks.yaml`."""
    return _named("tasks.yaml of a team", TASK)


def policy_schema() -> Schema:
    """The schema of `policy.yaml`."""
    table = _table(POLICY)
    table["type"] = ["object", "null"]
    return {"$schema": DRAFT, "title": "policy.yaml of a team", **table}


def _named(title: str, fields: Fields) -> Schema:
    return {
        "$schema": DRAFT,
        "title": title,
        "type": "object",
        "minProperties": 1,
        "patternProperties": {r"^(\.|x-)": {}, NAME_PATTERN: _table(fields)},
        "additionalProperties": False,
    }


def _table(fields: Fields) -> Schema:
    properties: Schema = {n: _property(n, key) for n, key in fields.items() if key.accepted}
    required: list[JsonValue] = [name for name, key in fields.items() if key.required]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _property(name: str, key: Key) -> Schema:
    schema = _content(key) if name == "content" else _SHAPES[key.kind](key)
    if (key.blank or key.kind in {"table", "tables", "lists", "named"}) and schema:
        schema = _either(schema, {"type": "null"})
    if key.help:
        schema = {**schema, "description": key.help}
    return {**schema, "deprecated": True} if key.standing == "deprecated" else schema


def _either(*schemas: Schema) -> Schema:
    return {"anyOf": [*schemas]}


def _text(key: Key) -> Schema:
    if key.choices:
        return {"type": "string", "enum": [*key.choices]}
    return {"type": "string", "pattern": r"\S"} if key.required else {"type": "string"}


def _number(key: Key) -> Schema:
    schema: Schema = {"type": "integer" if key.kind == "whole" else "number"}
    if key.positive:
        schema["exclusiveMinimum"] = 0
    if key.low is not None:
        schema["minimum"] = key.low
    if key.high is not None:
        schema["maximum"] = key.high
    return schema


def _wall(_: Key) -> Schema:
    number: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_WALL}
    return _either(number, {"type": "string", "pattern": WALL_PATTERN})


def _texts(key: Key) -> Schema:
    item: Schema = {"type": "string", "pattern": r"\S"}
    return _one_or_more(key, {**item, "enum": [*key.choices]} if key.choices else item)


def _one_or_more(key: Key, item: Schema) -> Schema:
    return _either(item, _list(key, item))


def _list(key: Key, item: Schema) -> Schema:
    least: Schema = {} if key.low is None else {"minItems": int(key.low)}
    return {"type": "array", "items": item, **least}


def _content(key: Key) -> Schema:
    pattern: Schema = {"type": "string", "pattern": "^regex:."}
    return _one_or_more(key, _either({"enum": [*CONTENT_CATEGORIES]}, pattern))


def _lists(key: Key) -> Schema:
    return {
        "type": "object",
        "patternProperties": {NAME_PATTERN: _list(key, _table(key.fields))},
        "additionalProperties": False,
    }


def _tools(key: Key) -> Schema:
    return {
        "type": "object",
        "patternProperties": {TOOL_PATTERN: {**_table(key.fields), "minProperties": 1}},
        "additionalProperties": False,
    }


def _words(key: Key) -> Schema:
    return {"type": "object", "additionalProperties": {"type": "string", "enum": [*key.choices]}}


_SHAPES: Final[dict[Kind, Callable[[Key], Schema]]] = {
    "text": _text,
    "flag": lambda _: {"type": "boolean"},
    "whole": _number,
    "number": _number,
    "wall": _wall,
    "autonomy": lambda _: {"enum": [*range(len(AUTONOMY)), *AUTONOMY]},
    "texts": _texts,
    "table": lambda key: _table(key.fields),
    "tables": lambda key: _list(key, _table(key.fields)),
    "lists": _lists,
    "named": _tools,
    "words": _words,
    "any": lambda _: {},
}

SCHEMAS: Final[Mapping[str, Callable[[], Schema]]] = MappingProxyType({
    "agents": agents_schema,
    "tasks": tasks_schema,
    "policy": policy_schema,
})  # fmt: skip
"""The schema of each file, by the file's name without `.yaml`."""
