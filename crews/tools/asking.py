"""What is a human asked about a call: may it happen, and, after an interruption, did it?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crews.records.inbox import Question
from crews.records.questions import ReviewRow
from crews.records.rows import CallRow
from crews.safety.action import Action, Verdict
from crews.safety.redact import Redactor
from crews.teams.spec import PolicySpec
from crews.tools import evidence, standing
from crews.tools.base import ToolError
from crews.tools.judging import action_of
from crews.tools.seat import Seat

UNKNOWN = "unknown-outcome"
"""Rule of the question about a call that was interrupted."""
RULES = "rules"
"""Key of a subject under which the rules are named where more than one asks."""


def may_it_happen(
    call: CallRow, seat: Seat, action: Action, verdict: Verdict, team_hash: str
) -> Question:
    """The question about a call that policy asks about."""
    kind = seat.tools[call.tool].review_kind
    subject = evidence.subject(action) | named(verdict.asking) | {"owners": list(verdict.owners)}
    if kind == "plan":
        subject |= {"steps": action.arguments.get("steps"), "in_force": list(action.beside)}
    if kind == "action":
        subject[standing.TERMS] = standing.terms(action, verdict, team_hash)
    return Question(
        kind=kind,
        address=call.address,
        agent=seat.agent,
        title=f"{seat.agent} wants to use {call.tool}{evidence.target(action)}",
        subject=subject,
        content_hash=evidence.content_hash(action, team_hash, seat.context.workspace),
        rule=verdict.rule,
        reason=verdict.reason,
        role=all_of(verdict.roles or (verdict.role,)),
        findings=verdict.findings,
    )


def did_it_happen(call: CallRow, seat: Seat, policy: PolicySpec, redactor: Redactor) -> Question:
    """The question about a call whose outcome nobody knows.

    Who says that it did not happen lets it happen: the rules that asked before it say who may say so.
    """
    action = _as_far_as_known(call, seat, redactor)
    asked = call.ruled_by if call.ruling == "ask" else ()
    target = evidence.target(action) if action else ""
    happened = (
        {k: v for k, v in evidence.subject(action).items() if k not in {"changes", "diff"}}
        if action
        else {"tool": call.tool, "effect": call.effect, "arguments": call.args}
    )
    return Question(
        kind="unknown",
        address=call.address,
        agent=seat.agent,
        title=f"Did {call.tool} of {seat.agent} happen{target}? The run was interrupted in the middle of it",
        subject=happened | {"started_at": call.started_at} | named((UNKNOWN, *asked)),
        content_hash=evidence.digest(f"{call.address}{call.arguments}"),
        rule=UNKNOWN,
        reason="the process that ran it is gone, and running it again could do it twice",
        role=all_of(r.role for r in policy.rules if r.name in asked),
    )


def named(rules: Sequence[str]) -> dict[str, Any]:
    """The rules, for a subject, where there are more than the one that the question itself names."""
    return {RULES: list(rules)} if len(rules) > 1 else {}


def all_of(roles: Iterable[str]) -> str:
    """Who must decide, for a question: each of these roles."""
    return ", ".join(dict.fromkeys(role for role in roles if role))


def rules_of(question: Question) -> tuple[str, ...]:
    """Every rule that asks a question; the first one alone may not name who must be asked."""
    return tuple(question.subject.get(RULES) or (question.rule,))


def further(asking: Iterable[str], reviews: Iterable[ReviewRow], policy: PolicySpec) -> bool:
    """Does a rule of the team ask for which none of these reviews was opened? Its people have not decided."""
    decided = {name for r in reviews for name in r.about.get(RULES) or (r.rule,)}
    return not {rule.name for rule in policy.rules} & set(asking) <= decided


def _as_far_as_known(call: CallRow, seat: Seat, redactor: Redactor) -> Action | None:
    """What was to be touched; None: half of it done, that cannot be said any more."""
    try:
        tool, args = seat.parse(call)
        return action_of(call, seat, tool, args, redactor)
    except ToolError:
        return None
