"""How is the JSON of a column read without reading it anew each time?

Every turn reads limits and grants, and they hardly ever change.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar, cast

from pydantic import BaseModel

M = TypeVar("M", bound=BaseModel)


def read(kind: type[M], text: str) -> M:
    """The frozen model that the text is; ValidationError if it is none."""
    return cast("M", _read(kind, text))


@lru_cache(maxsize=256)
def _read(kind: type[BaseModel], text: str) -> BaseModel:
    return kind.model_validate_json(text)
