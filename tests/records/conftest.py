"""Where is the journal of a test? Each test runs once on SQLite and once on Postgres."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.records.store import Store, open_store
from crews.records.tables import SCHEMA_VERSION, meta, metadata
from tests.support.postgres import execute, fresh_database


@pytest.fixture(scope="session")
def used_journal(postgres_server: str) -> Iterator[str]:
    """URL of a database that holds the tables, for one test after the other: to empty it costs a tenth of a new one."""
    with fresh_database(postgres_server) as url:
        open_store(url).close()
        yield url


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that holds the tables: to copy it is quicker than to make them."""
    file = tmp_path_factory.mktemp("journal") / "crews.db"
    open_store(f"sqlite:///{file}").close()
    return file


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, file: Path) -> Iterator[str]:
    """The URL of a journal; it does not exist yet, unless the test wants it opened as `store`."""
    opened = "store" in request.fixturenames
    if request.param == "sqlite":
        if opened:
            file.parent.mkdir()
            shutil.copyfile(request.getfixturevalue("empty_file"), file)
        yield f"sqlite:///{file}"
    elif opened:
        found = str(request.getfixturevalue("used_journal"))
        _empty(found)
        yield found
    else:
        with fresh_database(str(request.getfixturevalue("postgres_server"))) as found:
            yield found


def _empty(url: str) -> None:
    """End whatever the test before has left behind, and remove every row."""
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    )
    emptied = [f"DELETE FROM {t.name}" for t in reversed(metadata.sorted_tables) if t is not meta]
    kept = f"INSERT INTO meta VALUES ('schema', '{SCHEMA_VERSION}')"
    execute(
        url,
        f"{others} AND pid <> pg_backend_pid()",
        "; ".join([*emptied, "DELETE FROM meta", kept]),
    )


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A journal of which nobody has made use."""
    with open_store(url) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a journal in a file is to be; for what only a file can suffer."""
    return tmp_path / "home" / "crews.db"
