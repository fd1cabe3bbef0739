"""Settings from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where the shop keeps its data."""

    database: Path


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; every one has a default."""
    return Settings(database=Path(environ.get("SHOP_DATABASE", "shop.sqlite3")))
