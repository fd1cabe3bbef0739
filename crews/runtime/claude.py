"""How is Claude asked, or any endpoint that speaks the Messages API?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from crews.errors import KeyMissing, ModelAuthError, ModelError
from crews.runtime import attempts
from crews.runtime.models import ModelAnswer, ModelRequest, OnRetry
from crews.runtime.prices import price
from crews.runtime.streamed import BrokenStream, Message, read
from crews.settings import Settings

if TYPE_CHECKING:
    import ssl

    import httpx2
    from anthropic import AsyncAnthropic, AsyncStream
    from pydantic import SecretStr

MESSAGES = b"v1/messages"
BROKEN_STREAMS = 2
"""How often an answer that broke off is asked for again; before its first byte the SDK retries itself."""
HEADSTART = 0.05
"""Seconds in which a request is sent, once there is a connection for it."""
COUNT_MARGIN = 50
"""A provider's count may be off "by a small amount": so many tokens, and the count's part of so many."""


class Claude:
    """Any endpoint that speaks the Messages API, by the `anthropic` SDK, streaming."""

    def __init__(self, client: AsyncAnthropic) -> None:
        self._client = client
        base = client.base_url
        # Where an address is whole, the SDK puts none together for each request.
        self._messages = str(base.copy_with(raw_path=base.raw_path + MESSAGES))

    async def aclose(self) -> None:
        """Give the connections back."""
        await self._client.close()

    async def ask(self, request: ModelRequest, on_retry: OnRetry) -> ModelAnswer:
        """Answer one request; see `Model`."""
        errors: list[str] = []
        billed = False
        models = (request.model, *request.fallback)
        for number, model in enumerate(models, 1):
            try:
                return await self._retrying(request, model, on_retry)
            except ModelError as error:
                errors.append(f"{model}: {error.what}")
                billed = error.billed
                on_retry(errors[-1], billed=billed and number < len(models))
        raise ModelError(
            "no model answered: " + "; ".join(errors),
            billed=billed,
            hint="try again later: the run keeps its place",
        )

    async def count(self, request: ModelRequest) -> int | None:
        """By the provider, which calls it an estimate: hence a margin."""
        import anthropic

        try:
            found = [
                (await self._client.messages.count_tokens(**request.counted(model))).input_tokens
                for model in (request.model, *request.fallback)
            ]
        except (anthropic.AnthropicError, ValueError, RuntimeError, OSError):
            return None  # an endpoint that cannot tell, or is away
        return max(found) + max(found) // COUNT_MARGIN + COUNT_MARGIN

    async def _retrying(self, request: ModelRequest, model: str, on_retry: OnRetry) -> ModelAnswer:
        for attempt in range(BROKEN_STREAMS + 1):
            try:
                return await self._once(request, model)
            except BrokenStream as error:
                again = attempt < BROKEN_STREAMS
                on_retry(f"{model}: {error}", billed=again)
                if again:
                    await asyncio.sleep(0.5 * 2**attempt)
        raise ModelError("the answer broke off every time", billed=True)

    async def _once(self, request: ModelRequest, model: str) -> ModelAnswer:
        began, answered = time.monotonic(), False
        with attempts.counted() as made:
            try:
                async with await self._stream(request.text(model, streamed=True)) as stream:
                    answered = True
                    message = await read(stream.response.aiter_bytes(), request.max_tokens)
                    return _answer(message, model, time.monotonic() - began)
            except (ModelError, BrokenStream):
                raise
            except Exception as error:
                # What goes wrong with an answer that has begun, whatever it is, is the answer's fault.
                known = _meaning(error, sent=made.unheard > 0)
                known = known or (BrokenStream(_short(error)) if answered else None)
                if known is None:
                    raise
                raise known from error

    async def _stream(self, body: str) -> AsyncStream[object]:
        """The answer, as it comes: `messages.stream` makes objects of each event, and copies every message.

        The SDK does the rest: credentials, retries, errors.
        """
        from anthropic import AsyncStream

        return await self._client.post(
            self._messages,
            content=body.encode(),
            cast_to=object,
            stream=True,
            stream_cls=AsyncStream[object],
        )


def _meaning(error: Exception, *, sent: bool) -> Exception | None:
    """What an error of the SDK, or of the HTTP library under it, says of the request; None: nothing.

    `sent`: an attempt before the last one was sent, and not heard of again.
    """
    import anthropic

    match error:
        case anthropic.AuthenticationError() | anthropic.PermissionDeniedError() if not sent:
            return ModelAuthError(
                f"the model's endpoint refused the key: {_short(error)}",
                hint="check ANTHROPIC_API_KEY (and ANTHROPIC_BASE_URL, if it is set)",
            )
        # One below 400 is no refusal.
        case anthropic.APIStatusError() if error.status_code >= 400:
            return ModelError(_short(error), billed=sent)
        case anthropic.APIConnectionError():
            unsent = type(error.__cause__).__name__ in _UNSENT and not sent
            return ModelError(f"cannot be reached: {_short(error)}", billed=not unsent)
        case anthropic.AnthropicError() | ValueError() | RuntimeError() | OSError():
            return BrokenStream(_short(error))
        case _:
            library = type(error).__module__.partition(".")[0]
            return BrokenStream(_short(error)) if library in _HTTP_LIBRARIES else None


_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"})
"""Errors of these libraries that come before a request is sent: nobody can have answered it."""
_HTTP_LIBRARIES = frozenset({"httpx", "httpcore", "httpx2", "httpcore2", "h11", "aiohttp"})
"""Libraries whose errors, met while an answer is read, mean that it broke off."""


def _short(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]


def _answer(message: Message, model: str, seconds: float) -> ModelAnswer:
    usage = message.usage
    kept, found = usage.cache_creation_input_tokens, usage.cache_read_input_tokens
    return ModelAnswer(
        blocks=message.blocks,
        stop_reason=message.stop_reason,
        model=model,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_write_tokens=kept,
        cache_read_tokens=found,
        money=price(model, usage.input_tokens, usage.output_tokens, kept, found),
        seconds=seconds,
    )


@dataclass(slots=True)
class ModelSource:
    """Makes the run's model when it is first needed: importing the SDK costs more than a run's rest."""

    settings: Settings
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first request has been sent."""
    _client: list[Claude] = field(default_factory=list[Claude])
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def check(self) -> None:
        """Raise KeyMissing where no model could be asked."""
        s = self.settings
        if not (_value(s.api_key) or _value(s.auth_token) or s.base_url):
            raise KeyMissing(
                "no model can be asked: there is no key, no endpoint and no tape",
                hint=(
                    "do one of these:\n"
                    "    export ANTHROPIC_API_KEY=...        a key for Claude\n"
                    "    export ANTHROPIC_BASE_URL=http://localhost:11434   any endpoint that speaks the "
                    "Messages API\n"
                    "    crews run ... --tape FILE           replay a recorded run (see `crews demo`)"
                ),
            )

    async def ask(self, request: ModelRequest, on_retry: OnRetry) -> ModelAnswer:
        """Answer one request; see `Model`."""
        return await (await self._connected()).ask(request, on_retry)

    async def count(self, request: ModelRequest) -> int | None:
        """See `Model`."""
        return await (await self._connected()).count(request)

    async def _connected(self) -> Claude:
        async with self._connecting:  # agents that begin at once share one client
            if not self._client:
                self._client.append(await asyncio.to_thread(self._connect))
        return self._client[0]

    async def aclose(self) -> None:
        """Give the connections back, if there are any."""
        while self._client:
            await self._client.pop().aclose()

    def _connect(self) -> Claude:
        self.check()
        from anthropic import AsyncAnthropic

        s = self.settings
        # An endpoint of the user's own may want no key at all, but the SDK wants to send one.
        key, token = _value(s.api_key), _value(s.auth_token)
        if key is None and token is None:
            key = "none"
        url = s.base_url or None
        http = _http(url or "", self._sending)
        client = AsyncAnthropic(
            api_key=key, auth_token=token, base_url=url, max_retries=4, http_client=http
        )
        return Claude(client)

    async def _sending(self, request: object) -> None:
        """What waits for the first request goes on a moment later: it must not hold the sending up."""
        asyncio.get_running_loop().call_later(HEADSTART, self.asked.set)


def _http(url: str, sending: Callable[[object], Awaitable[None]]) -> httpx2.AsyncClient:
    """What sends the requests of one run."""
    from anthropic import DefaultAsyncHttpxClient

    hooks = {"request": [sending]}
    if _by_proxy(url):  # of which `httpx2` knows more kinds
        return DefaultAsyncHttpxClient(verify=_certificates(), event_hooks=hooks)
    from crews.runtime.transport import Transport

    if not url.startswith("http://"):
        _certificates()  # here, where it holds nobody up
    return DefaultAsyncHttpxClient(transport=Transport(_certificates), event_hooks=hooks)


def _by_proxy(url: str) -> bool:
    """Whether there may be a proxy between here and the endpoint; one without an address is the SDK's own."""
    proxied = getproxies().keys() & {"http", "https", "all"}
    return bool(proxied) and not proxy_bypass(urlsplit(url).hostname or "")


@cache
def _certificates() -> ssl.SSLContext:
    """Whom connections trust; read once, since it takes longer than several turns of a run."""
    from httpx2 import create_ssl_context

    return create_ssl_context()


def _value(secret: SecretStr | None) -> str | None:
    """The secret; a variable that is set to nothing holds none."""
    return (secret.get_secret_value() or None) if secret else None
