"""What does a request cost, by the price list of `genai-prices`?"""

from __future__ import annotations

import time
from decimal import Decimal
from functools import lru_cache

from crews.records.rows import NANO

PRICED_FOR = 3600
"""Seconds for which a price that was looked up is used: one can begin to hold at the beginning of a day."""
_KINDS = ("input_mtok", "output_mtok", "cache_write_mtok", "cache_read_mtok")


def price(
    model: str, input_tokens: int, output_tokens: int, cache_write: int = 0, cache_read: int = 0
) -> int | None:
    """Nano-dollars; None: the list does not know the model."""
    rates = _rates(model, int(time.time() // PRICED_FOR))
    if rates is None:
        return listed(model, input_tokens, output_tokens, cache_write, cache_read)
    counts = (input_tokens, output_tokens, cache_write, cache_read)
    total = sum((rate * count for rate, count in zip(rates, counts, strict=True)), Decimal(0))
    return int(total.to_integral_value())


def listed(
    model: str, input_tokens: int, output_tokens: int, cache_write: int = 0, cache_read: int = 0
) -> int | None:
    """The same, worked out by the library; several times a turn that would be felt."""
    from genai_prices import Usage, calc_price

    usage = Usage(
        input_tokens=input_tokens + cache_write + cache_read,
        output_tokens=output_tokens,
        cache_write_tokens=cache_write,
        cache_read_tokens=cache_read,
    )
    try:
        total = calc_price(usage, model, provider_id="anthropic").total_price
    except (LookupError, ValueError):
        return None
    return int((Decimal(total) * NANO).to_integral_value())


@lru_cache(maxsize=64)
def _rates(model: str, hour: int) -> tuple[Decimal, ...] | None:
    """Nano-dollars of one token of each kind; None: that is not all there is to the model's price."""
    from genai_prices import Usage, calc_price

    del hour
    try:
        found = calc_price(Usage(input_tokens=1), model, provider_id="anthropic").model_price
    except (LookupError, ValueError):
        return None
    rates = [getattr(found, kind, None) for kind in _KINDS]  # others have steps
    if not all(isinstance(rate, Decimal) for rate in rates):
        return None
    return tuple(rate * (NANO // 1_000_000) for rate in rates if isinstance(rate, Decimal))
