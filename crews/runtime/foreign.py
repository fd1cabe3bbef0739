"""How does a CrewAI tool that a team names as `module:Class` come behind the gate?

Nothing is known of what it does, so it counts as `external` and each of its arguments as a target: policy asks
before each call, and a call that was interrupted goes to a human. `tools:` in policy.yaml can say more, and so can
the tool's class, or the tool, in two attributes:

    class Pay(BaseTool):
        crews_effect: ClassVar[str] = "external"            # or "read", "network"
        crews_idempotency_key: ClassVar[str] = "request_id"  # an argument of `_run`

The argument that `crews_idempotency_key` names is hidden from the model and gets the call's key, 64 hexadecimal
digits that are the same on every attempt: an interrupted call is then simply made again.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic_core import to_json

from crews.errors import UsageError
from crews.runtime.apart import apart
from crews.runtime.crew import quiet
from crews.safety.bounds import DATA, LARGEST_RESULT, LONGEST_SECRET, too_much
from crews.safety.known import UNDECLARED, Declared, declared_by
from crews.teams.spec import PolicySpec
from crews.tools.base import Tool, ToolContext, ToolError, ToolResult
from crews.tools.gate import AnyTool

ForeignEffect = Literal["read", "network", "external"]
"""What a CrewAI tool can be: it knows neither the run's workspace nor its sandbox."""
EFFECT, KEY = "crews_effect", "crews_idempotency_key"
_SOME_KEY = "0f" * 32


def load_foreign(
    name: str, storage: Path, policy: PolicySpec | None = None, seconds: float = 600.0
) -> AnyTool:
    """The tool that `module:Class` names, under the name that CrewAI gives it.

    Args:
        name: `module:Class`.
        storage: Folder for what CrewAI keeps.
        policy: What the team declares of its tools, which counts more than what their classes say.
        seconds: After which a call of it is given up.

    Raises:
        UsageError: it cannot be imported, is no CrewAI tool, or declares an effect or a key that it cannot have.
    """
    module, _, attribute = name.partition(":")
    hint = "write `module:Class` of a CrewAI tool that can be imported here and needs no arguments"
    quiet(storage)  # the tool's module imports CrewAI, which is to call nobody and read no `.env`
    try:
        made = getattr(importlib.import_module(module), attribute)
        tool = made() if isinstance(made, type) else made
    except Exception as error:
        raise UsageError(f"tool `{name}` cannot be loaded: {error}", hint=hint) from error
    from crewai.tools import BaseTool

    if not isinstance(tool, BaseTool):
        raise UsageError(f"`{name}` is no CrewAI tool", hint=hint)
    try:
        tool.args_schema.model_json_schema()
    except Exception as error:
        what = f"the arguments of tool `{name}` cannot be described: {error}"
        raise UsageError(what, hint="give it an `args_schema`") from error
    spec = policy.declared(name, _own_name(tool)) if policy else None
    if spec is not None and (
        unknown := spec.arguments.keys() - tool.args_schema.model_fields.keys()
    ):
        fields = ", ".join(tool.args_schema.model_fields) or "none"
        raise UsageError(
            f"policy.yaml declares arguments of `{spec.name}` that it has not: {', '.join(sorted(unknown))}",
            hint=f"its arguments are: {fields}",
        )
    effect = spec.effect if spec and spec.effect else _effect(name, tool)
    said = declared_by(spec) if spec else UNDECLARED
    return _wrapped(tool, effect, _key(name, tool), said, seconds)


def _own_name(inner: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", inner.name).strip("_").lower()[:64] or "tool"


def _effect(name: str, inner: Any) -> ForeignEffect:
    told = getattr(inner, EFFECT, "external")
    if told in get_args(ForeignEffect):
        return cast("ForeignEffect", told)
    known = ", ".join(get_args(ForeignEffect))
    raise UsageError(
        f"tool `{name}` declares {EFFECT} = {told!r}",
        hint=f"a CrewAI tool can be: {known}; it cannot write in the workspace or use the sandbox",
    )


def _key(name: str, inner: Any) -> str:
    """The argument that gets the key; empty: there is none."""
    told = getattr(inner, KEY, "")
    if told == "":
        return ""
    fields = inner.args_schema.model_fields
    if not isinstance(told, str) or told not in fields:
        raise UsageError(
            f"tool `{name}` declares {KEY} = {told!r}, and has no such argument",
            hint=f"its arguments are: {', '.join(fields) or 'none'}",
        )
    try:
        _taking(inner, told).model_validate({told: _SOME_KEY})
    except ValidationError as error:
        why = error.errors()[0]["msg"]
        raise UsageError(
            f"tool `{name}` takes no key as `{told}`: {why}",
            hint="a key is a text of 64 hexadecimal digits",
        ) from error
    return told


def _taking(inner: Any, *names: str) -> type[BaseModel]:
    """The tool's arguments of these names; any other one is refused."""
    fields = {n: (f.annotation, f) for n, f in inner.args_schema.model_fields.items() if n in names}
    config = ConfigDict(extra="forbid", validate_by_name=True, arbitrary_types_allowed=True)
    return create_model(inner.args_schema.__name__, __config__=config, **cast("Any", fields))


def _text(found: Any) -> tuple[Any, str]:
    return found, _as_text(found)[: LARGEST_RESULT + LONGEST_SECRET]


def _as_text(found: object) -> str:
    """Data as JSON, whose fields policy.yaml can name; anything else as it spells itself.

    Raises:
        ToolError: The data is more than can be spelt out.
    """
    if not isinstance(found, (dict, list, tuple, BaseModel)):
        return str(found)
    data = cast("Any", found)
    if why := too_much(data, "the data that the tool gave back", DATA):
        raise ToolError(f"{why}; ask for less at a time")
    try:
        return to_json(data).decode()
    except (ValueError, RecursionError):
        return str(data)


def _wrapped(inner: Any, told: ForeignEffect, key: str, said: Declared, seconds: float) -> AnyTool:
    from crewai.tools.tool_failure import ToolFailure

    shown = [n for n in inner.args_schema.model_fields if n != key]

    class ForeignTool(Tool[Any]):
        """A CrewAI tool behind the gate."""

        name = _own_name(inner)
        description = str(inner.description)
        effect = told
        declared = said
        keyed = bool(key)
        args = cast("Any", _taking(inner, *shown)) if key else inner.args_schema

        async def run(self, args: Any, context: ToolContext) -> ToolResult:
            """Run the tool's own code on a thread of its own: CrewAI's tools are synchronous."""
            given = args.model_dump() | ({key: context.key} if key else {})
            try:
                # As text on that thread too: an object may take for ever to say what it is.
                found, text = await apart(lambda: _text(inner.run(**given)), seconds)
            except TimeoutError:
                done = "" if told == "read" else " Whether it has done its work is not known."
                raise ToolError(
                    f"no answer after {seconds:g} s: the call was given up.{done}"
                ) from None
            except ToolError:
                raise
            except Exception as error:
                raise ToolError(f"{type(error).__name__}: {error}") from error
            if isinstance(found, ToolFailure):
                raise ToolError(found.as_agent_message())
            return ToolResult(text)

    return ForeignTool()
