"""Where is the journal of a test?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.records.store import Store, open_store


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of a journal that does not exist yet."""
    return f"sqlite:///{tmp_path / 'home' / 'crews.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A new journal."""
    with open_store(url) as opened:
        yield opened
