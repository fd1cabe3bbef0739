"""May this action happen: yes, only with a human's consent, or no?

`judge` is a pure function. What no rule can loosen comes first: grants, paths, the autonomy level,
observation, secrets that would leave. Then every rule that matches speaks, the default and the questions about
targets (`aiming`) with them, and the strictest wins; an `allow` rule silences the default and nothing else.
Any error while judging is a `deny`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from crews.safety import aiming, autonomy
from crews.safety.action import STRICTNESS, Action, Finding, Standing, Verdict
from crews.safety.matching import speaking, touched
from crews.safety.paths import EVERYTHING, covered, escapes, in_git, meets
from crews.safety.sensitivity import findings as sensitive
from crews.safety.stating import owned, stated
from crews.teams.spec import Effect, PolicySpec, Rule, Ruling

JUDGE_ERROR = "judge-error"
DEFERRABLE: frozenset[Effect] = frozenset({"write", "execute"})
"""Effects that stay in the run's own copy, so that a question about them can wait."""


def judge(policy: PolicySpec, action: Action, standing: Standing) -> Verdict:
    """What policy says of the action, at the level of autonomy in `standing`. Never raises."""
    try:
        return _judged(policy, action, standing)
    except Exception as error:  # noqa: BLE001 - an error while judging must refuse, whatever it is
        reason = (
            f"The action could not be judged ({type(error).__name__}: {error}), so it is refused."
        )
        return Verdict("deny", JUDGE_ERROR, reason, rules=(JUDGE_ERROR,))


def _judged(policy: PolicySpec, action: Action, standing: Standing) -> Verdict:
    for name, refusal in _BUILT_IN:
        if reason := refusal(action, standing):
            return Verdict("deny", name, reason, rules=(name,))
    found = _findings(policy, action, standing)
    rules = speaking(policy.rules, action, standing, found)
    opinions = tuple(_opinion(rule, action) for rule in rules)
    if not any(rule.ruling == "allow" for rule in rules):
        opinions += (_default(action, standing),)
    opinions += tuple(_Opinion("ask", *asked) for asked in aiming.questions(action, standing))
    verdict = replace(_strictest(opinions, found), owners=_owners(action, standing))
    return autonomy.loosen(verdict, action, standing.autonomy)


def _findings(policy: PolicySpec, action: Action, standing: Standing) -> tuple[Finding, ...]:
    found = sensitive(action.changes, action.command, action.arguments)
    if action.effect == "read":
        # What a reader asks for is only words; a secret among them is one all the same.
        found = tuple(finding for finding in found if finding.category == "secrets")
    else:
        found += owned(touched(action), standing.owners)
    return found + stated(policy, action)


def _owners(action: Action, standing: Standing) -> tuple[str, ...]:
    if action.effect == "read":
        return ()
    found = (owner for path in touched(action) for owner in standing.owners.of(path))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What one rule, or the default, says of the action."""

    ruling: Ruling
    rule: str
    reason: str
    deferred: bool = False
    role: str = ""

    @property
    def weight(self) -> tuple[int, bool]:
        return STRICTNESS[self.ruling], not self.deferred


def _opinion(rule: Rule, action: Action) -> _Opinion:
    later = rule.ruling == "ask" and rule.at == "change_set" and action.effect in DEFERRABLE
    reason = rule.reason or f"The team's rule `{rule.name}` says {rule.ruling} to `{action.tool}`."
    return _Opinion(rule.ruling, rule.name, reason, later, rule.role)


def _strictest(opinions: tuple[_Opinion, ...], found: tuple[Finding, ...]) -> Verdict:
    top = max(opinion.weight for opinion in opinions)
    winners = [opinion for opinion in opinions if opinion.weight == top]
    first = winners[0]
    # What is asked now is not asked again with the change set: who asks later has a say in it, too.
    asking = [o for o in opinions if o.ruling == first.ruling == "ask"]
    roles = tuple(dict.fromkeys(o.role for o in asking if o.role))
    return Verdict(
        ruling=first.ruling,
        rule=first.rule,
        reason=first.reason,
        findings=found,
        deferred=first.deferred,
        role=roles[0] if roles else "",
        roles=roles,
        asking=tuple(o.rule for o in sorted(asking, key=lambda o: o.deferred)),
        rules=tuple(opinion.rule for opinion in winners),
    )


def _default(action: Action, standing: Standing) -> _Opinion:
    tool = f"`{action.tool}`"
    match action.effect:
        case "read":
            return _Opinion("allow", "default-read", f"{tool} only reads.")
        case "write":
            reason = f"{tool} writes to the run's own copy, which is reviewed as a whole."
            return _Opinion("allow", "default-write", reason)
        case "execute" if _sandboxed(standing):
            reason = f"{tool} runs in the {standing.sandbox} sandbox."
            return _Opinion("allow", "default-execute", reason)
        case "execute":
            return _Opinion("ask", autonomy.UNCONFINED, f"{tool} runs a command without a sandbox.")
        case "network":
            return _Opinion("ask", "default-network", f"{tool} reaches the network.")
        case "external":
            reason = f"{tool} has an effect outside the run that cannot be undone."
            return _Opinion("ask", "default-external", reason)


def _sandboxed(standing: Standing) -> bool:
    return standing.sandbox not in {"", "none"}


def _not_granted(action: Action, standing: Standing) -> str:
    if action.tool in standing.granted_tools:
        return ""
    return f"`{action.tool}` is not among the tools that {action.agent} was granted."


def _above_level(action: Action, standing: Standing) -> str:
    level = standing.autonomy
    if action.effects <= autonomy.tools_allowed(level):
        return ""
    return f"Level {level} ({autonomy.name(level)}) allows no tool with the effect {action.effect}."


def _observing(action: Action, standing: Standing) -> str:
    if not standing.observe or action.effect in {"read", "write"}:
        return ""
    if action.effect == "execute" and _sandboxed(standing):
        return ""
    return f"This run only observes, and `{action.tool}` would {_DOES[action.effect]}."


_DOES: dict[Effect, str] = {
    "read": "read",
    "write": "write",
    "execute": "run a command without a sandbox",
    "network": "reach the network",
    "external": "have an effect outside the run",
}


def _written(action: Action) -> tuple[str, ...]:
    """Paths that the action would write: those it changes, and for a `write` all it names."""
    if action.effect == "write":
        return touched(action)
    return tuple(change.path for change in action.changes)


def _forbidden_path(action: Action, standing: Standing) -> str:
    paths = _written(action)
    if action.effect == "write" and not paths:
        return f"`{action.tool}` does not say which paths it would write."
    return next((r for path in paths if (r := _forbidden(path, action, standing))), "")


def _forbidden(path: str, action: Action, standing: Standing) -> str:
    if escapes(path):
        return f"`{path}` is not a path inside the workspace."
    if in_git(path):
        return f"`{path}` belongs to git itself, which no agent writes."
    if any(meets(guard, path) for guard in standing.protected):
        return f"`{path}` is protected from every agent."
    if not covered(standing.write_paths, path):
        allowed = ", ".join(g for g in standing.write_paths if g != EVERYTHING) or "nothing"
        return f"{action.agent} may not write `{path}`, only {allowed}."
    return ""


_BUILT_IN: tuple[tuple[str, Callable[[Action, Standing], str]], ...] = (
    ("not-granted", _not_granted),
    ("autonomy-level", _above_level),
    ("observe", _observing),
    ("write-paths", _forbidden_path),
    (aiming.SECRET_LEAVES, aiming.secret_leaves),
    (aiming.BEYOND_GRANT, aiming.beyond_when_exposed),
)
"""Refusals that no rule can loosen: a name, and a reason or nothing."""
