"""Is everything secret that the settings hold found, wherever an address hides it?"""

from __future__ import annotations

import pytest

from crews.safety.own_secrets import own_secrets, target_secrets
from crews.safety.redact import Redactor
from crews.settings import NotifyTarget, Settings


def target(url: str, secret: str | None = None) -> NotifyTarget:
    return NotifyTarget.model_validate({"url": url, "secret": secret})


@pytest.mark.parametrize(
    ("url", "token"),
    [
        ("https://hooks.example.com/services/T0001/B0001/abcdEFGHijklMNOPqrst", "abcdEFGHijklMNOPqrst"),
        ("slack://botname@T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "TIiajkdnlazkcOXrIdevi7FQ"),
        ("mailto://ann:p%40ssw0rd@example.com", "p@ssw0rd"),
        ("mailtos://ann:geheim@example.com?from=x", "geheim"),
        ("https://example.com/hook?key=0123456789", "0123456789"),
        ("https://example.com/hook#0123456789", "0123456789"),
        ("https://[::1/0123456789", "0123456789"),
    ],
)  # fmt: skip
def test_a_token_is_found_in_every_part_of_an_address(url: str, token: str) -> None:
    found = target_secrets(target(url))
    assert {url, token} <= set(found)
    redactor = Redactor({str(n): one for n, one in enumerate(found)})
    assert token not in redactor.text(f"the service said: {token} is unknown")


def test_words_of_an_address_are_no_secrets() -> None:
    found = target_secrets(target("https://hooks.example.com/services/hook"))
    assert found == ("https://hooks.example.com/services/hook",)


def test_all_the_settings_secrets_are_known_by_name() -> None:
    settings = Settings.model_validate({
        "api_key": "sk-1234567", "auth_token": "bearer-123", "token": "crw_123456",
        "database_url": "postgresql://me:pa55word@db/crews",
        "notify": {"ops": {"url": "https://example.com/hook", "secret": "whsec_abcdef"}},
    })  # fmt: skip
    assert own_secrets(settings, {"DEPLOY_TOKEN": "hunter2-hunter2", "PWD": "/tmp"}) == {
        "DEPLOY_TOKEN": "hunter2-hunter2",
        "ANTHROPIC_API_KEY": "sk-1234567",
        "ANTHROPIC_AUTH_TOKEN": "bearer-123",
        "CREWS_TOKEN": "crw_123456",
        "CREWS_DATABASE_URL": "pa55word",
        "notify-ops-0": "https://example.com/hook",
        "notify-ops-1": "whsec_abcdef",
    }
