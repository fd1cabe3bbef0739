"""What is a tool? A name, typed arguments, one declared effect, a preview, and the effect itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue

from crews.errors import Signal
from crews.safety.action import FileChange
from crews.safety.known import UNDECLARED, Declared
from crews.teams.spec import Effect

if TYPE_CHECKING:
    from crews.records.inbox import Question
    from crews.records.questions import ReviewKind, ReviewRow
    from crews.records.rows import HandOver
    from crews.tools.sandbox import Sandbox
    from crews.tools.workspace import Workspace


class Args(BaseModel):
    """Base of a tool's arguments: frozen, strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


A = TypeVar("A", bound=Args)


def at_most(most: int) -> AfterValidator:
    """More than this is taken as this: a result says itself where it was cut, so no call need fail for it."""
    return AfterValidator(lambda wanted: min(wanted, most))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a call would touch, known without doing it; policy and humans judge this."""

    paths: tuple[str, ...] = ()
    changes: tuple[FileChange, ...] = ()
    command: str = ""
    effect: Effect | None = None
    """Where the call does more than its tool declares: what it is judged as, beside that."""
    confidence: float | None = None
    wider: str = ""
    """A plan's: what it would grant beyond the plan in force, after text by others was read; empty: nothing."""
    beside: tuple[dict[str, JsonValue], ...] = ()
    """What a human should see beside it: the steps of the plan in force."""
    stated: tuple[str, ...] = ()
    """What sensitive things the agent says that its work touches."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told: the whole text here; the gate clips it and keeps the rest."""

    text: str
    is_error: bool = False
    facts: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    """What the audit log is told beside."""
    heard: str = ""
    """Whose words they are (`known.Heard`), where the tool itself knows better than its declaration."""


Judged = tuple[str, str, str]
"""A file's path, and the SHA-256 of what describes it before and after; empty where there is none."""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may use, and nothing else."""

    workspace: Workspace
    sandbox: Sandbox | None
    agent: str
    thread: str
    call: str
    """The call's address in its run, `THREAD:TURN.INDEX`."""
    key: str = ""
    """The call's idempotency key: 64 hexadecimal digits, the same on every attempt, of no other call."""
    writable: bool = True
    """May commands of this thread write in the workspace? False for who only reads and judges."""
    write_paths: tuple[str, ...] = ("**",)
    """Globs of what the thread may write; of a command's other changes nothing stays."""
    protected: tuple[str, ...] = ()
    """Files that no agent may change."""
    sandbox_error: str = ""
    """Why there is no sandbox, if there is none."""
    judged: tuple[Judged, ...] = ()
    """The changes that this call was judged on: it makes these or none. Empty: nobody could see any."""


class ToolError(Exception):
    """A call that failed in a way the model can act on; the text is what it is told."""


class NeedsReview(Signal):
    """Raised by a tool's `run`: a human must decide `question`; then the tool's `decided` goes on."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.title)
        self.question = question


class Tool(ABC, Generic[A]):
    """One thing an agent can do. Only the gate calls `run` and `decided`."""

    name: ClassVar[str]
    description: ClassVar[str]
    """For the model: short, what it does and when to use it."""
    effect: ClassVar[Effect]
    args: ClassVar[type[Args]]
    declared: ClassVar[Declared] = UNDECLARED
    """Roles of its arguments, and whose words its result is."""
    repeatable: ClassVar[bool] = False
    """True: a call that was interrupted may simply run again (every `read` may)."""
    inner: ClassVar[bool] = False
    """True, of a `read`: it only looks, within this process, so that nobody can notice it but the agent that is told
    the result. Its beginning is written down together with its end."""
    keyed: ClassVar[bool] = False
    """True: it hands `context.key` to whoever does the work, who does it once for a key, however often it is
    asked. An interrupted call then runs again under the same key, and no human is asked what happened."""
    review_kind: ClassVar[ReviewKind] = "action"
    """Kind of the review that policy's `ask` on a call of it opens."""
    planning: ClassVar[bool] = False
    """True: it plans or delegates work; its `ask` is loosened at the highest autonomy level only."""
    ends_thread: ClassVar[bool] = False
    """True: once a call of it is done, the thread has handed over."""
    unsaid: frozenset[str] = frozenset()
    """Arguments that the model is not told of, since they mean nothing where it works; they are taken all the same."""

    def preview(self, args: A, context: ToolContext) -> Preview:
        """What the call would touch. Raises ToolError where the arguments can never work."""
        del args, context
        return Preview()

    @abstractmethod
    async def run(self, args: A, context: ToolContext) -> ToolResult:
        """Do it.

        Raises:
            ToolError: a failure that the model can act on.
            NeedsReview: a human must decide first.
        """

    async def decided(self, args: A, context: ToolContext, review: ReviewRow) -> ToolResult:
        """Go on after the review that `run` asked for; raises like `run`."""
        raise NotImplementedError(f"{self.name} asks for no review of its own")

    def handover(self, args: A) -> HandOver:
        """The hand-over that a call of a tool with `ends_thread` makes."""
        raise NotImplementedError(f"{self.name} does not end a thread")
