"""What is about to happen, as data; and what was ruled on it?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import JsonValue

from crews.safety.labels import Provenance
from crews.safety.owners import NOBODY, Owners
from crews.teams.spec import Duty, Effect, Ruling

STRICTNESS: dict[Ruling, int] = {"allow": 0, "ask": 1, "deny": 2}


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after; `None`: it does not exist. Binary content is its hash line."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """A tool call before it happens."""

    tool: str
    effect: Effect
    agent: str
    duty: Duty
    thread: str
    arguments: Mapping[str, JsonValue]
    paths: tuple[str, ...] = ()
    """Workspace-relative POSIX paths that it touches."""
    changes: tuple[FileChange, ...] = ()
    """What it would change, if that is known beforehand."""
    command: str = ""
    executes: bool = False
    """A command, which is judged as `execute` whatever else its effect is."""
    confidence: float | None = None
    """What the agent itself stated, 0 to 1."""
    provenance: Provenance = Provenance()
    """Where its values come from, and what its thread has read."""
    wider: str = ""
    """A plan's: what it would grant beyond the plan that is in force; empty: nothing."""
    beside: tuple[dict[str, JsonValue], ...] = ()
    """What a human should see beside it: the steps of the plan in force."""
    stated: tuple[str, ...] = ()
    """What sensitive things the agent says that its work touches; it can only add to what is found."""
    delegation: bool = False
    """A supervisor's `plan` or `delegate`: at level 3 an `ask` on it stays an `ask`."""

    @property
    def effects(self) -> frozenset[Effect]:
        """All that it is judged as."""
        return frozenset({self.effect, "execute"} if self.executes else {self.effect})


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why an action is sensitive: which rule, on which line."""

    category: str
    path: str
    line: int
    """1-based line in the new file (the old one for a removal); 0: the path itself."""
    detail: str
    stated: bool = False
    """Nothing but the agent's own word for it: it counts where a rule restricts, never where one loosens."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What policy says of an action."""

    ruling: Ruling
    rule: str
    reason: str
    findings: tuple[Finding, ...] = ()
    deferred: bool = False
    """An `ask` that is put with the change set, not now: the call itself goes on."""
    role: str = ""
    """The first of `roles`; empty: anyone may decide."""
    roles: tuple[str, ...] = ()
    """Every role that an asking rule names: each of them must agree."""
    asking: tuple[str, ...] = ()
    """Every rule that asks, now or with the change set, those that ask now first; empty: nobody is asked."""
    owners: tuple[str, ...] = ()
    """Who owns the paths that it touches, by CODEOWNERS."""
    rules: tuple[str, ...] = ()
    """Every rule that ruled as strictly as `rule` did; `rule` is the first of them."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What policy must know beside the action."""

    autonomy: int
    observe: bool = False
    granted_tools: frozenset[str] = frozenset()
    write_paths: tuple[str, ...] = ("**",)
    spent: Decimal = Decimal(0)
    sandbox: str = ""
    """Backend that holds; empty: none."""
    hosts: tuple[str, ...] | None = None
    """Hosts that the plan grants; None: it names none, so that grounding alone decides."""
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """`TOOL.ARGUMENT`, or `TOOL` for all of its arguments -> the values that the plan names; what is not there is left
    open."""
    amount: Decimal | None = None
    """The most that the plan grants for one amount; None: it names none."""
    owners: Owners = NOBODY
    """CODEOWNERS of the user's folder as it was when the run began."""
    protected: tuple[str, ...] = field(default=())
    """Paths that no agent may write, whatever the rules say (the team's own files)."""
