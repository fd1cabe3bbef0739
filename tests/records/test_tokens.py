"""Does a token say whose it is for as long as it should, without being kept anywhere?"""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select, update

from crews.errors import Denied, UsageError
from crews.records import people, tokens
from crews.records.store import Store
from crews.records.tables import metadata
from crews.records.tables import tokens as table
from tests.records.persons import ROOT, decider, peopled, told


def test_a_token_is_kept_nowhere(store: Store) -> None:
    peopled(store, bob=())
    made, secret = tokens.make_token(store, "bob", by=ROOT, label="ci")
    assert secret.startswith("crw_")
    assert len(secret) == len("crw_") + 43
    assert people.identify(store, token=secret).name == "bob"
    with store.reading() as connection:
        held = str([connection.execute(select(t)).all() for t in metadata.sorted_tables])
    assert made.digest in held
    assert secret[4:] not in held


def test_two_tokens_are_never_the_same(store: Store) -> None:
    peopled(store)
    made = [tokens.make_token(store, "root", by=ROOT) for _ in range(20)]
    assert len({secret for _, secret in made}) == len({token.id for token, _ in made}) == 20


def test_an_expired_or_revoked_token_counts_no_more(store: Store) -> None:
    peopled(store, bob=())
    short, secret = tokens.make_token(store, "bob", by=ROOT, lasts=60)
    assert people.identify(store, token=secret).signed_in == "token"
    _age(store, short.id, expires_at=time.time() - 0.01)
    with pytest.raises(Denied, match=f"token {short.id} is expired"):
        people.identify(store, token=secret)
    other, another = tokens.make_token(store, "bob", by=ROOT)
    gone = tokens.revoke_token(store, other.id, by=ROOT)
    assert gone.state(time.time()) == "revoked"
    with pytest.raises(Denied, match="is revoked"):
        people.identify(store, token=another)
    with pytest.raises(UsageError, match="was revoked before"):
        tokens.revoke_token(store, other.id, by=ROOT)
    assert len(told(store, "identity_refused", "")) == 2


def test_the_use_of_a_token_is_kept_to_the_minute(store: Store) -> None:
    peopled(store, bob=())
    made, secret = tokens.make_token(store, "bob", by=ROOT)
    people.identify(store, token=secret)
    (first,) = tokens.list_tokens(store)
    assert first.used_at is not None
    assert first.used_at >= made.created_at
    people.identify(store, token=secret)
    assert tokens.list_tokens(store) == (first,)
    _age(store, made.id, used_at=first.used_at - 61)
    people.identify(store, token=secret)
    assert (tokens.list_tokens(store)[0].used_at or 0) >= first.used_at


def test_a_user_who_is_logged_in_has_their_own_tokens(store: Store) -> None:
    someone = peopled(store, bob=(), eve=())
    made, _ = tokens.make_token(store, "bob", by=someone["bob"])
    with pytest.raises(Denied):
        tokens.make_token(store, "bob", by=decider("bob", signed_in="token"))
    with pytest.raises(Denied):
        tokens.revoke_token(store, made.id, by=someone["eve"])
    assert tokens.revoke_token(store, made.id, by=someone["bob"]).revoked_at is not None
    assert [t["by"] for t in told(store, "token_made", "")] == ["bob"]
    assert [t["by"] for t in told(store, "token_revoked", "")] == ["bob"]


def _age(store: Store, token: str, **times: float) -> None:
    with store.writing() as connection:
        connection.execute(update(table).where(table.c.id == token).values(**times))
