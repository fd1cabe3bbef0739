"""Are words kept beside the log, readable while their key is there, and gone for good without it?"""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from crews.errors import StoreError
from crews.records import audit, proving, vault
from crews.records.inbox import decide, open_review
from crews.records.retention import purge
from crews.records.store import Store
from crews.records.tables import audit as log
from crews.records.tables import payloads, vault_keys
from crews.settings import Settings
from tests.records.builders import owned, question

WORDS = "Ada Lovelace's tax number is 12 345"


def said(store: Store, run: str = "run", words: str = WORDS) -> int:
    with store.writing() as connection:
        return audit.append(connection, run, "note", {"by": "bo"}, contents={"answer": words})


def test_the_log_holds_no_words_and_the_vault_gives_them_back(store: Store) -> None:
    first, second = said(store), said(store, "other")
    rows = audit.entries(store)
    assert "Ada" not in "".join(row.body for row in rows)
    with store.reading() as connection:
        assert all("Ada" not in row.sealed for row in connection.execute(payloads.select()))
    assert vault.contents_of(store, "run") == {first: {"answer": WORDS}}
    assert vault.contents_of(store) == {first: {"answer": WORDS}, second: {"answer": WORDS}}
    assert rows[0].body != rows[1].body  # each run has its own key


def test_secret_shaped_words_are_taken_out_before_they_are_kept(store: Store) -> None:
    token = "ghp_" + "a1B2" * 9
    said(store, words=f"use {token}")
    (contents,) = vault.contents_of(store).values()
    assert token not in str(contents["answer"])


def test_a_purge_erases_the_words_and_the_log_holds(store: Store, tmp_path: Path) -> None:
    journal, kept = owned(store), owned(store)
    review = open_review(journal, question(address="/#x"))
    decide(store, review.id, "reject", by="eve", answer=WORDS)
    journal.release("failed", reason="Ada's", exit_code=1)
    before = audit.entries(store)
    done = purge(store, Settings(home=tmp_path), journal.run, "bo")
    assert done.erased == 3
    assert vault.contents_of(store, journal.run) == {}
    assert vault.contents_of(store, kept.run) != {}
    assert audit.entries(store)[: len(before)] == before
    found = proving.verify(store)
    assert (found.breaks, found.erased) == ((), 1)
    told = {row.kind: contents for row, contents in audit.newest(store, run=journal.run)}
    assert told["review_decided"] is None
    assert told["run_claimed"] == {}


def test_what_is_written_of_an_erased_run_keeps_no_words(store: Store) -> None:
    said(store)
    with store.writing() as connection:
        vault.erase(connection, "run")
        audit.append(connection, "run", "run_erased", {})
    said(store)
    assert vault.contents_of(store) == {}
    assert proving.verify(store).breaks == ()


def test_a_key_that_is_gone_without_a_word_is_found(store: Store) -> None:
    said(store)
    with store.writing() as connection:
        vault.erase(connection, "run")
    (found,) = proving.verify(store).breaks
    assert (found.sequence, "nobody" in found.what or "no entry says" in found.what) == (1, True)


@pytest.mark.parametrize("way", ["edited", "swapped", "deleted", "another key"])
def test_contents_that_were_changed_are_found(store: Store, way: str) -> None:
    one, two = said(store), said(store, words="something else")
    with store.writing() as connection:
        rows = connection.execute(payloads.select()).all()
        sealed = {row.sequence: str(row.sealed) for row in rows}
        which = payloads.c.sequence == one
        if way == "edited":
            text = sealed[one][:-8] + "AAAAAAA="
            connection.execute(update(payloads).where(which).values(sealed=text))
        elif way == "swapped":
            connection.execute(update(payloads).where(which).values(sealed=sealed[two]))
        elif way == "deleted":
            connection.execute(payloads.delete().where(which))
        else:
            connection.execute(update(vault_keys).values(secret="A" * 43 + "="))
    assert proving.verify(store).breaks[0].sequence == one
    if way in {"edited", "swapped"}:
        with pytest.raises(StoreError, match=f"audit entry {one}"):
            vault.contents_of(store)


def test_an_older_journals_entries_stay_and_hold(store: Store) -> None:
    """Schema 2 had the words in the body, and no tree."""
    with store.writing() as connection:
        for number in range(5):
            audit.append(connection, "old", "review_decided", {"answer": WORDS, "n": number})
        connection.execute(update(log).values(node=""))
        audit.fill_nodes(connection)
    said(store)
    assert proving.verify(store).breaks == ()
    assert WORDS in audit.entries(store)[0].body
