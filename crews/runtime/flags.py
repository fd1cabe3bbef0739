"""What is wrong with a hand-over, as far as the thread's own calls can tell?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from crews.records.rows import CallRow, HandOver
from crews.tools.gate import AnyTool

NO_HAND_OVER = "it made no hand-over of its own"
_REFERENCE = re.compile(
    r"(?:^|[,;:/(\[`]|\b(?:calls?|turns?|see|and|in|at|of|to|from|by))\s*`?(\d+\.\d+)\b",
    re.IGNORECASE,
)
"""A call as it is named in a sentence; the number of a version behind another word is none."""


def flags_of(
    outcome: HandOver, calls: Sequence[CallRow], tools: Mapping[str, AnyTool], ending: str
) -> list[str]:
    """One sentence for each claim that no call bears out."""
    if not ending:
        return []
    flags: list[str] = []
    done = [c for c in calls if c.state == "done"]
    work = [c for c in done if not _ends(c, tools)]
    if outcome.summary.startswith("[ended by the engine"):
        flags.append(NO_HAND_OVER)
    if not work and not _planning_only(tools):
        flags.append("it handed over without one successful tool call")
    elif outcome.changes and not any(c.effect in {"write", "execute"} for c in work):
        flags.append("it claims changes, but no call of it changed anything")
    if outcome.verdict == "approve" and not work:
        flags.append("it approved without having looked at anything")
    made = {f"{c.turn}.{c.place}" for c in calls}
    missing = [r for e in outcome.evidence for r in _REFERENCE.findall(e) if r not in made]
    if missing:
        flags.append(f"its evidence names calls that do not exist: {', '.join(missing)}")
    if not outcome.evidence and outcome.changes:
        flags.append("it gives no evidence for its changes")
    return flags


def _ends(call: CallRow, tools: Mapping[str, AnyTool]) -> bool:
    tool = tools.get(call.tool)
    return tool is not None and tool.ends_thread


def _planning_only(tools: Mapping[str, AnyTool]) -> bool:
    return any(t.planning for t in tools.values())
