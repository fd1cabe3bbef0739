"""Is every known secret gone, in every encoding, and does text that is none stay as it was?"""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from crews.safety.redact import MIN_LENGTH, Redactor, known_secrets

SECRET = "p/a+s s&w\"o'r=d\\1?é"
VALUES = {"DB_PASSWORD": SECRET}


def encodings(value: str) -> list[str]:
    raw = value.encode()
    return [
        value,
        raw.hex(),
        raw.hex().upper(),
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        re.sub("%..", lambda match: match[0].lower(), quote(value, safe="")),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps({"a": value})),
        html.escape(value),
        repr(value)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        base64.b64encode(raw).decode().rstrip("="),
    ]


@pytest.mark.parametrize("form", range(6))
def test_a_known_value_goes_in_each_form(form: int) -> None:
    text = encodings(SECRET)[form]

    assert Redactor(VALUES).text(f"x {text} y") == "x [redacted:DB_PASSWORD] y"


@given(
    st.text(st.characters(codec="utf-8"), min_size=MIN_LENGTH, max_size=40),
    st.text(max_size=20),
    st.text(max_size=20),
)
@example("redacted", "", "")
@example("DB_PASSWORD", "", "")
@example("password", "password='abcdefg1'", "")
@example("secret]", "token=", "")
def test_no_encoding_of_a_known_value_is_left(value: str, before: str, after: str) -> None:
    assume(len(value.strip()) >= MIN_LENGTH and value.strip() not in "[redacted:")
    redactor = Redactor({"DB_PASSWORD": value})
    value = value.strip()

    for form in encodings(value):
        clean = redactor.text(f"{before}{form}{after}")
        assert value not in clean
        assert form.rstrip("=") not in clean
        assert redactor.text(clean) == clean


@given(st.binary(max_size=7), st.binary(max_size=7))
def test_a_value_inside_longer_base64_goes(before: bytes, after: bytes) -> None:
    value = "kX93-Lq0_zzT"
    encoded = base64.b64encode(before + value.encode() + after).decode()

    clean = Redactor({"A": value}).text(encoded)

    assert "[redacted:A]" in clean
    assert value.encode() not in base64.b64decode(clean.split("[")[0] + "==")


@given(
    st.lists(st.sampled_from(["abcdef1", "ef1xyz9", "[redacted:", "A]", "B]", "token=", " ", "="]))
)
def test_overlapping_values_and_forged_replacements(parts: list[str]) -> None:
    redactor = Redactor({"A": "abcdef1", "B": "ef1xyz9", "C": "A]ef1"})

    clean = redactor.text("".join(parts))

    assert not any(value in clean for value in ("abcdef1", "ef1xyz9"))
    assert redactor.text(clean) == clean


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "aws-key"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws-secret"),
        ("ghp_" + "a1B2" * 9, "github-token"),
        ("github_pat_" + "a1B2" * 9, "github-token"),
        ("glpat-" + "a1B2" * 5, "gitlab-token"),
        ("glpat-" + "a1B2" * 12 + ".01.1a2b3c4d5", "gitlab-token"),
        ("glagent-" + "a1B2" * 12, "gitlab-token"),
        ("dckr_pat_" + "a1B2-_x" * 4, "docker-token"),
        ("dckr_oat_" + "a1B2-_x" * 5, "docker-token"),
        ("ASIAIOSFODNN7EXAMPLE", "aws-key"),
        ("ABSK" + "a1B2" * 30 + "=", "aws-key"),
        ("AGE-SECRET-KEY-1" + "Q3ZL" * 15, "age-key"),
        ("xoxe.xoxp-1-" + "A1B2" * 40, "slack-token"),
        ("xapp-1-A0123-456-" + "a1b2" * 10, "slack-token"),
        ("rk_prod_" + "a1B2" * 6, "stripe-key"),
        ("sk-or-v1-" + "a1b2" * 16, "openai-key"),
        ("gsk_" + "a1B2" * 13, "service-token"),
        ("xai-" + "a1B2" * 20, "service-token"),
        ("lsv2_pt_" + "a1b2" * 8 + "_0123456789", "service-token"),
        ("sntrys_eyJpYXQiOjE3" + "a1B2" * 20 + "_" + "a1B2" * 10, "service-token"),
        ("ATATT3xFfGF0" + "a1B2-_=" * 20, "service-token"),
        ("dp.pt." + "a1B2" * 10, "service-token"),
        ("xoxb-123456789012-abcdefABCDEF", "slack-token"),
        ("https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXXXXXX", "slack-webhook"),
        ("sk_live_" + "a1B2" * 6, "stripe-key"),
        ("sk-ant-api03-" + "a1B2" * 10, "anthropic-key"),
        ("sk-proj-" + "a1B2" * 10, "openai-key"),
        ("AIza" + "a1B2c" * 7, "google-key"),
        ("GOCSPX-" + "a1B2" * 7, "google-oauth"),
        ("npm_" + "a1B2" * 9, "npm-token"),
        ("pypi-AgEIcHlwaS5vcmc" + "a1B2" * 20, "pypi-token"),
        ("SG." + "a1B2c3" * 4 + "." + "a1B2" * 11, "sendgrid-key"),
        ("SK" + "0a" * 16, "twilio-key"),
        ("dop_v1_" + "0a" * 32, "digitalocean-token"),
        ("hf_" + "aB" * 17, "huggingface-token"),
        ("dapi" + "0a" * 16, "databricks-token"),
        ("shpat_" + "0a" * 16, "shopify-token"),
        ("123456789:AA" + "a1B2c" * 6 + "xyz", "telegram-token"),
        ("hvs." + "a1B2" * 8, "vault-token"),
        ("AccountKey=" + "a1B2" * 20 + "==", "azure-key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijk_-1", "jwt"),
        ("postgres://bob:hunter22@db/x", "url-password"),
        ("Authorization: Bearer abcdef0123456789abcdef", "authorization"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----",
            "private-key",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk", "private-key"),
        ('{"password": "hunter22"}', "password"),
        ("API_KEY=abc123abc123abc1", "password"),
    ],
)
def test_text_that_is_shaped_like_a_secret_goes(text: str, name: str) -> None:
    redactor = Redactor()

    clean = redactor.text(f"before {text} after")

    assert f"[redacted:{name}]" in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert redactor.text(clean) == clean


@pytest.mark.parametrize(
    "code",
    [
        "password = request.form['password']",
        "token = make_token(user, expires=3600)",
        "def check(password: str, secret_key: bytes) -> bool:",
        'raise ValueError("no password")',
        "sk-learn is a library, and task-management-with-many-words too",
        "https://example.org/a:b@c",
        "key = 'primary'",
        "git commit 3f786850e387550fdaa836ed7e6dc881de23001b",
        "basic authentication-with-words-only",
        "the pul-sating xai-library-for-explaining-all-of-the-models, glc_and_other_names_in_a_row",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_code_and_prose_stay(code: str) -> None:
    assert Redactor().text(code) == code


def test_json_is_redacted_in_strings_keys_and_numbers() -> None:
    redactor = Redactor({"PIN": "12345678"})

    clean = redactor.json(
        {"a": ["x 12345678", 12345678, 1.5, None, True], "12345678": 1, "password": "short1"}
    )

    assert clean == {
        "a": ["x [redacted:PIN]", "[redacted:PIN]", 1.5, None, True],
        "[redacted:PIN]": 1,
        "password": "[redacted:password]",
    }
    assert redactor.json(clean) == clean


def test_each_line_of_a_key_file_goes_on_its_own() -> None:
    value = "first-line-of-the-key\nsecond-line-of-the-key\nend"

    clean = Redactor({"K": value}).text("log: second-line-of-the-key and end")

    assert clean == "log: [redacted:K] and end"


def test_short_values_are_left() -> None:
    assert Redactor({"A": "abc"}).text("abc") == "abc"


def test_which_variables_hold_secrets() -> None:
    environ = {
        "ANTHROPIC_API_KEY": "k-123456",
        "GITHUB_TOKEN": "t-123456",
        "MYAPIKEY": "a-123456",
        "DB_PASSWORD": "hunter22",
        "AWS_CREDENTIALS": "c-123456",
        "DATABASE_URL": "postgres://bob:hunter23@db/x",
        "PWD": "/home/bob",
        "SSH_AUTH_SOCK": "/tmp/x",
        "KEY_FILE": "/etc/key",
        "KEYBOARD": "us-layout",
        "PATH": "/usr/bin",
        "USE_AUTH": "true",
        "TOKEN_LIMIT": "4096",
    }

    assert known_secrets(environ) == {
        "ANTHROPIC_API_KEY": "k-123456",
        "GITHUB_TOKEN": "t-123456",
        "MYAPIKEY": "a-123456",
        "DB_PASSWORD": "hunter22",
        "AWS_CREDENTIALS": "c-123456",
        "DATABASE_URL": "hunter23",
    }
