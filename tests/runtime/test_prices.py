"""What does a request cost, and is a model that nobody knows taken for one without a price?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from genai_prices import data_snapshot
from hypothesis import given
from hypothesis import strategies as st

from crews.records.rows import dollars
from crews.runtime.prices import listed, price

MODEL = "claude-sonnet-5-5"
MODELS = [
    model.id
    for provider in data_snapshot.get_snapshot().providers
    if provider.id == "anthropic"
    for model in provider.models
]
COUNTS = st.tuples(*[st.integers(0, 2_000_000)] * 4)


def test_a_price_is_exact_and_adds_up() -> None:
    parts = (
        price(MODEL, 1, 0), price(MODEL, 0, 1), price(MODEL, 0, 0, 1), price(MODEL, 0, 0, 0, 1)
    )  # fmt: skip
    known = [p for p in parts if p is not None]
    assert len(known) == 4
    assert all(p > 0 for p in known)
    assert known[3] < known[0] < known[1]  # cached reading is cheap, writing is dear
    whole = price(MODEL, 7, 11, 13, 17)
    assert whole == sum(n * p for n, p in zip((7, 11, 13, 17), known, strict=True))
    assert dollars(known[0]) * 10**6 == Decimal(known[0]) / 1000


@pytest.mark.parametrize("model", ["llama3:8b", "openai/gpt-4o", "claude-0", "", "qwen"])
def test_a_model_that_is_not_on_the_list_has_no_price(model: str) -> None:
    assert price(model, 1000, 1000) is None


@given(st.sampled_from(MODELS), COUNTS)
def test_a_price_is_what_the_library_works_out(model: str, counts: tuple[int, ...]) -> None:
    assert price(model, *counts) == listed(model, *counts)
