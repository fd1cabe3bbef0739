"""How does a notice reach its target, and what came back? A signed webhook, or a service by `apprise`."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from crews.errors import UsageError
from crews.notify.notice import Notice, headline, words
from crews.plain import one_line
from crews.safety.own_secrets import target_secrets
from crews.safety.redact import Redactor
from crews.settings import NotifyTarget

if TYPE_CHECKING:
    import ssl

    import apprise
    import httpx2

SECONDS = 10.0
"""How long one attempt may take, all in all."""
KEPT = 200
"""Characters of an error that are kept."""

_said: ContextVar[list[str] | None] = ContextVar("crews_notify_said", default=None)
"""What libraries have complained of during this attempt; None: nothing is being sent here."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `text` holds none of the target's secrets."""

    sent: bool
    text: str
    over: bool = False
    """The receiver wants no more of it: do not try again."""


def is_webhook(target: NotifyTarget) -> bool:
    """Is it a plain address that gets JSON, not one that only `apprise` understands?"""
    return target.url.get_secret_value().lower().startswith(("https://", "http://"))


async def send(
    target: NotifyTarget, delivery: str, body: str, *, seconds: float = SECONDS
) -> Answer:
    """Try once.

    Args:
        target: Where to.
        delivery: The delivery's id, the same for each attempt.
        body: A `Notice` as JSON; a webhook gets these very bytes.
        seconds: How long it may take.
    """
    redactor = Redactor({f"notify-{n}": s for n, s in enumerate(target_secrets(target))})
    try:
        with _unlogged():
            async with asyncio.timeout(seconds):
                way = _post if is_webhook(target) else _tell
                answer = await way(target, delivery, body, seconds)
    except TimeoutError:
        answer = Answer(sent=False, text=f"no answer within {seconds:g} s")
    except UsageError as error:
        return Answer(sent=False, text=f"{error.what}; {error.hint}")
    except Exception as error:  # noqa: BLE001  # a service's own code may raise anything; others wait their turn
        answer = Answer(sent=False, text=f"{type(error).__name__}: {error}")
    # Redacted before it is cut: half a secret is not known for one.
    return Answer(answer.sent, one_line(redactor.text(answer.text), KEPT), answer.over)


async def _post(target: NotifyTarget, delivery: str, body: str, seconds: float) -> Answer:
    import httpx2

    headers = _headers(target, delivery, body)
    url = target.url.get_secret_value()
    client = httpx2.AsyncClient(timeout=seconds, follow_redirects=False, verify=_trusted())
    async with (
        client,
        client.stream("POST", url, content=body.encode(), headers=headers) as response,
    ):
        if response.is_success:
            return Answer(sent=True, text=f"HTTP {response.status_code}")
        said = await _beginning(response)
    gone = response.status_code == HTTPStatus.GONE
    return Answer(sent=False, text=f"HTTP {response.status_code} {said}", over=gone)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates count; read once a process, for it takes longer than all else here."""
    import httpx2

    return httpx2.create_ssl_context()


async def _beginning(response: httpx2.Response) -> str:
    """The first part of what an error says; undecoded, so that it cannot grow."""
    async for chunk in response.aiter_raw(1024):
        return chunk.decode("utf-8", "replace")
    return ""


def _headers(target: NotifyTarget, delivery: str, body: str) -> dict[str, str]:
    """Standard Webhooks' headers, signed where there is a secret: https://www.standardwebhooks.com."""
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "accept-encoding": "identity",
        "user-agent": "crews",
        "webhook-id": delivery,
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if target.secret is not None:
        headers["webhook-signature"] = _signature(
            target.secret.get_secret_value(), delivery, now, body
        )
    return headers


def _signature(secret: str, delivery: str, now: datetime, body: str) -> str:
    from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

    try:
        return Webhook(secret).sign(delivery, now, body)
    except (ValueError, EmptyWebhookSecretError):
        raise UsageError(
            "the signing secret of this target cannot be used",
            hint='it is `whsec_` and base64: python -c "import base64, os; '
            "print('whsec_' + base64.b64encode(os.urandom(24)).decode())\"",
        ) from None


async def _tell(target: NotifyTarget, delivery: str, body: str, seconds: float) -> Answer:
    del delivery
    service = _service(target)
    notice = Notice.model_validate_json(body)
    result = await service.async_notify(body=words(notice), title=headline(notice), timeout=seconds)
    if result:
        return Answer(sent=True, text="accepted")
    said = "; ".join(_said.get() or ())
    return Answer(sent=False, text=said or "the service did not take it")


def _service(target: NotifyTarget) -> apprise.Apprise:
    try:
        import apprise
    except ImportError:
        raise UsageError(
            "addresses other than http and https need the package `apprise`",
            hint='pip install "crews[notify]"',
        ) from None
    service = apprise.Apprise()
    url = target.url.get_secret_value()
    if not service.add(url):  # pyright: ignore[reportUnknownMemberType]  # its own types are incomplete
        raise UsageError(
            "this is no address that `apprise` understands",
            hint="https://appriseit.com lists them; a webhook begins with https://",
        )
    return service


class _Aside(logging.Filter):
    """Libraries log the addresses that they call, and those hold tokens: what they say stays here."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what has nothing to do with a notification."""
        said = _said.get()
        if said is not None and record.levelno >= logging.WARNING:
            said.append(record.getMessage())
        return said is None


_ASIDE = _Aside()


@contextmanager
def _unlogged() -> Generator[None]:
    for name in ("httpx2", "apprise", "urllib3.connectionpool"):
        logging.getLogger(name).addFilter(_ASIDE)  # a second time changes nothing
    token = _said.set([])
    try:
        yield
    finally:
        _said.reset(token)
