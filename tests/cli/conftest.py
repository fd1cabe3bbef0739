"""Which journal do the commands of a test use?"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from tests.cli.journal import Journal


@pytest.fixture
def journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Journal]:
    """A journal of the test's own; logging is left as it was found."""
    home = tmp_path / "crews-home"
    home.mkdir()
    monkeypatch.setenv("CREWS_HOME", str(home))
    monkeypatch.setenv("CREWS_USER", "grace")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setenv("TZ", "UTC")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Journal(home, capsys)
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    logger.remove()
    logger.configure(patcher=lambda _: None)
