"""What did a model answer to what? A tape holds it and replays it without a model.

A recorded tape (`.jsonl`) is strict: the request must be the one that was recorded. A tape that was written
by hand (`.yaml`) states per answer what the request's newest message must contain.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crews.errors import TapeMismatch, UsageError
from crews.records.store import dump

# What may differ from run to run without meaning: durations, addresses in memory, and a human's words.
_VOLATILE = (
    (re.compile(r"<human>.*?</human>", re.DOTALL), "<human></human>"),
    (re.compile(r"\b\d+(?:\.\d+)?(?:e-\d+)? ?(?:s|ms|us|sec|secs|seconds)\b"), "<time>"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "<address>"),
)
VERSION = 1
"""Of the recorded tapes that this version writes and reads."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TapeUsage(_Frozen):
    """What an answer took, as the tape states it."""

    input_tokens: Annotated[int, Field(ge=0)] = 0
    output_tokens: Annotated[int, Field(ge=0)] = 0
    cache_write_tokens: Annotated[int, Field(ge=0)] = 0
    cache_read_tokens: Annotated[int, Field(ge=0)] = 0
    money: Annotated[int, Field(ge=0)] | None = None
    """Nano-dollars; None: unknown."""


class TapeEntry(_Frozen):
    """One answer, and the request that it belongs to."""

    thread: str
    turn: int
    model: str
    answer: tuple[dict[str, Any], ...]
    stop_reason: str = "tool_use"
    usage: TapeUsage = TapeUsage()
    seconds: Annotated[float, Field(ge=0)] = 0.0
    """How long the answer took; a replay does not wait for it."""
    pause: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Seconds that a replay waits before it answers."""
    request: str = ""
    """Hash of the request, on a recorded tape."""
    fixed: str = ""
    """Hash of system and tools, on a recorded tape."""
    new: tuple[dict[str, Any], ...] = ()
    """Messages that were added since the thread's last turn, on a recorded tape."""
    expects: tuple[str, ...] = ()
    """What the newest message must contain, on a tape that was written by hand."""


class Tape(_Frozen):
    """All answers of one run."""

    note: str = ""
    """What the tape says of itself."""
    entries: tuple[TapeEntry, ...]
    strict: bool


def load_tape(path: Path) -> Tape:
    """Read a tape.

    Raises:
        UsageError: there is no such file, or it is no tape.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix in {".yaml", ".yml"} and not text.startswith('{"crews_tape"'):
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            body = yaml.load(text, Loader=loader)  # noqa: S506 - one of the two safe loaders
            return Tape(note=body["note"], entries=tuple(body["answers"]), strict=False)
        return _recorded(text, path)
    except OSError as error:
        raise UsageError(f"the tape cannot be read: {error.strerror}", where=str(path)) from error
    except ValidationError as error:
        raise UsageError(f"this tape is not right: {_first(error)}", where=str(path)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise UsageError(f"this file is no tape: {error.problem}", where=where) from error
    except (ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UsageError(f"this file is no tape: {error}", where=str(path)) from error


def _recorded(text: str, path: Path) -> Tape:
    """A recorded tape: the header's line, then one line an answer."""
    first, *rest = text.split("\n")
    head = json.loads(first)
    if head["crews_tape"] != VERSION:
        raise ValueError(f"its version is {head['crews_tape']}, this one reads {VERSION}")
    entries: list[TapeEntry] = []
    for number, line in enumerate(rest, 2):
        try:
            entries += [TapeEntry.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            where = f"{path}:{number}"
            raise UsageError(f"this tape is not right: {_first(error)}", where=where) from error
    return Tape(note=head.get("note", ""), entries=tuple(entries), strict=True)


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and in which part."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def header(note: str) -> str:
    """First line of a recorded tape."""
    return dump({"crews_tape": VERSION, "note": note}) + "\n"


def steady(value: Any) -> str:
    """JSON of a request part, with what may differ from run to run masked."""
    return dump(_masked(value))


def _masked(value: Any) -> Any:
    """The value with every text in it masked; in the JSON itself an escape would hide where a word begins."""
    if isinstance(value, str):
        for pattern, mask in _VOLATILE:
            value = pattern.sub(mask, value)
        return value
    if isinstance(value, Mapping):
        return {k: _masked(v) for k, v in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_masked(v) for v in cast("Sequence[Any]", value)]
    return value


def digest(value: Any) -> str:
    """SHA-256 of a request part, what may differ from run to run left out."""
    return hashlib.sha256(steady(value).encode(errors="surrogatepass")).hexdigest()


def newest(messages: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
    """Messages since the last answer."""
    last = max((i for i, m in enumerate(messages) if m["role"] == "assistant"), default=-1)
    return messages[last + 1 :]


def find(tape: Tape, thread: str, turn: int, body: dict[str, Any]) -> TapeEntry:
    """The answer for a request.

    Raises:
        TapeMismatch: the tape has none for it; the message shows the difference.
    """
    here = [e for e in tape.entries if (e.thread, e.turn) == (thread, turn)]
    where = f"thread {thread}, turn {turn}"
    if not here:
        raise TapeMismatch("the tape ends before this request", where=where,
                           hint="record a new one with --record FILE")  # fmt: skip
    if tape.strict:
        wanted = digest(body)
        # The last one: an answer that was recorded and then lost in a crash was asked for again.
        for entry in reversed(here):
            if entry.request == wanted:
                return entry
        raise TapeMismatch(
            f"the request is not the one on the tape:\n{_difference(here[0], body)}",
            where=where,
            hint="the team, the goal or the files differ from those that were recorded",
        )
    text = _text(newest(tuple(body["messages"])))
    for entry in here:
        if all(part in text for part in entry.expects):
            return entry
    missing = [p for p in here[0].expects if p not in text]
    raise TapeMismatch(
        f"the request is not one that the tape was written for: its newest message does not contain "
        f"{', '.join(map(repr, missing))}; it is:\n{text[-2000:]}",
        where=where,
        hint="the team, the goal or the files differ from those that the tape was written for",
    )


def _text(messages: tuple[dict[str, Any], ...]) -> str:
    parts: list[str] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        parts += [str(b.get("text", b.get("content", ""))) for b in blocks]
    return "\n".join(parts)


def _difference(entry: TapeEntry, body: dict[str, Any]) -> str:
    """What changed, as a diff of the readable parts."""
    fixed = digest([body.get("system"), body.get("tools")])
    if fixed != entry.fixed:
        return "its system prompt or its tools are others: the team or the version of crews has changed"
    old = steady(list(entry.new)).replace("\\n", "\n").splitlines()
    new = steady(list(newest(tuple(body["messages"])))).replace("\\n", "\n").splitlines()
    lines = difflib.unified_diff(old, new, "on the tape", "now", lineterm="", n=2)
    return "\n".join(list(lines)[:60]) or "an earlier message of the thread differs"
