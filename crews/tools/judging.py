"""What would a call do, what does policy say of it, and has it been refused often enough?"""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from loguru import logger

from crews.records.journal import Journal
from crews.records.rows import CallRow
from crews.safety.action import Action, Verdict
from crews.safety.known import Heard, Known
from crews.safety.labels import AIMED
from crews.safety.policy import judge
from crews.safety.redact import Redactor
from crews.safety.values import leaves
from crews.teams.spec import PolicySpec
from crews.tools.base import Args, ToolError
from crews.tools.seat import AnyTool, Seat

MOST_REFUSALS = 3
"""Refusals in a row after which the very same call is not looked at again."""
LONGEST_ROW = 100
"""Refusals in a row that are counted."""
REPEATED = "repeated"
"""Rule of a denial that nobody looked at."""
_NOT_LOOKED_AT = frozenset({"limit", "ended"})
"""Rules of denials that say nothing of the call itself."""


def action_of(call: CallRow, seat: Seat, tool: AnyTool, args: Args, redactor: Redactor) -> Action:
    """The call as data, with what it would touch and where its values come from.

    Raises:
        ToolError: That cannot be known, so that the call does not happen.
    """
    try:
        preview = tool.preview(args, seat.at(call))
        effect = preview.effect or tool.effect
        secret = effect in AIMED and _leaks(call, tool, redactor)
        provenance = seat.known.provenance(effect, tool.declared, call.args, secret=secret)
    except ToolError:
        raise
    except Exception as error:
        logger.exception("previewing {} failed", call.tool)
        raise ToolError(f"Denied: what the call would do cannot be known: {error}") from error
    return seat.action(call, tool, preview, provenance)


def _leaks(call: CallRow, tool: AnyTool, redactor: Redactor) -> bool:
    """Does an argument that is not meant for a secret hold one that this process knows, or held one?"""
    roles = tool.declared.roles
    found = ((roles.get(n), leaf) for n, v in call.args.items() for _, leaf in leaves(v, n))
    return any(
        role != "secret" and (redactor.holds(leaf) or redactor.marked(leaf)) for role, leaf in found
    )


def heard_as(known: Known, tool: AnyTool, call: CallRow) -> Heard:
    """What the call's result is to be taken for; where that cannot be told, anybody may have written it."""
    try:
        return known.heard_as(tool.declared, call.args)
    except Exception:  # noqa: BLE001 - loguru is told, and it fails closed
        logger.exception("what {} returned cannot be labelled", call.tool)
        return "untrusted"


def verdict_on(action: Action, seat: Seat, policy: PolicySpec) -> Verdict:
    """Policy's verdict; whatever goes wrong on the way to it is a denial."""
    try:
        verdict = judge(policy, action, seat.standing())
        if verdict.ruling == "ask" and seat.duty == "escalation":
            # It prepares a question to a human; questions about that one would have no end.
            why = f"{verdict.reason} Nobody is asked while a brief is written."
            verdict = replace(verdict, ruling="deny", reason=why, deferred=False)
        return verdict
    except Exception as error:  # noqa: BLE001 - loguru is told, and it fails closed
        logger.exception("judging {} failed", action.tool)
        return Verdict("deny", "judge-error", f"judging failed: {error}")


def too_often(journal: Journal, call: CallRow) -> str:
    """What the model is told of a call that it repeats against every refusal; empty: it is looked at."""
    count = refusals(journal, call)
    if count < MOST_REFUSALS:
        return ""
    return (
        f"this very call (`{call.tool}` with the same arguments) was refused {count} times in a row, and it is "
        "not looked at again. Do something else, or end your work and say what you could not do"
    )


def refusals(journal: Journal, call: CallRow) -> int:
    """How often in a row the thread has made this very call before, each time in vain.

    Any other call in between begins the count anew: it may have changed what the refusal was about.
    """
    newest = _row_of(journal, call, MOST_REFUSALS)
    return newest if newest < MOST_REFUSALS else _row_of(journal, call, LONGEST_ROW)


def _row_of(journal: Journal, call: CallRow, most: int) -> int:
    before = journal.calls_before(call, most)
    return len(list(takewhile(lambda earlier: _in_vain(earlier, call), before)))


def _in_vain(earlier: CallRow, call: CallRow) -> bool:
    return (
        earlier.state in {"denied", "failed"}
        and earlier.rule not in _NOT_LOOKED_AT
        and (earlier.tool, earlier.arguments) == (call.tool, call.arguments)
    )
