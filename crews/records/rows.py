"""What does one row of the journal hold, as a value? The fields are the columns of `tables`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from crews.records.kept import read
from crews.records.options import RunOptions
from crews.teams.spec import Duty, Limits, TeamSpec

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy import Row

R = TypeVar("R")
RunStatus = Literal["queued", "running", "waiting", "completed", "failed", "stopped"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "stopped"})
ThreadKind = Literal["task", "delegation", "brief"]
CallState = Literal["proposed", "waiting", "started", "done", "failed", "denied", "unknown"]
FINISHED_CALL: frozenset[str] = frozenset({"done", "failed", "denied"})

NANO = 1_000_000_000


def row_as(kind: type[R], row: Row[tuple[object, ...]]) -> R:
    """A database row as the dataclass whose fields are its columns."""
    return kind(*_in_order(kind)(row))


def columns_of(row: DataclassInstance) -> dict[str, Any]:
    """Column -> value of a row that is to be written; its values are not copied."""
    return {name: getattr(row, name) for name in _names(type(row))}


@cache
def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


@cache
def _in_order(kind: type[Any]) -> Callable[[object], tuple[Any, ...]]:
    """What reads the columns of a row, in the order of the dataclass's fields."""
    return attrgetter(*_names(kind))


def dollars(nano: int) -> Decimal:
    """Nano-dollars as dollars."""
    return Decimal(nano) / NANO


@dataclass(frozen=True, slots=True)
class RunRow:
    """One kickoff of a team on a goal."""

    id: str
    goal: str
    inputs: str
    team: str
    team_name: str
    options: str
    status: RunStatus
    reason: str
    exit_code: int | None
    owner: str
    epoch: int
    stop_asked: bool
    limits: str
    tokens: int
    money: int
    money_known: bool
    turns: int
    calls: int
    working_seconds: float
    approved_hash: str
    applied_hash: str
    summary: str
    created_at: float
    started_at: float | None
    ended_at: float | None
    home: str
    """Which folder of runs holds its workspace; see `owner.home_id`."""
    priority: int
    """Lower goes first; 1 to 1000."""
    submission: str | None
    """The caller's idempotency key, unique: one submission is one run."""
    origin: str
    """What made it: `retry:RUN`, `fork:RUN@TURN`, `schedule:NAME`; empty: a person."""
    woken: bool
    """A human decided something, or asked for the end, since its owner last looked."""
    workflow: str
    """The activation that was last enqueued; empty: none."""
    left_by: str
    """An owner that lost the run and may still be there, frozen or cut off, with the workspace in its hands."""
    deaths: int
    """Owners in a row that died without getting any further."""
    deaths_at: int
    """Turns and calls that were recorded when an owner last died."""
    purged_at: float | None
    """When its contents were removed; the audit log keeps what was decided."""

    @property
    def spec(self) -> TeamSpec:
        """The team as it was when the run began."""
        return read(TeamSpec, self.team)

    @property
    def asked(self) -> RunOptions:
        """How the run was asked for."""
        return read(RunOptions, self.options)

    @property
    def walls(self) -> Limits:
        """The run's limits, with every extension that was granted."""
        return read(Limits, self.limits)


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run or a thread may take, and has taken; as in their rows."""

    limits: str
    tokens: int
    money: int
    money_known: bool
    working_seconds: float
    turns: int
    calls: int

    @property
    def walls(self) -> Limits:
        """The limits, with every extension that was granted."""
        return read(Limits, self.limits)


class ReturnField(BaseModel):
    """One value that a quarantined reader returns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z_]\w*$")]
    kind: Literal["number", "flag", "date", "email", "link", "path", "word", "choice"]
    choices: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    """Of a `choice`."""
    many: bool = False
    """A list of such values, 50 at most."""


class Grant(BaseModel):
    """What one thread may use: never more than its agent has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tools: tuple[str, ...]
    write_paths: tuple[str, ...] = ("**",)
    duty: Duty = "worker"
    writes: bool = False
    """May it change the workspace: does it have a tool that writes?"""
    hosts: tuple[str, ...] | None = None
    """Hosts that the plan names; None: it names none."""
    targets: dict[str, tuple[str, ...]] = {}
    """`TOOL.ARGUMENT`, or `TOOL` for all of its arguments -> the values that the plan names."""
    amount: Decimal | None = None
    """The most that the plan grants for one amount; None: it names none."""
    returns: tuple[ReturnField, ...] = ()
    """What a quarantined reader hands over, and nothing else; empty: it is none."""


class HandOver(BaseModel):
    """How an agent ends its thread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str
    changes: tuple[str, ...] = ()
    """What the agent says it changed, one line each."""
    evidence: tuple[str, ...] = ()
    """Calls that show it, as the agent names them: `TURN.INDEX`."""
    confidence: float = 0.0
    open_questions: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    """What sensitive things the agent says that its work touches."""
    verdict: Literal["approve", "reject"] | None = None
    """A reviewer's judgement of the change set as it stood."""


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """One agent's conversation."""

    run: str
    path: str
    kind: ThreadKind
    agent: str
    task: str
    step: str
    model: str
    system: str
    tools: str
    brief: str
    grants: str
    limits: str
    state: Literal["open", "done", "failed"]
    handover: str | None
    flags: str
    hash_before: str
    hash_after: str
    compacted: int
    """Turns whose long results are no longer sent to the model."""
    finish_now: bool
    tokens: int
    money: int
    money_known: bool
    turns: int
    calls: int
    working_seconds: float
    started_at: float
    ended_at: float | None
    label: str = "untrusted"
    """What the one who began the thread had read by then (`safety.labels.Exposure`)."""

    @property
    def grant(self) -> Grant:
        """What the thread may use."""
        return read(Grant, self.grants)

    @property
    def walls(self) -> Limits:
        """The thread's own limits, with every extension that was granted."""
        return read(Limits, self.limits)

    @property
    def outcome(self) -> HandOver | None:
        """The hand-over, once there is one."""
        return None if self.handover is None else HandOver.model_validate_json(self.handover)

    @property
    def flagged(self) -> tuple[str, ...]:
        """What code found wrong with the hand-over."""
        return tuple(json.loads(self.flags))


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One model request and its answer."""

    run: str
    path: str
    turn: int
    request_hash: str
    model: str
    blocks: str
    """The answer's content blocks: a JSON array, as received."""
    stop_reason: str
    notice: str
    """Text that the engine adds to the user message that follows."""
    input_tokens: int
    output_tokens: int
    cache_write_tokens: int
    cache_read_tokens: int
    money: int | None
    """Nano-dollars; None: no price is known for the model."""
    seconds: float
    ended_at: float
    copied: bool = False
    """Taken over from the run that this one was forked from, which has paid for it."""

    @property
    def tokens(self) -> int:
        """Every token of the turn."""
        read = self.input_tokens + self.cache_write_tokens + self.cache_read_tokens
        return read + self.output_tokens

    @property
    def content(self) -> list[dict[str, Any]]:
        """The content blocks, parsed."""
        return json.loads(self.blocks)


@dataclass(frozen=True, slots=True)
class CallRow:
    """One tool call."""

    run: str
    path: str
    turn: int
    place: int
    use_id: str
    tool: str
    arguments: str
    effect: str
    ruling: str
    rule: str
    reason: str
    findings: str
    state: CallState
    result: str
    whole_result: str | None
    is_error: bool
    review: str
    epoch: int
    expected: str
    """What a write was to change: JSON list of [path, hash before, hash after]; empty: not known."""
    started_at: float | None
    ended_at: float | None
    rules: str = "[]"
    """JSON list: every rule that made the ruling; of an `ask` every rule that asks, now or later."""
    label: str = ""
    """Whose words the result is (`safety.known.Heard`); empty: there is none, or nobody said."""

    @property
    def address(self) -> str:
        """Where it stands in its run: `THREAD:TURN.INDEX`."""
        return call_address(self.path, self.turn, self.place)

    @property
    def ruled_by(self) -> tuple[str, ...]:
        """Every rule that made the ruling; empty: nothing was ruled yet."""
        return tuple(json.loads(self.rules)) or ((self.rule,) if self.rule else ())

    @property
    def args(self) -> dict[str, JsonValue]:
        """The arguments, parsed."""
        return json.loads(self.arguments)


def call_address(path: str, turn: int, place: int) -> str:
    """A call's place in its run."""
    return f"{path}:{turn}.{place}"


def child_path(path: str, turn: int, place: int) -> str:
    """Path of the thread that a call opens."""
    return f"{path.rstrip('/')}/{turn}.{place}"
