"""Has a human approved every such action of the run, so that this one need not be asked about?"""

from __future__ import annotations

import json
from collections.abc import Iterable

from pydantic import JsonValue

from crews.records.questions import ReviewRow
from crews.records.store import dump
from crews.safety.action import Action, Verdict
from crews.safety.aiming import FIRM, SECRET_LEAVES
from crews.safety.labels import AIMING
from crews.teams.spec import PolicySpec
from crews.tools.evidence import digest

TERMS = "terms"
"""Key of a review's subject under which the terms of a standing approval are kept."""


def terms(action: Action, verdict: Verdict, team_hash: str) -> str:
    """What must be the same for an approval to stand: tool, effect, every rule that asks, the team's files.

    Where a question was about targets and amounts, it is these: others were not seen by anybody. Where nothing of the
    kind says what the action is aimed at, as with a command, or a secret would leave, it is every argument.
    """
    rules = sorted({verdict.rule, *verdict.asking})
    seen: list[JsonValue] = []
    if not FIRM.isdisjoint(rules):
        origins = action.provenance.origins
        aimed = any(o.role in AIMING for o in origins) and SECRET_LEAVES not in rules
        seen = [
            [[o.argument, o.value] for o in origins],
            *([] if aimed else [dict(action.arguments)]),
        ]
    return digest(dump([action.tool, action.effect, rules, team_hash, *seen]))


def approval(
    reviews: Iterable[ReviewRow],
    action: Action,
    verdict: Verdict,
    *,
    policy: PolicySpec,
    team_hash: str,
) -> ReviewRow | None:
    """The review whose approval holds for this action; None: a human must be asked.

    It holds for the same tool, effect, rules and team only, and for no finding of a category that the human
    was not shown. A rule with `four_eyes` is satisfied only by a review that had them.

    Args:
        reviews: The run's reviews.
        action: What is about to happen.
        verdict: What policy says of it.
        policy: The team's policy.
        team_hash: Hash of the team's files.
    """
    if verdict.ruling != "ask" or verdict.deferred:
        return None
    wanted = terms(action, verdict, team_hash)
    found = {finding.category for finding in verdict.findings}
    careful = _four_eyes(policy, verdict)
    return next((r for r in reviews if _holds(r, wanted, found, four_eyes=careful)), None)


def _holds(review: ReviewRow, wanted: str, found: set[str], *, four_eyes: bool) -> bool:
    """Every condition by itself says no; nothing is taken to be true because it is not written down."""
    return (
        (review.state, review.decision, review.scope) == ("decided", "approve", "run")
        and review.kind == "action"
        and review.about.get(TERMS) == wanted
        and found <= {str(shown.get("category")) for shown in json.loads(review.findings)}
        and (review.four_eyes or not four_eyes)
    )


def _four_eyes(policy: PolicySpec, verdict: Verdict) -> bool:
    names = {verdict.rule, *verdict.asking}
    return any(rule.four_eyes for rule in policy.rules if rule.name in names)
