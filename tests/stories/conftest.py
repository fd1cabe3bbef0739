"""What do several stories share? The process that forks their workers: its imports are paid once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stories.pool import Pool


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Forks workers; those of one test are gone when the next begins."""
    with Pool(tmp_path_factory.mktemp("pool")) as found:
        yield found
