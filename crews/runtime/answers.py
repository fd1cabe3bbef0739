"""What of a model's answer can be kept, judged and sent back?

An answer goes back byte for byte. Where that cannot be, because an endpoint has sent half a surrogate pair, a
call without an id or the same id twice, only what is wrong is replaced: else the thread could never go on.
A secret that this process holds is replaced as well: neither the journal nor any effect gets to see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, cast

from crews.runtime.conversation import Conversation
from crews.runtime.models import Block
from crews.safety.bounds import too_much
from crews.safety.redact import Redactor
from crews.tools.results import plain

REFUSED = "arguments_refused"
"""Stands, with the reason, in the place of arguments that were not looked at."""
NOTHING_KNOWN = Redactor()
_SIGNED = frozenset({"thinking", "redacted_thinking"})

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_STRANGE = re.compile(r"[^A-Za-z0-9_-]")


def usable(
    blocks: Iterable[Block], talk: Conversation, redactor: Redactor = NOTHING_KNOWN
) -> tuple[Block, ...]:
    """The answer's blocks, with calls that have a name, arguments and an id of their own in the thread."""
    taken = set(talk.ids)
    found: list[Block] = []
    for place, block in enumerate(blocks):
        if block.get("type") == "tool_use" and (why := too_much(block.get("input"))):
            block = {**block, "input": {REFUSED: why}}
        clean = _without_secrets(_clean(block), redactor)
        if clean is None:
            continue
        if clean.get("type") == "tool_use":
            clean = _call(clean, f"call_{talk.turns}_{place}", taken)
            taken.add(clean["id"])
        found.append(clean)
    return tuple(found)


def _without_secrets(block: Block, redactor: Redactor) -> Block | None:
    """The block without known secrets; None: it is signed and cannot be changed, so it goes whole."""
    clean = cast("Block", redactor.known_json(block))
    if clean != block and block.get("type") in _SIGNED:
        return None
    return clean


def _call(block: Block, own: str, taken: set[str]) -> Block:
    name, given, arguments = block.get("name"), block.get("id"), block.get("input")
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        name = _STRANGE.sub("_", str(name or ""))[:128] or "unnamed"
    if not (isinstance(given, str) and _NAME.fullmatch(given)) or given in taken:
        given = own
        while given in taken:
            given += "_"
    if not isinstance(arguments, dict):
        arguments = {} if arguments is None else {"input": arguments}
    return {**block, "name": name, "id": given, "input": arguments}


def _clean(value: Any) -> Any:
    """The value with an escape for what JSON in UTF-8 cannot hold."""
    if isinstance(value, str):
        return value if _is_unicode(value) else plain(value)
    if isinstance(value, dict):
        return {_clean(k): _clean(v) for k, v in cast("Block", value).items()}
    if isinstance(value, list):
        return [_clean(v) for v in cast("list[Any]", value)]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
