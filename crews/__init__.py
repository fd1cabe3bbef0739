"""What can a script use? A supervised team of agents, declared in YAML.

import crews
result = crews.kickoff("Find all SQL queries and parameterize them", workspace=".")

Every name is loaded when it is first used, so that importing this package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crews.api import (
        Answer,
        Result,
        akickoff,
        aresume,
        decide,
        kickoff,
        load_team,
        resume,
    )
    from crews.errors import CrewsError
    from crews.records.events import Event
    from crews.records.questions import ReviewRow as Review
    from crews.records.rows import RunRow as Run
    from crews.settings import Settings
    from crews.teams.spec import TeamSpec as Team

__version__ = "0.1.0"

_PUBLIC = {
    "Answer": "crews.api:Answer",
    "CrewsError": "crews.errors:CrewsError",
    "Event": "crews.records.events:Event",
    "Result": "crews.api:Result",
    "Review": "crews.records.questions:ReviewRow",
    "Run": "crews.records.rows:RunRow",
    "Settings": "crews.settings:Settings",
    "Team": "crews.teams.spec:TeamSpec",
    "akickoff": "crews.api:akickoff",
    "aresume": "crews.api:aresume",
    "decide": "crews.api:decide",
    "kickoff": "crews.api:kickoff",
    "load_team": "crews.api:load_team",
    "resume": "crews.api:resume",
}

__all__ = [
    "Answer",
    "CrewsError",
    "Event",
    "Result",
    "Review",
    "Run",
    "Settings",
    "Team",
    "akickoff",
    "aresume",
    "decide",
    "kickoff",
    "load_team",
    "resume",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _PUBLIC:
        raise AttributeError(f"module `crews` has no attribute `{name}`")
    module, _, attribute = _PUBLIC[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
