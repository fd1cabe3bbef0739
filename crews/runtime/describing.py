"""How is a tool described to a model? In as few words as it needs to call it properly.

What is described goes with every request. The gate checks arguments against the whole schema, and tells the model
what is wrong with them; and a result that was cut says so. So what a name, a type or an answer says is not said here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial

from pydantic import BaseModel, JsonValue

from crews.runtime.models import Block
from crews.tools.base import Args
from crews.tools.gate import AnyTool

_BOUNDS = frozenset({"minLength", "maxLength", "minItems", "maxItems", "maxProperties"})
_LEAST = frozenset({"minimum", "exclusiveMinimum"})
_DEFINED = "#/$defs/"


def definition(tool: AnyTool) -> Block:
    """A tool as the Messages API wants it."""
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": json.loads(_schema(tool.args, tool.unsaid)),
    }


@lru_cache(maxsize=256)
def _schema(args: type[BaseModel], unsaid: frozenset[str]) -> str:
    """The schema of a tool's arguments, as JSON: to make it takes pydantic longer than a turn takes."""
    schema = _each(args.model_json_schema(), partial(_without, unsaid=unsaid))
    slim = _inlined(_each(schema, _slim))
    # Bounds of a tool from elsewhere say what it takes; those here are beyond what a model writes by intent.
    return json.dumps(_each(slim, _unbound) if issubclass(args, Args) else slim)


def _without(schema: dict[str, JsonValue], *, unsaid: frozenset[str]) -> JsonValue:
    """Without the arguments of these names."""
    known = schema.get("properties")
    if not unsaid or not isinstance(known, dict):
        return schema
    return schema | {"properties": {k: v for k, v in known.items() if k not in unsaid}}


def _inlined(schema: JsonValue) -> JsonValue:
    """With each definition that is used once in its place: that is shorter than naming it."""
    while isinstance(schema, dict) and isinstance(defined := schema.get("$defs"), dict):
        used = Counter(_texts(schema))
        few = next((n for n in defined if used[_DEFINED + n] <= 1), None)
        if few is None:
            break
        rest = {k: v for k, v in defined.items() if k != few}
        whole = {k: v for k, v in schema.items() if k != "$defs"} | (
            {"$defs": rest} if rest else {}
        )
        schema = _each(whole, partial(_filled, name=_DEFINED + few, meant=defined[few]))
    return schema


def _filled(schema: dict[str, JsonValue], *, name: str, meant: JsonValue) -> JsonValue:
    """What stands for a name, with what is said beside it."""
    if schema.get("$ref") != name or not isinstance(meant, dict):
        return schema
    return meant | {k: v for k, v in schema.items() if k != "$ref"}


def _texts(value: JsonValue) -> Iterator[str]:
    """Every text in it: a name may also stand where no `$ref` does."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


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

    That is: that there are no other arguments, that quantities begin at 0 or 1, and defaults that are nothing, the
    whole workspace, or a count, which is how much is shown of what there is.
    """
    count = schema.get("type") == "integer"
    number = count or schema.get("type") == "number"
    return {
        k: v
        for k, v in schema.items()
        if not (k in _BOUNDS and isinstance(v, int))
        and not (k == "additionalProperties" and v is False)
        and not (k in _LEAST and (v == 0 or (count and v == 1)) and number)
        and not (k == "default" and (not v or v == "." or count))
    }
