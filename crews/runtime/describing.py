"""How is a tool described to a model? In as few words as it needs to call it properly.

What is described goes with every request. The gate checks arguments against the whole schema, and tells the model
what is wrong with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache

from pydantic import BaseModel, JsonValue

from crews.runtime.models import Block
from crews.tools.base import Args
from crews.tools.gate import AnyTool

_BOUNDS = frozenset({"minLength", "maxLength", "minItems", "maxItems", "maxProperties"})


def definition(tool: AnyTool) -> Block:
    """A tool as the Messages API wants it."""
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": json.loads(_schema(tool.args)),
    }


@lru_cache(maxsize=256)
def _schema(args: type[BaseModel]) -> str:
    """The schema of a tool's arguments, as JSON: to make it takes pydantic longer than a turn takes."""
    schema: JsonValue = args.model_json_schema()
    slim = _each(schema, _slim)
    # Bounds of a tool from elsewhere say what it takes; those here are beyond what a model writes by intent.
    return json.dumps(_each(slim, _unbound) if issubclass(args, Args) else slim)


def _each(value: JsonValue, change: Callable[[dict[str, JsonValue]], JsonValue]) -> JsonValue:
    """The value with every mapping in it changed, from the outside in."""
    if isinstance(value, dict):
        value = change(value)
    if isinstance(value, dict):
        return {k: _each(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_each(v, change) for v in value]
    return value


def _slim(schema: dict[str, JsonValue]) -> JsonValue:
    """Without titles, descriptions of the classes themselves, and defaults that say that there is none.

    How to say of an optional value that there is none is by leaving it out.
    """
    whole = "properties" in schema
    return {
        k: v
        for k, v in _given(schema).items()
        if not (k == "title" and isinstance(v, str))
        and not (whole and k == "description")
        and not (k == "default" and not v and v is not False and v != 0)
    }


def _given(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """A value that may be null, by default, as the value alone."""
    either = schema.get("anyOf")
    if not isinstance(either, list) or schema.get("default", ...) is not None:
        return schema
    some = [one for one in either if one != {"type": "null"}]
    if len(some) != 1 or not isinstance(some[0], dict):
        return schema
    return some[0] | {k: v for k, v in schema.items() if k != "anyOf"}


def _unbound(schema: dict[str, JsonValue]) -> JsonValue:
    """Without sizes, and without what goes without saying.

    That is: that there are no other arguments, that counts begin at 0 or 1, and defaults that are nothing.
    """
    count = schema.get("type") == "integer"
    return {
        k: v
        for k, v in schema.items()
        if not (k in _BOUNDS and isinstance(v, int))
        and not (k == "additionalProperties" and v is False)
        and not (k == "minimum" and count and v in (0, 1))
        and not (k == "default" and not v)
    }
