"""What does a level of autonomy change: which tools, how many turns, which questions fall away?"""

from __future__ import annotations

from dataclasses import replace

from crews.safety.action import Action, Verdict
from crews.safety.aiming import FIRM
from crews.teams.spec import LEVELS as LEVELS
from crews.teams.spec import Effect

UNCONFINED = "default-execute"
"""The question about a command without a sandbox, which can do whatever the user can."""
AUTONOMOUS = 3
TEAM = 4

_NOTHING: frozenset[Effect] = frozenset()
_READING: frozenset[Effect] = frozenset({"read"})
_ANYTHING: frozenset[Effect] = frozenset({"read", "write", "execute", "network", "external"})
_TOOLS = (_NOTHING, _READING, _ANYTHING, _ANYTHING, _ANYTHING)
_TURNS: tuple[int | None, ...] = (1, 2, None, None, None)


def name(level: int) -> str:
    """The level's name. Raises ValueError where there is no such level."""
    return LEVELS[_checked(level)]


def tools_allowed(level: int) -> frozenset[Effect]:
    """Effects a tool may have at this level. Raises ValueError where there is no such level."""
    return _TOOLS[_checked(level)]


def turns_allowed(level: int) -> int | None:
    """Model requests of one thread: 1 answers at once, 2 is one round of tools and then the answer.

    `None`: no limit by level. Raises ValueError where there is no such level.
    """
    return _TURNS[_checked(level)]


def loosen(verdict: Verdict, action: Action, level: int) -> Verdict:
    """The verdict at this level: from 3 on an `ask` becomes `allow` if nothing speaks against it.

    What still asks: an `external` effect, any sensitive finding, a value that nobody who is trusted has named,
    a plan that grants more than the one before, a command without a sandbox by an agent that others may steer and,
    below level 4, planning and delegating. A `deny` is never touched. Applying it twice changes nothing.
    """
    if verdict.ruling != "ask" or _checked(level) < AUTONOMOUS:
        return verdict
    if action.effect == "external" or verdict.findings or not FIRM.isdisjoint(verdict.asking):
        return verdict
    if action.delegation and level < TEAM:
        return verdict
    if UNCONFINED in verdict.asking and action.provenance.exposed:
        return verdict
    reason = f"{verdict.reason} Level {level} ({LEVELS[level]}) goes on without asking."
    return replace(
        verdict, ruling="allow", reason=reason.strip(), deferred=False, role="", roles=(), asking=()
    )


def _checked(level: int) -> int:
    if not 0 <= level < len(LEVELS):
        raise ValueError(f"There is no autonomy level {level}; levels are 0 to {len(LEVELS) - 1}.")
    return level
