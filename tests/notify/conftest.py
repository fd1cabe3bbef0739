"""Which receiver and which journal does a test of notifications have?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.records.store import Store, open_store
from tests.notify.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver that listens on loopback."""
    with receiving() as listening:
        yield listening


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new journal."""
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as opened:
        yield opened
