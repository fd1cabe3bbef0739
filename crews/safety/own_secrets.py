"""Which secrets does this process hold itself, so that they can be taken out of what it writes?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from crews.safety.redact import Redactor, known_secrets
from crews.settings import NotifyTarget, Settings, WebhookCopy

if TYPE_CHECKING:
    from crews.safety.personal import Personal

LONG = 16
"""Characters from which a part of an address is taken for a token, whatever it consists of."""
TOKEN = 8
"""The same for a part that holds a digit."""
_HOST = re.compile(r"(?:[a-z0-9-]+\.)+[a-z]{2,}|\d+\.\d+\.\d+\.\d+")
"""What a log may well say: whom a message went to."""


def own_secrets(settings: Settings, environ: Mapping[str, str]) -> Mapping[str, str]:
    """Name -> value of the secrets in the settings and in the environment."""
    found = dict(_known_in(tuple(environ.items())))
    single = {
        "ANTHROPIC_API_KEY": settings.api_key,
        "ANTHROPIC_AUTH_TOKEN": settings.auth_token,
        "CREWS_TOKEN": settings.token,
        "CREWS_AUDIT_KEY": settings.audit_key,
    }
    found |= {name: value.get_secret_value() for name, value in single.items() if value}
    found |= known_secrets({"CREWS_DATABASE_URL": settings.database_url})
    for name, target in settings.notify.items():
        found |= {f"notify-{name}-{n}": part for n, part in enumerate(target_secrets(target))}
    for name, copy in settings.audit.targets.items():
        if isinstance(copy, WebhookCopy):
            found |= {f"{name}-{n}": part for n, part in enumerate(target_secrets(copy))}
    return found


@lru_cache(maxsize=4)
def _known_in(environ: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """The environment hardly ever changes, and every run asks several times."""
    return known_secrets(dict(environ))


def redactor_for(settings: Settings, environ: Mapping[str, str]) -> Redactor:
    """Takes the secrets in the settings and in the environment out of texts.

    Raises:
        UsageError: personal data is to be taken out as well, and what that needs is not installed.
    """
    return _redactor(tuple(own_secrets(settings, environ).items()), _personal(settings))


@lru_cache(maxsize=8)
def _redactor(secrets: tuple[tuple[str, str], ...], personal: Personal | None) -> Redactor:
    return Redactor(dict(secrets), personal)


def outward_redactor(settings: Settings) -> Redactor | None:
    """Takes personal data out of texts whose known secrets are gone; None: the settings do not ask for it.

    Raises:
        UsageError: what that needs is not installed.
    """
    personal = _personal(settings)
    return None if personal is None else Redactor({}, personal)


def _personal(settings: Settings) -> Personal | None:
    if not settings.redact_personal_data:
        return None
    from crews.safety.personal import personal_data

    return personal_data(settings.personal_names_model)


def target_secrets(target: NotifyTarget | WebhookCopy) -> tuple[str, ...]:
    """What must not be told of a target: its address, the parts of it that are tokens, its signing secret."""
    url = target.url.get_secret_value()
    secret = () if target.secret is None else (target.secret.get_secret_value(),)
    return tuple(dict.fromkeys((url, *_tokens(url), *secret)))


def _tokens(url: str) -> Iterator[str]:
    """Services put their tokens into the path, the query, or where other addresses have the host."""
    _, _, rest = url.partition("://")
    if password := _password(url):
        yield password
    for part in re.split(r"[/?&=#@:]", rest):
        for spelt in (part, unquote(part)):
            digits = any(c.isdigit() for c in spelt)
            long = len(spelt) >= LONG or (len(spelt) >= TOKEN and digits)
            if long and not _HOST.fullmatch(spelt):
                yield spelt


def _password(url: str) -> str:
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""
