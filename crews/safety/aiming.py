"""May an action go where it is aimed? What no rule of a team can loosen about targets, amounts and secrets."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Final

from crews.safety.action import Action, Standing
from crews.safety.labels import AIMED, AIMING, Grounds, Origin
from crews.safety.values import host_of, number

SECRET_LEAVES: Final = "secret-leaves"  # noqa: S105 - the name of a rule
BEYOND_GRANT: Final = "beyond-grant"
UNGROUNDED: Final = "ungrounded"
WIDER_PLAN: Final = "wider-plan"
FIRM: Final = frozenset({SECRET_LEAVES, BEYOND_GRANT, UNGROUNDED, WIDER_PLAN})
"""Questions that no level of autonomy answers by itself."""
END: Final = 40
"""Characters of each end of a long value that a reason shows: what a cut hides may be who gets it."""
NAMED: Final = 3
"""Values that a reason names."""


def secret_leaves(action: Action, standing: Standing) -> str:
    """Refusal: a secret would leave the run."""
    del standing
    found = action.provenance
    if action.effect not in AIMED or not (found.secret or (found.private and found.exposed)):
        return ""
    return f"A secret is among the arguments of `{action.tool}`; secrets never leave the run."


def beyond_when_exposed(action: Action, standing: Standing) -> str:
    """Refusal: more than the plan grants, asked for by a thread that may be steered."""
    beyond = _beyond(action, standing)
    if not beyond or not action.provenance.exposed:
        return ""
    return (
        f"{_values(beyond)} is not in what the plan grants, and this agent has read text by others since. "
        "The supervisor can plan anew: a human is then asked about the wider plan."
    )


def questions(action: Action, standing: Standing) -> tuple[tuple[str, str], ...]:
    """What a human must be asked whatever the rules say: name and reason of each question."""
    found: list[tuple[str, str]] = []
    if action.wider:
        found.append(
            (WIDER_PLAN, f"The plan would grant more than the one before it: {action.wider}.")
        )
    if action.effect not in AIMED:
        return tuple(found)
    if action.provenance.private:
        found.append((SECRET_LEAVES, f"`{action.tool}` would send what a tool returned as secret."))
    if beyond := _beyond(action, standing):
        found.append((BEYOND_GRANT, f"{_values(beyond)} is not in what the plan grants."))
    if blind := ungrounded(action, standing):
        found.append((UNGROUNDED, f"{_values(blind)}: {_nobody(blind)}."))
    elif action.provenance.aimless:
        why = f"Nothing says where `{action.tool}` is aimed, and the agent has read text by others."
        found.append((UNGROUNDED, why))
    return tuple(found)


def ungrounded(action: Action, standing: Standing) -> tuple[Origin, ...]:
    """The values that aim the action and that nobody who is trusted has named or granted."""
    if action.provenance.exposure == "trusted":
        return ()
    blind = (o for o in action.provenance.ungrounded if not _granted(o, standing))
    return tuple(
        o for o in blind if not Grounds.of(_planned(o, action.tool, standing) or ()).hold(o.value)
    )


def _beyond(action: Action, standing: Standing) -> tuple[Origin, ...]:
    if action.effect not in AIMED:
        return ()
    return tuple(o for o in action.provenance.origins if _exceeds(o, action.tool, standing))


def _exceeds(origin: Origin, tool: str, standing: Standing) -> bool:
    planned = _planned(origin, tool, standing)
    if planned is not None and not origin.grounded:
        return not Grounds.of(planned).hold(origin.value)
    if origin.role == "amount" and standing.amount is not None:
        return not _granted(origin, standing)
    host = host_of(origin.value) if origin.role == "target" else ""
    return bool(host) and standing.hosts is not None and not _granted(origin, standing)


def _planned(origin: Origin, tool: str, standing: Standing) -> tuple[str, ...] | None:
    """The values that the plan names for this argument of the tool; None: it leaves it open."""
    if origin.role not in AIMING:
        return None
    argument = re.split(r"[\[. ]", origin.argument, maxsplit=1)[0]
    return standing.targets.get(f"{tool}.{argument}", standing.targets.get(tool))


def _granted(origin: Origin, standing: Standing) -> bool:
    """Does the plan itself name the value's host, or an amount that is as high?"""
    if origin.role == "amount":
        worth = number(origin.value)
        return standing.amount is not None and worth is not None and 0 <= worth <= standing.amount
    host = host_of(origin.value) if origin.role == "target" else ""
    hosts = standing.hosts or ()
    return bool(host) and any(fnmatchcase(host, glob.casefold()) for glob in hosts)


def _values(origins: tuple[Origin, ...]) -> str:
    shown = ", ".join(f"`{o.argument}` = {_short(o)}" for o in origins[:NAMED])
    return shown + (f" and {len(origins) - NAMED} more" if len(origins) > NAMED else "")


def _short(origin: Origin) -> str:
    if origin.role == "secret":
        return "a secret"
    whole = ascii(origin.value)
    return whole if len(whole) <= 2 * END else f"{whole[:END]} … {whole[-END:]}"


def _nobody(origins: tuple[Origin, ...]) -> str:
    seen = next((o.seen for o in origins if o.seen), "")
    where = (
        f"; it was first seen in the result of {seen}" if seen else "; no result holds it as it is"
    )
    return f"neither the goal nor a human nor the team's files name it{where}"
