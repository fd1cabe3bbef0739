"""Which keys may stand in a team's files, what is each worth, and what does it do here?

CrewAI's keys were read from crewai 1.15.30: `Agent.model_fields` and `Task.model_fields` (what is
honoured), `AgentConfig` and `TaskConfig` in `project/crew_base.py`, and `project/json_loader.py`
(what is runtime-only). A test compares them with the crewai that is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from pydantic import JsonValue

from crews.teams.spec import (
    MAX_PRIORITY,
    ArgumentRole,
    Duty,
    Effect,
    Label,
    ResultLabel,
    Ruling,
    SandboxChoice,
)

CREWAI_VERSION = "1.15.30"

Kind = Literal[
    "text", "flag", "whole", "number", "wall", "autonomy", "texts", "table", "tables", "lists",
    "named", "words", "any",
]  # fmt: skip
"""`wall`: seconds or `1h30m`; `texts`: texts, or a single one; `tables`: a list of mappings;
`lists`: a mapping from names to lists of mappings; `named`: to mappings; `words`: to one of `choices`."""
Standing = Literal["used", "passed", "idle", "deprecated", "runtime", "refused"]
"""Acted on · handed to CrewAI as written · no effect · no effect, going away · error · error."""

AUTONOMY: Final = ("completion", "assistant", "supervised", "autonomous", "team")
"""Names of the levels; the index is the level."""
SECONDS: Final[Mapping[str, int]] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
MAX_WALL: Final = 36_500 * 86400
"""Longest time that may be written, in seconds: a hundred years, so that its end is a date."""
WALL_PATTERN = r"^([0-9]+(\.[0-9]+)?[smhd])+$"
HOST_PATTERN = r"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$|^[0-9a-fA-F:]+$"
"""Hosts that commands may reach, and addresses at which they may lie."""
NAME_PATTERN = r"^[^\W\d][\w-]{0,63}$"
"""Names of agents, tasks and chains: as in Python, and hyphens."""
TOOL_PATTERN = r"^[A-Za-z0-9_-]{1,64}$|^[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}$"
"""Names of tools from outside: what a tool calls itself, or `module:Class`."""

Fields: TypeAlias = "Mapping[str, Key]"
_NO_FIELDS: Final[Fields] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what it may hold and what becomes of it."""

    kind: Kind = "any"
    help: str = ""
    """What it does, for people who edit the file."""
    required: bool = False
    low: float | None = None
    """Least value; of `texts`, `tables` and each of the `lists`: least number of entries."""
    high: float | None = None
    positive: bool = False
    """Above 0, however little."""
    choices: tuple[str, ...] = ()
    fields: Fields = field(default_factory=lambda: _NO_FIELDS)
    """Keys of a `table`, or of each mapping of `tables`, `lists` and `named`."""
    becomes: str = ""
    """Name of its field in `spec`; empty: the same."""
    standing: Standing = "used"
    why: str = ""
    """Why it has no effect, or is refused."""
    silent: tuple[JsonValue, ...] = ()
    """Values that ask for what happens anyway, so that nothing is said of them."""
    blank: bool = False
    """A key without a value may stand there, with a warning."""

    @property
    def accepted(self) -> bool:
        """May it be given at all?"""
        return self.standing not in {"runtime", "refused"}


def _text(help: str, *, required: bool = False, blank: bool = False) -> Key:
    return Key("text", help, required=required, blank=blank)


def _choice(help: str, choices: object, *, required: bool = False) -> Key:
    return Key("text", help, required=required, choices=get_args(choices))


def _count(help: str, low: int = 1) -> Key:
    return Key("whole", help, low=low)


def _table(help: str, fields: Fields) -> Key:
    return Key("table", help, fields=fields)


def _idle(why: str, *silent: JsonValue, kind: Kind = "any") -> Key:
    return Key(kind, f"No effect: {why}.", standing="idle", why=why, silent=silent, blank=True)


def _idle_flag(why: str, *silent: bool) -> Key:
    return _idle(why, *silent, kind="flag")


def _passed(help: str, kind: Kind = "any") -> Key:
    return Key(kind, help, standing="passed", blank=True)


def _gone(why: str, kind: Kind = "any") -> Key:
    return Key(kind, f"Deprecated: {why}.", standing="deprecated", why=why, blank=True)


def _some(help: str, choices: object = None) -> Key:
    """One text or several, at least one: a rule that matches on nothing would match everything."""
    return Key("texts", help, low=1, choices=get_args(choices) if choices else ())


def _refused(why: str) -> Key:
    return Key(standing="refused", why=why)


_RUNTIME: Final = Key(standing="runtime", why="CrewAI sets it while a crew runs")
_GATE = "it would reach the world past the gate"
_LOOP = "turns are run by this engine's own loop"
_RETRY = "retries are made for each model call, never by doing a task again"
_PYTHON = "it names Python code, which a team's files do not bring"
_SUPERVISOR = "the supervisor plans and delegates"
_JOURNAL = "the journal keeps what a run did"

LIMITS: Final[Fields] = MappingProxyType({
    "tokens": _count("Input, cached and output tokens together."),
    "money": Key("number", "US dollars.", positive=True),
    "wall": Key("wall", "Working time: seconds, or 90s, 30m, 1h30m. Waiting does not count.",
                becomes="wall_seconds"),
    "turns": _count("Model requests."),
    "calls": _count("Tool calls."),
})  # fmt: skip
"""Keys of every `limits:`."""

_AGENT_OVERSIGHT: Final[Fields] = MappingProxyType({
    "duty": _choice("What the agent is for: supervisor, worker, reviewer or escalation.", Duty),
    "fallback": Key("texts", "Models to ask, in order, when `llm` cannot be reached."),
    "write_paths": Key("texts", "Path globs, as in .gitignore, that the agent may write."),
    "limits": _table("Limits of one delegation to this agent.", LIMITS),
    "autonomy": Key("autonomy", "The agent's level, if lower than the team's."),
})  # fmt: skip

AGENT: Final[Fields] = MappingProxyType({
    "role": _text("Who the agent is.", required=True),
    "goal": _text("What it is after.", required=True),
    "backstory": _text("What it knows and how it works.", required=True),
    "llm": _text("Model, such as claude-sonnet-5-5 or openai/gpt-4o.", blank=True),
    "tools": Key("texts", "Tools it is granted; it has no others.", blank=True),
    "max_iter": replace(_count("Turns after which a hand-over is asked for."), blank=True),
    "max_tokens": replace(_count("Longest answer of one request, in tokens."), blank=True),
    "oversight": _table("What this engine adds to CrewAI's keys.", _AGENT_OVERSIGHT),
    # Handed to CrewAI.
    "knowledge_sources": _passed("CrewAI: sources of knowledge."),
    "knowledge_config": _passed("CrewAI: how knowledge is queried."),
    "embedder": _passed("CrewAI: model for embeddings."),
    "guardrail": _passed("CrewAI: check of the answer."),
    "guardrail_max_retries": _passed("CrewAI: how often a guardrail may send an answer back.", "whole"),
    "inject_date": _passed("CrewAI: put the date into the prompt.", "flag"),
    "date_format": _passed("CrewAI: format of that date.", "text"),
    "security_config": _passed("CrewAI: the agent's fingerprint."),
    "entity_type": _passed("CrewAI: always `agent`."),
    # Accepted, so that a team made for CrewAI loads.
    "allow_delegation": _idle_flag(f"{_SUPERVISOR}, nobody else", False),
    "cache": _idle_flag("every tool call goes through the gate, none is answered from a cache", False),
    "verbose": _idle_flag("`crews run --verbose` says what is shown", False, True),
    "max_rpm": _idle("the model's client waits where the endpoint asks for it", kind="whole"),
    "max_retry_limit": _idle(_RETRY, 0, kind="whole"),
    "max_execution_time": _idle("use `oversight: limits: wall`", kind="whole"),
    "use_system_prompt": _idle_flag(_LOOP, True),
    "system_template": _idle(_LOOP),
    "prompt_template": _idle(_LOOP),
    "response_template": _idle(_LOOP),
    "respect_context_window": _idle_flag("long threads are always compacted", True),
    "use_better_compaction": _idle_flag("long threads are always compacted", True),
    "executor_class": _idle(_LOOP),
    "agent_executor": _idle(_LOOP),
    "planning": _idle_flag(_SUPERVISOR, False),
    "planning_config": _idle(_SUPERVISOR),
    "tool_failure_policy": _idle("a failed call is always told to the agent"),
    "step_callback": _idle(_PYTHON),
    "callbacks": _idle(_PYTHON),
    "memory": _idle(_JOURNAL, False),
    "checkpoint": _idle(_JOURNAL, False),
    "skills": _idle("write what it should know into `backstory`"),
    "from_repository": _idle("nothing is fetched: declare the agent here in full"),
    # Deprecated by CrewAI.
    "i18n": _gone("prompts are this engine's own"),
    "function_calling_llm": _gone("the agent's `llm` calls its tools"),
    "allow_code_execution": _gone("grant the tool `run_command` instead", "flag"),
    "code_execution_mode": _gone("commands always run in the sandbox"),
    "multimodal": _gone("there are no tools for images", "flag"),
    "reasoning": _gone(_SUPERVISOR, "flag"),
    "max_reasoning_attempts": _gone(_SUPERVISOR, "whole"),
    # Would get round the gate.
    "mcps": _refused(_GATE),
    "apps": _refused(_GATE),
    "a2a": _refused(_GATE),
    "config": _refused("keys inside it are not checked: write them at the agent itself"),
} | dict.fromkeys((
    "id", "crew", "cache_handler", "tools_handler", "tools_results", "knowledge",
    "knowledge_storage", "adapted_agent", "agent_knowledge_context", "crew_knowledge_context",
    "knowledge_search_query", "execution_context", "checkpoint_kickoff_event_id",
), _RUNTIME))  # fmt: skip
"""Keys of an agent in `agents.yaml`."""

_TASK_OVERSIGHT: Final[Fields] = MappingProxyType({
    "acceptance": _text("How to see that the task is done."),
    "limits": _table("Limits of this task.", LIMITS),
})  # fmt: skip

TASK: Final[Fields] = MappingProxyType({
    "description": _text("What is to be done; {goal} is what the user asked for.", required=True),
    "expected_output": _text("What the result looks like.", required=True),
    "agent": _text("Who does it; without one the supervisor does, who delegates.", blank=True),
    "context": Key("texts", "Tasks whose results this one is given.", blank=True),
    "tools": Key("texts", "Tools for this task beside the agent's own.", blank=True),
    "human_input": Key("flag", "A human reviews the result before it counts."),
    "output_file": _text("Where the result is written: a path inside the workspace.", blank=True),
    "oversight": _table("What this engine adds to CrewAI's keys.", _TASK_OVERSIGHT),
    # Handed to CrewAI.
    "output_json": _passed("CrewAI: model of the result, as JSON."),
    "output_pydantic": _passed("CrewAI: model of the result."),
    "response_model": _passed("CrewAI: model that the answer is asked for in."),
    "markdown": _passed("CrewAI: ask for Markdown.", "flag"),
    "guardrail": _passed("CrewAI: check of the result."),
    "guardrails": _passed("CrewAI: checks of the result."),
    "guardrail_max_retries": _passed("CrewAI: how often a guardrail may send a result back.", "whole"),
    "security_config": _passed("CrewAI: the task's fingerprint."),
    # Accepted, so that a team made for CrewAI loads.
    "name": _idle("a task's name is its key in this file"),
    "create_directory": _idle_flag("folders are made as needed", True),
    "async_execution": Key(standing="refused", silent=(False, None), why=(
        "it hangs when a run pauses; tasks that do not need each other run at once anyway")),
    "callback": _idle(_PYTHON),
    "callbacks": _idle(_PYTHON),
    "converter_cls": _idle(_PYTHON),
    "prompt_context": _idle(_LOOP),
    "input_files": _idle("put the files into the workspace"),
    "tool_failure_policy": _idle("a failed call is always told to the agent"),
    "allow_crewai_trigger_context": _idle_flag("triggers of CrewAI's platform do not come here", False),
    "max_retries": _gone("use `guardrail_max_retries`", "whole"),
    "config": _refused("keys inside it are not checked: write them at the task itself"),
} | dict.fromkeys((
    "id", "used_tools", "tools_errors", "delegations", "output", "processed_by_agents",
    "retry_count", "start_time", "end_time", "checkpoint_original_description",
    "checkpoint_original_expected_output",
), _RUNTIME))  # fmt: skip
"""Keys of a task in `tasks.yaml`."""

WHEN: Final[Fields] = MappingProxyType({
    "tool": _some("Tool names; globs are allowed."),
    "effect": _some("What the tool can do.", Effect),
    "agent": _some("Agents."),
    "duty": _some("Duties of agents.", Duty),
    "path": _some("Path globs, as in .gitignore."),
    "content": _some("What the change is about: a category, or regex:PATTERN."),
    "labels": _some("Where its values come from: untrusted, workspace, values, ungrounded, "
                    "grounded, secret.", Label),
    "owners": _some("Owners of the paths by the folder's CODEOWNERS; globs are allowed."),
    "confidence_below": Key("number", "The agent is less sure than this.", low=0, high=1),
    "cost_above": Key("number", "The run has cost more than this, in US dollars.", low=0),
})  # fmt: skip

RULE: Final[Fields] = MappingProxyType({
    "name": _text("Name of the rule; reviews and the audit log show it.", required=True),
    "when": _table("All that is given must hold; in a list, any entry may.", WHEN),
    "ruling": _choice("allow, ask or deny; the strictest rule that matches wins.", Ruling,
                      required=True),
    "reason": _text("Why; shown to the human and to the agent."),
    "at": Key("text", "When a write is asked about: before the call, or with the change set.",
              choices=("now", "change_set")),
    "role": _text("Who must decide; empty: anyone."),
    "chain": _text("Name of the chain that is asked; empty: `default`, if there is one."),
    "four_eyes": Key("flag", "Whoever started the run, or one it was forked from, cannot decide."),
})  # fmt: skip

STAGE: Final[Fields] = MappingProxyType({
    "role": _text("Who is asked; empty: as before, at first whom the rule's `role` names."),
    "within": Key("wall", "How long: seconds, or 30m, 4h, 2d. Then the next one is asked; after "
                  "the last one it is denied.", required=True),
    "remind": Key("wall", "Time between two reminders; without it there is none."),
})  # fmt: skip
"""Keys of each stage of a chain."""

DAILY: Final[Fields] = MappingProxyType({
    "money": Key("number", "US dollars that all runs of the team may cost in one day (UTC).",
                 positive=True),
})  # fmt: skip

QUEUE: Final[Fields] = MappingProxyType({
    "concurrency": _count("Runs at work at the same time; a waiting one does not count."),
    "starts": _count("How often runs of the team may be begun, or gone on with, in `per`."),
    "per": Key("wall", "The time that `starts` counts in: seconds, or 1m, 1h. Default: 1h."),
    "priority": replace(_count(f"1 to {MAX_PRIORITY}; lower goes first. Default: 100."),
                        high=MAX_PRIORITY),
})  # fmt: skip

TOOL: Final[Fields] = MappingProxyType({
    "effect": Key("text", "What it can do: read, network or external. Default: what its class "
                  "says, else external.", choices=("read", "network", "external")),
    "arguments": Key("words", "Role of each argument: target (who or where), content, amount or "
                     "secret. One that is not named is a target.", choices=get_args(ArgumentRole)),
    "result": _choice("Who can have written what it returns: trusted (only your own people), "
                      "workspace or untrusted (anybody). Default: untrusted.", ResultLabel),
    "secret_fields": _some("Fields of a JSON result that are secret or personal: they do not leave."),
    "trusted_fields": _some("Fields of a JSON result that are trusted, where the rest is not."),
})  # fmt: skip
"""Keys of each tool that `policy.yaml` declares."""

POLICY: Final[Fields] = MappingProxyType({
    "autonomy": Key("autonomy", "0 completion, 1 assistant, 2 supervised, 3 autonomous, 4 team."),
    "limits": _table("Limits of a whole run.", LIMITS),
    "delegation": _table("Limits of each delegation.", LIMITS),
    "max_rework": _count("How often a rejection goes back before a human is asked.", 0),
    "max_parallel": _count("Delegations that run at once."),
    "sandbox": _choice("Where commands run; none: without a sandbox.", SandboxChoice),
    "egress": Key("texts", "Hosts that commands may reach: HOST, *.HOST or HOST:PORT."),
    "compact_above": _count("Tokens of a request above which older results are taken out.", 1000),
    "workspace_limit_mb": _count("Largest folder that is copied, in MiB."),
    "rules": Key("tables", "What is allowed, asked about or denied.", fields=RULE),
    "tools": Key("named", "What tools from outside do, by their name or module:Class.",
                 fields=TOOL),
    "chains": Key("lists", "Who is asked, one after the other, by name of the chain; `default` is "
                  "for all that names none.", low=1, fields=STAGE),
    "daily": _table("What all runs of the team together may take in one day (UTC).", DAILY),
    "queue": _table("How many runs of the team go on at once on the workers.", QUEUE),
})  # fmt: skip
"""Keys of `policy.yaml`."""
