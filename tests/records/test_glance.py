"""Is what is read of a journal at a glance the same as what is read of it in full?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from crews.records.glance import glance
from crews.records.inbox import open_review, void_review
from crews.records.reviews import list_reviews
from crews.records.store import Store, open_store
from crews.records.tables import meta
from tests.records.builders import owned, question


@pytest.fixture
def journal(file: Path) -> tuple[str, Store]:
    """A journal in a file, with two reviews, one of which is void."""
    url = f"sqlite:///{file}"
    store = open_store(url)
    run = owned(store)
    open_review(run, replace(question(address="/#x"), four_eyes=True))
    void_review(run, open_review(run, question(address="/#y")), "it has changed")
    return url, store


def test_it_shows_the_same_reviews(journal: tuple[str, Store]) -> None:
    url, store = journal
    assert glance(url, state="open") == list_reviews(store)
    assert [review.four_eyes for review in list_reviews(store)] == [True]
    assert glance(url) == list_reviews(store, state=None)
    assert glance(url, run="none", state="open") == ()


def test_another_version_is_left_to_who_can_read_it(journal: tuple[str, Store]) -> None:
    url, store = journal
    with store.writing() as connection:
        connection.execute(update(meta).where(meta.c.name == "schema").values(value="4"))
    assert glance(url) is None


def test_a_journal_that_is_none_is_left_to_who_says_so(file: Path) -> None:
    assert glance(f"sqlite:///{file}") is None
    assert glance("postgresql://somewhere/else") is None
    file.parent.mkdir()
    file.write_text("a poem", encoding="utf-8")
    assert glance(f"sqlite:///{file}") is None
