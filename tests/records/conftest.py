"""Where is the journal of a test? Each test runs once on SQLite and once on Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from crews.records.store import Store, open_store
from tests.support.postgres import fresh_database


@pytest.fixture(scope="session")
def empty_journal(postgres_server: str) -> Iterator[str]:
    """Name of a database that holds the tables: to copy them is quicker than to make them."""
    with fresh_database(postgres_server) as url:
        open_store(url).close()
        yield str(make_url(url).database)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a journal; it does not exist yet, unless the test wants it opened as `store`."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'crews.db'}"
        return
    server = str(request.getfixturevalue("postgres_server"))
    opened = "store" in request.fixturenames
    template = str(request.getfixturevalue("empty_journal")) if opened else "template0"
    with fresh_database(server, template) as found:
        yield found


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A journal of which nobody has made use."""
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a journal in a file is to be; for what only a file can suffer."""
    return tmp_path / "home" / "crews.db"
