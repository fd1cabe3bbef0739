"""Which ids and names complete on Tab? Those of the journal; an error completes to nothing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crews.records.store import Store

Completions = list[tuple[str, str]]
"""What can stand here, with what it means."""


def runs(incomplete: str) -> Completions:
    """Ids of the latest runs."""
    return _found(_runs, incomplete)


def open_reviews(incomplete: str) -> Completions:
    """Ids of the reviews that wait."""
    return _found(_reviews, incomplete)


def _found(read: Callable[[Store], Completions], incomplete: str) -> Completions:
    try:
        with _journal() as store:
            found = [] if store is None else read(store)
    except Exception:  # noqa: BLE001  # a broken journal must not break the shell's prompt
        return []
    return [entry for entry in found if entry[0].startswith(incomplete)]


def _runs(store: Store) -> Completions:
    from crews.plain import one_line
    from crews.records.runs import list_runs

    return [(r.id, one_line(f"{r.status}: {r.goal}", 60)) for r in list_runs(store)]


def _reviews(store: Store) -> Completions:
    from crews.plain import one_line
    from crews.records.inbox import list_reviews

    return [(r.id, one_line(r.title, 60)) for r in list_reviews(store)]


@contextmanager
def _journal() -> Generator[Store | None]:
    """The journal, if there is one: a Tab makes no files."""
    from crews.settings import load

    settings = load()
    if not settings.database_url and not (settings.home / "crews.db").exists():
        yield None
        return
    from crews.records.store import open_store

    with open_store(settings.journal_url, patience=0) as store:
        yield store
