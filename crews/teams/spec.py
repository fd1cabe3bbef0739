"""What is a team, once it has been read and found right? Frozen values, one class a noun."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Duty = Literal["supervisor", "worker", "reviewer", "escalation"]
Effect = Literal["read", "write", "execute", "network", "external"]
Ruling = Literal["allow", "ask", "deny"]
SandboxChoice = Literal["auto", "bubblewrap", "landlock", "docker", "none"]
Autonomy = Annotated[int, Field(ge=0, le=4)]
LEVELS = ("completion", "assistant", "supervised", "autonomous", "team")
"""Names of the levels of autonomy, 0 to 4."""
ArgumentRole = Literal["target", "content", "amount", "secret"]
"""What an argument decides: who or where, what, how much; or that it is a password or key."""
ResultLabel = Literal["trusted", "workspace", "untrusted"]
"""Who can have written what a tool returns: only the team's own people; the user's folder; anybody."""
Label = Literal["values", "workspace", "untrusted", "secret", "grounded", "ungrounded"]
"""What a rule can say of where an action's values come from; see `safety.labels`."""

MAX_PRIORITY: Final = 1000
"""Priority of what goes last."""

CONTENT_CATEGORIES: tuple[str, ...] = (
    "auth",
    "crypto",
    "permissions",
    "sql",
    "secrets",
    "ci",
    "migration",
    "infrastructure",
    "dependencies",
    "process",
    "network",
    "tests_removed",
    "checks_weakened",
    "team_files",
    "owned",
    "stated",
)
"""What `Match.content` may name beside `regex:PATTERN`; `safety.sensitivity` finds them."""


class Frozen(BaseModel):
    """Base of every declared value: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(Frozen):
    """A wall: none of these is passed without a human. `None`: no limit of this kind."""

    tokens: Annotated[int, Field(gt=0)] | None = None
    """Input, cached and output tokens together."""
    money: Annotated[Decimal, Field(gt=0)] | None = None
    """US dollars."""
    wall_seconds: Annotated[float, Field(gt=0)] | None = None
    """Seconds of working time; waiting for a human does not count."""
    turns: Annotated[int, Field(gt=0)] | None = None
    """Model requests."""
    calls: Annotated[int, Field(gt=0)] | None = None
    """Tool calls."""


class AgentOversight(Frozen):
    """Our keys of an agent, under `oversight:`."""

    duty: Duty = "worker"
    fallback: tuple[str, ...] = ()
    """Models to ask when `llm` cannot be reached, in order."""
    write_paths: tuple[str, ...] = ("**",)
    """Path globs (gitwildmatch) that the agent may write; nothing else."""
    limits: Limits = Limits()
    """Limits of one delegation to this agent."""
    autonomy: Autonomy | None = None
    """The agent's level, if lower than the team's."""


class AgentSpec(Frozen):
    """One agent as declared in `agents.yaml`."""

    name: str
    role: str
    goal: str
    backstory: str
    llm: str = "claude-sonnet-5-5"
    tools: tuple[str, ...] = ()
    max_iter: Annotated[int, Field(gt=0)] = 25
    """Turns after which a hand-over is asked for."""
    max_tokens: Annotated[int, Field(gt=0)] = 8192
    """Longest answer of one request, in tokens."""
    oversight: AgentOversight = AgentOversight()
    crewai: dict[str, JsonValue] = {}
    """CrewAI's further keys, as written; passed on to CrewAI."""


class TaskOversight(Frozen):
    """Our keys of a task, under `oversight:`."""

    acceptance: str = ""
    """How to see that the task is done; shown to the agent and to its reviewer."""
    limits: Limits = Limits()


class TaskSpec(Frozen):
    """One task as declared in `tasks.yaml`."""

    name: str
    description: str
    expected_output: str
    agent: str | None = None
    """Who does it; None: the supervisor, who delegates."""
    context: tuple[str, ...] = ()
    """Tasks whose results this one is given; they come before it."""
    tools: tuple[str, ...] = ()
    """Tools for this task beside the agent's own; must be granted to the agent's team."""
    human_input: bool = False
    """A human reviews the result before it counts."""
    output_file: str | None = None
    oversight: TaskOversight = TaskOversight()
    crewai: dict[str, JsonValue] = {}


class Match(Frozen):
    """What a rule looks at. Every key that is given must hold; within a key any entry may match."""

    tool: tuple[str, ...] = ()
    """Tool names, `fnmatch` globs, whole-name match."""
    effect: tuple[Effect, ...] = ()
    agent: tuple[str, ...] = ()
    duty: tuple[Duty, ...] = ()
    path: tuple[str, ...] = ()
    """gitwildmatch globs over the paths that the action touches."""
    content: tuple[str, ...] = ()
    """Categories of `safety.sensitivity` (`auth`, `crypto`, `permissions`, `sql`, `secrets`, `ci`, `migration`,
    `infrastructure`, `dependencies`, `process`, `network`, `tests_removed`, `checks_weakened`, `team_files`,
    `owned`: by a team for security, identity or access; `stated`: by the agent itself) or `regex:PATTERN`,
    judged on changed lines, arguments and commands."""
    labels: tuple[Label, ...] = ()
    """Where the action's values come from: `untrusted`, `workspace`, `values` (what its thread has read),
    `ungrounded` or `grounded` (whether every target and amount is named by somebody trusted), `secret`."""
    owners: tuple[str, ...] = ()
    """Owners of the paths by CODEOWNERS, as globs: `@org/*`, `*@example.com`; in any case."""
    confidence_below: Annotated[float, Field(ge=0, le=1)] | None = None
    cost_above: Annotated[Decimal, Field(ge=0)] | None = None
    """US dollars that the run has spent so far."""


class Stage(Frozen):
    """One station of a chain: who is asked, and for how long."""

    role: str = ""
    """Who may decide; empty: whoever could at the station before, at the first one whom the rule's `role` names."""
    within: Annotated[float, Field(gt=0)]
    """Seconds after which the question goes to the next station; after the last one it is denied."""
    remind: Annotated[float, Field(gt=0)] | None = None
    """Seconds between two reminders; None: no reminder."""


class Chain(Frozen):
    """Who is asked, in which order; silence ends in a denial."""

    name: str
    """`default` is the chain of every review whose rule names none."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]


class Daily(Frozen):
    """What all runs of a team together may take in one day (UTC)."""

    money: Annotated[Decimal, Field(gt=0)] | None = None
    """US dollars."""


class Queueing(Frozen):
    """How many runs of the team go on at once on the workers."""

    concurrency: Annotated[int, Field(gt=0)] | None = None
    """Runs at work at the same time, over all workers; a waiting run does not count."""
    starts: Annotated[int, Field(gt=0)] | None = None
    """Activations that may begin within `per`; None: no limit."""
    per: Annotated[float, Field(gt=0)] = 3600.0
    """Seconds."""
    priority: Annotated[int, Field(ge=1, le=MAX_PRIORITY)] = 100
    """Lower goes first."""


class Rule(Frozen):
    """One rule of `policy.yaml`; every rule that matches speaks, the strictest wins."""

    name: str
    when: Match = Match()
    ruling: Ruling
    reason: str = ""
    at: Literal["now", "change_set"] = "now"
    """When an `ask` on a `write` is put to a human: before the call, or once with the whole change set,
    which is safe because the workspace is a copy."""
    role: str = ""
    """Who must decide; empty: anyone."""
    chain: str = ""
    """Name of the chain that is asked; empty: the team's `default`, if there is one."""
    four_eyes: bool = False
    """Whoever started the run, or one that it was forked from, cannot decide."""


class ToolSpec(Frozen):
    """What `policy.yaml` declares of a tool from outside, which nothing else is known of."""

    name: str
    """The tool's own name, or `module:Class`."""
    effect: Literal["read", "network", "external"] | None = None
    """None: what the tool's class says; `external` where it says nothing."""
    arguments: dict[str, ArgumentRole] = {}
    """Roles of arguments; one that is not named is a `target`."""
    result: ResultLabel = "untrusted"
    """Whose words the result is; `trusted` only where all arguments were trusted, too."""
    secret_fields: tuple[str, ...] = ()
    """Fields of a JSON result that are secret or personal: they leave the run only through an argument whose
    role is `secret`, or with a human's consent before anything of others was read."""
    trusted_fields: tuple[str, ...] = ()
    """Fields of a JSON result that are trusted, where the rest is not."""


class PolicySpec(Frozen):
    """`policy.yaml`: what may happen, and how much of it."""

    autonomy: Autonomy = 2
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    """Limits of a whole run."""
    delegation: Limits = Limits()
    """Limits of each delegation."""
    max_rework: Annotated[int, Field(ge=0)] = 2
    """How often a reviewer's rejection goes back to the author before a human is asked."""
    max_parallel: Annotated[int, Field(gt=0)] = 4
    """Delegations that run at once."""
    sandbox: SandboxChoice = "auto"
    egress: tuple[str, ...] = ()
    """Hosts that commands may reach, as `HOST`, `*.HOST` or `HOST:PORT`; none: no network."""
    compact_above: Annotated[int, Field(ge=1000)] = 120_000
    """Tokens of a thread's request above which older tool results are taken out of it."""
    workspace_limit_mb: Annotated[int, Field(gt=0)] = 500
    """Largest folder that is copied, in MiB."""
    tools: tuple[ToolSpec, ...] = ()
    """What is known of tools from outside."""
    chains: tuple[Chain, ...] = ()
    daily: Daily = Daily()
    queue: Queueing = Queueing()

    def declared(self, *names: str) -> ToolSpec | None:
        """What is declared of the tool of one of these names."""
        return next((t for t in self.tools if t.name in names), None)

    def chain(self, name: str) -> Chain | None:
        """The chain of that name; the `default` one where the name is empty."""
        return next((c for c in self.chains if c.name == (name or "default")), None)


class TeamSpec(Frozen):
    """A team as loaded: this value, as JSON, is the snapshot that a run keeps."""

    name: str
    folder: Path
    agents: tuple[AgentSpec, ...]
    tasks: tuple[TaskSpec, ...]
    policy: PolicySpec = PolicySpec()
    sources: dict[str, str] = {}
    """File name -> text, as loaded."""

    def agent(self, name: str) -> AgentSpec:
        """The agent of that name; KeyError if there is none."""
        return next(a for a in self.agents if a.name == name) if self.has(name) else _missing(name)

    def has(self, name: str) -> bool:
        """Is there an agent of that name?"""
        return any(a.name == name for a in self.agents)

    def on_duty(self, duty: Duty) -> AgentSpec | None:
        """The first agent with that duty."""
        return next((a for a in self.agents if a.oversight.duty == duty), None)


def _missing(name: str) -> AgentSpec:
    raise KeyError(name)
