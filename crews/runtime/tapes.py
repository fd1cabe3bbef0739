"""Who answers when a tape does, and who writes one down?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from crews.errors import UsageError
from crews.records import tape
from crews.records.store import dump
from crews.records.tape import TapeEntry, TapeUsage, load_tape
from crews.runtime.models import Block, Model, ModelAnswer, ModelRequest, OnRetry
from crews.safety.redact import Redactor


class Player:
    """Answers from a tape."""

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self._tape = load_tape(path)
        self._redactor = redactor

    async def ask(self, request: ModelRequest, on_retry: OnRetry) -> ModelAnswer:
        """The answer on the tape; TapeMismatch if there is none for this request."""
        del on_retry
        body = _without_secrets(self._redactor, request.body())
        entry = tape.find(self._tape, request.thread, request.turn, body)
        await asyncio.sleep(entry.pause)
        return ModelAnswer(
            blocks=entry.answer,
            stop_reason=entry.stop_reason,
            model=entry.model,
            input_tokens=entry.usage.input_tokens,
            output_tokens=entry.usage.output_tokens,
            cache_write_tokens=entry.usage.cache_write_tokens,
            cache_read_tokens=entry.usage.cache_read_tokens,
            money=entry.usage.money,
            seconds=entry.seconds,
        )

    async def count(self, request: ModelRequest) -> int | None:
        """What the answer on the tape says that its request read."""
        body = _without_secrets(self._redactor, request.body())
        used = tape.find(self._tape, request.thread, request.turn, body).usage
        return used.input_tokens + used.cache_write_tokens + used.cache_read_tokens


class Recorder:
    """Asks another model and writes its answers to a tape, secrets replaced."""

    def __init__(self, inner: Model, path: Path, redactor: Redactor, note: str) -> None:
        self._inner = inner
        self._path = path
        self._redactor = redactor
        if not path.exists() or not path.stat().st_size:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(tape.header(note), encoding="utf-8")
        elif not load_tape(path).strict:
            raise UsageError(
                "this tape was written by hand; record to another file", where=str(path)
            )

    async def ask(self, request: ModelRequest, on_retry: OnRetry) -> ModelAnswer:
        """Ask, then write the answer down."""
        answer = await self._inner.ask(request, on_retry)
        entry = entry_of(request, answer, self._redactor)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(dump(entry) + "\n")
        return answer

    async def count(self, request: ModelRequest) -> int | None:
        """See `Model`."""
        return await self._inner.count(request)


def entry_of(request: ModelRequest, answer: ModelAnswer, redactor: Redactor) -> TapeEntry:
    """What a tape keeps of a request and its answer."""
    body = _without_secrets(redactor, request.body())
    return TapeEntry(
        thread=request.thread,
        turn=request.turn,
        model=answer.model,
        answer=tuple(_without_secrets(redactor, b) for b in answer.blocks),
        stop_reason=answer.stop_reason,
        usage=TapeUsage(
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cache_write_tokens=answer.cache_write_tokens,
            cache_read_tokens=answer.cache_read_tokens,
            money=answer.money,
        ),
        seconds=round(answer.seconds, 3),
        request=tape.digest(body),
        fixed=tape.digest([body.get("system"), body.get("tools")]),
        new=tape.newest(tuple(body["messages"])),
    )


def _without_secrets(redactor: Redactor, value: Block) -> Block:
    """What a tape may hold of a request or an answer.

    A request is compared without its secrets too: on a replay the earlier answers in it are the tape's.
    """
    return cast("Block", redactor.outward_json(value))
