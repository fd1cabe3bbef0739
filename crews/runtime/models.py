"""What is a model asked, and what does an answer hold and cost?"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Protocol

from crews.records.store import dump

Block = dict[str, Any]
"""One content block of the Messages API, kept as it came."""
MARK: Block = {"type": "ephemeral"}
"""Cache mark: what stands before it need not be paid in full again."""
_NO_MESSAGES = '"messages":[]'
_SYSTEM, _STREAM = ',"system":[', ',"stream":true'
_HALF_A_PAIR = "\\ud"


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request, as the provider sees it, and where it belongs."""

    thread: str
    turn: int
    agent: str
    model: str
    system: str
    tools: tuple[Block, ...]
    messages: tuple[Block, ...]
    max_tokens: int
    forced_tool: str | None = None
    fallback: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    """The messages as JSON, each as `dump` writes it; empty: they are written with the request."""
    _around: dict[str, tuple[str, str] | None] = field(
        default_factory=dict[str, tuple[str, str] | None], init=False, repr=False, compare=False
    )
    """`_ends` by model: a request is both sent and kept as a digest."""

    def body(self, model: str = "") -> Block:
        """The request's JSON. One mark covers tools and system, one the newest turn.

        The mark on the newest turn is the API's own automatic one, at the top level, so that the bytes
        of earlier messages never change.
        """
        body: Block = {
            "model": model or self.model,
            "max_tokens": self.max_tokens,
            "system": [{"type": "text", "text": self.system, "cache_control": MARK}],
            "tools": list(self.tools),
            "messages": list(self.messages),
            "cache_control": MARK,
        }
        if not self.tools:
            del body["tools"]
        if self.forced_tool:
            body["tool_choice"] = {"type": "tool", "name": self.forced_tool}
        return body

    def text(self, model: str = "", *, streamed: bool = False) -> str:
        """The body as `dump` writes it, or the same with `stream`: in a long thread only what is new is written."""
        around = self._ends(model or self.model) if self.texts else None
        if around is None:
            return dump(self.body(model) | ({"stream": True} if streamed else {}))
        before, after = around
        if streamed:  # between the model, which cannot hold this, and the system prompt
            after = after.replace(_SYSTEM, _STREAM + _SYSTEM, 1)
        return f"{before}{','.join(self.texts)}{after}"

    def _ends(self, model: str) -> tuple[str, str] | None:
        """What stands before and after the messages; None: together with them it would be written otherwise."""
        if model not in self._around:
            # Keys are sorted, and what stands before the messages cannot hold this.
            before, found, after = dump(self.body(model) | {"messages": []}).partition(_NO_MESSAGES)
            # Half a surrogate pair anywhere changes how `dump` writes the whole.
            other = any(_HALF_A_PAIR in text for text in (before, after, *self.texts))
            self._around[model] = None if other else (before + found[:-1], found[-1] + after)
        return self._around[model]

    def counted(self, model: str) -> Block:
        """The JSON of a request that only counts what this one would read."""
        return {k: v for k, v in self.body(model).items() if k != "max_tokens"}

    def digest(self) -> str:
        """SHA-256 of what the provider sees."""
        return hashlib.sha256(self.text().encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One answer."""

    blocks: tuple[Block, ...]
    stop_reason: str
    model: str
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    money: int | None
    """Nano-dollars; None: no price is known."""
    seconds: float = 0.0


class OnRetry(Protocol):
    """Told before a request is tried again, or by another model."""

    def __call__(self, text: str, *, billed: bool) -> None:
        """What went wrong; `billed`: the attempt that failed may be billed. What it raises ends the request."""
        ...


class Model(Protocol):
    """Whoever answers: Claude, a tape, a recorder around either."""

    async def ask(self, request: ModelRequest, on_retry: OnRetry) -> ModelAnswer:
        """Answer one request.

        Raises:
            ModelAuthError: the credentials were refused.
            ModelError: every retry and every fallback failed; it says whether the last attempt may be billed.
        """
        ...

    async def count(self, request: ModelRequest) -> int | None:
        """The most tokens that the request reads, by any of its models; None: that cannot be told."""
        ...
