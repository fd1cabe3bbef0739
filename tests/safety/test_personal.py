"""Is personal data found by its form and checksum, in any amount, and refused to go out where that cannot be told?"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from crews.errors import UsageError
from crews.safety.own_secrets import redactor_for
from crews.safety.personal import NUMBERS, Personal, personal_data
from crews.safety.redact import Redactor
from crews.settings import Settings

FOUND = {
    "ann.lee@example.org": "email-address",
    "ann@intranet.corp": "email-address",
    "ann%40example.org": "email-address",
    "+49 170 1234567": "phone-number",
    "(212) 555-0123": "phone-number",
    "4111 1111 1111 1111": "credit-card",
    "4111111111111111": "credit-card",
    "DE89 3704 0044 0532 0130 00": "iban",
    "536-90-4399": "us-ssn",
    "192.168.7.20": "ip-address",
    "2001:db8::ff00:42:8329": "ip-address",
}
KEPT = (
    "4111 1111 1111 1112", "DE88 3704 0044 0532 0130 00", "000-90-4399", "127.0.0.1", "::1",
    "std::vector", "@dataclass", "2026-11-29T01:12:24.838257582Z", "12:34:56", "0.333333333",
    "run egu2gpjv", "10,000,000", "d41d8cd9-8f00-b204-e980-0998ecf84270", "v1.2.3", "Ada Lovelace",
    "6714a41296146783cf63847584035d0a9820c9ee39b29b22d10b30f593eb6fa7",
)  # fmt: skip


def redactor(**secrets: str) -> Redactor:
    return Redactor(secrets, personal_data(""))


@pytest.mark.parametrize(("value", "name"), FOUND.items())
def test_what_says_who_somebody_is_goes(value: str, name: str) -> None:
    text = f"it is {value}, as they wrote"
    assert redactor().outward(text) == f"it is [redacted:{name}], as they wrote"


@pytest.mark.parametrize("value", KEPT)
def test_what_only_looks_alike_stays(value: str) -> None:
    text = f"it is {value}, as they wrote"
    assert redactor().outward(text) == text


def test_it_goes_wherever_it_stands_in_a_long_text() -> None:
    for length in (0, 795, 995, 3000):
        text = "a." * length + " ann@example.org " + "+1 " * length + "x 4111111111111111"
        clean = redactor().outward(text)
        assert "ann@" not in clean
        assert "4111111111111111" not in clean


def test_it_goes_from_json_and_times_and_amounts_stay() -> None:
    value: Any = {
        "to": ["ann@example.org"], "card": 4111111111111111, "at": 1764378744.838257,
        "ms": 1764378744838, "n": 3102, "yes": True, "bob@example.org": None,
    }  # fmt: skip
    assert redactor().outward_json(value) == {
        "to": ["[redacted:email-address]"], "card": "[redacted:credit-card]",
        "at": 1764378744.838257, "ms": 1764378744838, "n": 3102, "yes": True,
        "[redacted:email-address]": None,
    }  # fmt: skip


def test_secrets_go_as_before_and_twice_changes_nothing() -> None:
    mine = redactor(DEPLOY_KEY="hunter2-hunter2")
    text = "hunter2-hunter2 of ann@example.org, password='abcd1234efgh' 536-90-4399"
    once = mine.outward(text)
    assert once == (
        "[redacted:DEPLOY_KEY] of [redacted:email-address], "
        "password='[redacted:password]' [redacted:us-ssn]"
    )
    assert mine.outward(once) == once


def test_who_works_or_decides_sees_the_true_value_and_a_redaction_is_no_secret() -> None:
    mine = redactor(DEPLOY_KEY="hunter2-hunter2")
    assert mine.text("mail ann@example.org") == "mail ann@example.org"
    assert mine.json({"to": "ann@example.org", "n": 4111111111111111}) == {
        "to": "ann@example.org", "n": 4111111111111111,
    }  # fmt: skip
    assert not mine.marked(mine.outward("mail ann@example.org"))
    assert mine.marked(mine.outward("hunter2-hunter2"))


def test_more_numbers_than_are_judged_go_unjudged() -> None:
    text = "first 10,000,000 then " + "12345 " * (NUMBERS // 5) + "end 2026-11-29"
    clean = redactor().outward(text)
    assert clean.startswith("first 10,000,000 then [redacted:personal-data]")
    assert clean.endswith("[redacted:personal-data]")


def test_what_cannot_be_looked_at_goes_whole(tmp_path: Path) -> None:
    broken = Redactor({}, Personal(str(tmp_path / "no-model-any-more")))
    assert broken.outward("call 212 555 0123") == "[redacted:personal-data]"


def test_nothing_of_what_was_looked_at_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        redactor().outward("AB12 ÜÜÜÜ 1234 GB٣٣ AAAA 1234 5678, ann@example.org")
    assert caplog.records == []


def test_names_go_where_a_model_is_there(tmp_path: Path) -> None:
    import spacy

    pipeline = cast("Any", spacy).blank("en")
    ruler = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Ada Lovelace"}])
    pipeline.to_disk(tmp_path / "names")
    found = Redactor({}, Personal(str(tmp_path / "names")))
    text = "x " * 800 + "Ask Ada Lovelace at ada@example.org"
    assert found.outward(text).endswith("Ask [redacted:person] at [redacted:email-address]")


def test_without_the_setting_nothing_is_looked_for_or_loaded() -> None:
    source = (
        "import sys\n"
        "from crews.safety.own_secrets import redactor_for\n"
        "from crews.settings import Settings\n"
        "print(redactor_for(Settings(), {}).outward('ann@example.org'))\n"
        "print({'presidio_analyzer', 'spacy', 'crews.safety.personal'} & set(sys.modules))\n"
    )
    root = str(Path(__file__).parents[2])
    program = [sys.executable, "-c", source]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout == "ann@example.org\nset()\n"


def test_without_the_package_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(UsageError, match="`presidio-analyzer` is not installed") as refusal:
        redactor_for(Settings(redact_personal_data=True), {})
    assert refusal.value.where == "CREWS_REDACT_PERSONAL_DATA"
    assert "crews[pii]" in refusal.value.hint


def test_a_model_of_names_that_is_missing_is_never_fetched() -> None:
    wanted = Settings(redact_personal_data=True, personal_names_model="no_such_model")
    with pytest.raises(UsageError, match="no spaCy model `no_such_model`"):
        redactor_for(wanted, {})
