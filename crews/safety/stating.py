"""What is sensitive because somebody says so: the folder's CODEOWNERS, or the agent itself?

An agent's word can only add: nothing that was found is taken away for it, and no rule loosens by it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from crews.safety.action import Action, Finding
from crews.safety.owners import Owners
from crews.safety.same import Same
from crews.teams.spec import CONTENT_CATEGORIES, PolicySpec, Rule

MOST_STATED = 20
"""Statements of one action that are kept."""
MAX_WORDS = 80
"""Characters of one that are shown."""


def owned(paths: Iterable[str], owners: Owners) -> tuple[Finding, ...]:
    """The paths that belong to a team whose name speaks of security, identity or access."""
    return tuple(
        Finding("owned", path, 0, f"CODEOWNERS gives it to {', '.join(guards)}")
        for path in paths
        if (guards := owners.guards(path))
    )


def stated(policy: PolicySpec, action: Action) -> tuple[Finding, ...]:
    """What the agent says of its own work: what it touches, and that it is not sure of it."""
    words = [" ".join(word.split())[:MAX_WORDS] for word in action.stated[:MOST_STATED]]
    found = [_said(word) for word in dict.fromkeys(words) if word]
    limit = _limit(Same(policy.rules))
    # Written so that a confidence which is no number counts as a low one.
    if limit is not None and action.confidence is not None and not action.confidence >= limit:
        detail = f"stated: the agent is {action.confidence:.0%} sure, below {limit:.0%}"
        found.append(Finding("stated", "", 0, detail, stated=True))
    return tuple(found)


def _said(word: str) -> Finding:
    known = word.lower() in CONTENT_CATEGORIES
    category = word.lower() if known else "stated"
    return Finding(category, "", 0, f"stated: the agent says that it touches `{word}`", stated=True)


@lru_cache(maxsize=64)
def _limit(rules: Same[tuple[Rule, ...]]) -> float | None:
    """The confidence below which some rule of the team restricts."""
    limits = (rule.when.confidence_below for rule in rules.value if rule.ruling != "allow")
    return max((limit for limit in limits if limit is not None), default=None)
