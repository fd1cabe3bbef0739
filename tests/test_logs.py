"""Do log lines go to the file, without secrets, and leave the terminal alone?"""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from crews.logs import log_file, set_up
from crews.settings import Settings


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    logger.remove()
    logger.configure(patcher=lambda _: None)


def lines(settings: Settings) -> str:
    return log_file(settings).read_text(encoding="utf-8")


def test_personal_data_stays_out_where_that_is_set(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redact_personal_data=True)
    set_up(settings)
    logger.info("mail to {} was sent", "ann@example.org")
    try:
        raise ValueError("call +49 170 1234567")
    except ValueError:
        logger.exception("it broke")
    text = lines(settings)
    assert "mail to [redacted:email-address] was sent" in text
    assert "ValueError: call [redacted:phone-number]" in text


@pytest.mark.filterwarnings("default")
def test_every_kind_of_line_goes_to_the_file_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(home=tmp_path)
    set_up(settings)
    logger.info("from us")
    logging.getLogger("a.library").warning("from %s", "a library")
    warnings.warn("from a warning", stacklevel=1)
    logger.debug("too small")
    text = lines(settings)
    assert "from us" in text
    assert "a.library from a library" in text
    assert "from a warning" in text
    assert "too small" not in text
    assert capfd.readouterr() == ("", "")


def test_secrets_and_control_characters_stay_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "correct horse battery")
    settings = Settings(home=tmp_path)
    set_up(settings)
    logger.info("it is correct horse battery \x1b[31m{}", "now")
    try:
        raise ValueError("correct horse battery")
    except ValueError:
        logger.exception("broken")
    text = lines(settings)
    assert "correct horse" not in text
    assert "\x1b" not in text
    assert "Traceback" in text
    assert "ValueError: [redacted:" in text


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    set_up(settings)
    logger.info("x")
    assert log_file(settings).stat().st_mode & 0o077 == 0


def test_verbose_writes_to_stderr_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    set_up(Settings(home=tmp_path), verbose=True)
    logger.debug("small things")
    assert "small things" in capfd.readouterr().err


def test_a_file_that_cannot_be_written_is_said_and_stops_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("in the way", encoding="utf-8")
    set_up(Settings(home=tmp_path))
    assert "cannot be used" in capfd.readouterr().err


def test_in_a_script_nothing_is_written_to_stderr() -> None:
    program = (
        "from crews.logs import hush\n"
        "hush()\n"
        "from loguru import logger\n"
        "import crews.logs\n"
        "exec(compile('logger.error(1)', 'x', 'exec'), {'logger': logger, '__name__': 'crews.x'})\n"
        "logger.error('mine')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stderr.count("ERROR") == 1
    assert "mine" in ran.stderr
