"""Is the most that a request may take set aside, whichever of an agent's models answers it?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crews.records.rows import dollars
from crews.runtime.prices import price
from crews.teams.spec import AgentSpec
from tests.stories.players import MODEL, agent, finish, limits, played, team
from tests.stories.scenes import staged

DEAR, CHEAP, UNKNOWN = "claude-opus-5-5", "claude-haiku-5-5", "a-model-of-my-own"
DONE = played({"boss": [finish("There was nothing to do.")]})
LONGEST = 1000
"""Tokens of the boss' longest answer."""


def boss(*fallback: str) -> AgentSpec:
    return agent("boss", duty="supervisor", max_tokens=LONGEST, fallback=fallback)


def wanted(agent: AgentSpec, kind: str, limit: object, **options: Any) -> str:
    """What the boss' first request wanted to set aside, by the question at a wall right before it."""
    with staged(DONE, team(agent, limits=limits(**{kind: limit}))) as stage:
        [review] = stage.run(**options).waiting_for
        assert not stage.requests()
        assert review.about["which"] == kind
        return str(review.about["wanted"])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Tokens that the boss' first request reads, at most."""
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(tmp_path_factory.mktemp("elsewhere"))
        return int(wanted(boss(), "tokens", 1)) - LONGEST


def most(model: str, reads: int) -> Decimal:
    """What such a request costs, if all that it reads is written to the cache."""
    nano = price(model, 0, LONGEST, cache_write=reads)
    assert nano is not None
    return dollars(nano)


def test_keeping_what_is_read_costs_more_than_reading_it_and_is_reserved_for(reads: int) -> None:
    """Every request marks its newest turn for the cache."""
    assert Decimal(wanted(boss(), "money", "0.000001")) == most(MODEL, reads)
    nano = price(MODEL, reads, LONGEST)
    assert nano is not None
    assert most(MODEL, reads) > dollars(nano)


@pytest.mark.parametrize(("fallback", "dearest"), [(DEAR, DEAR), (CHEAP, MODEL)])
def test_the_dearest_model_that_may_answer_is_reserved_for(
    reads: int, fallback: str, dearest: str
) -> None:
    assert Decimal(wanted(boss(fallback), "money", "0.000001")) == most(dearest, reads)


def test_a_fallback_whose_price_nobody_knows_is_under_no_limit_of_money() -> None:
    assert wanted(boss(CHEAP, UNKNOWN), "money", "1000") == "None"


def test_a_model_that_was_given_for_all_has_no_fallback(reads: int) -> None:
    found = wanted(boss(UNKNOWN, DEAR), "money", "0.000001", model=MODEL)
    assert Decimal(found) == most(MODEL, reads)
