"""What does everything that works on one run share?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loguru import logger

from crews.records.events import Event, EventKind, Listener, silent
from crews.records.journal import Journal
from crews.records.rows import RunOptions, RunRow, ThreadRow, dollars
from crews.runtime.clock import Clock
from crews.runtime.models import Model
from crews.runtime.shift import Shift
from crews.safety.action import Standing
from crews.safety.grants import narrow_level
from crews.safety.owners import NOBODY, Owners
from crews.safety.redact import Redactor
from crews.settings import Settings
from crews.teams.spec import AgentSpec, TeamSpec
from crews.tools.gate import AnyTool, Gate
from crews.tools.sandbox import Sandbox
from crews.tools.workspace import Workspace


@dataclass(slots=True)
class Scene:
    """One activation of one run."""

    journal: Journal
    team: TeamSpec
    goal: str
    options: RunOptions
    settings: Settings
    workspace: Workspace
    sandbox: Sandbox | None
    sandbox_error: str
    model: Model
    redactor: Redactor
    tools: dict[str, AnyTool]
    """The registered tools; control tools are made per thread."""
    listener: Listener
    slots: asyncio.Semaphore
    """Delegations that may run at once."""
    gate: Gate = field(init=False)
    shift: Shift = Shift()
    protected: tuple[str, ...] = ()
    """Globs of the team's own files, where they lie in the workspace."""
    owners: Owners = NOBODY
    """CODEOWNERS of the user's folder as it was copied."""
    clock: Clock = field(default_factory=Clock)

    def emit(self, kind: EventKind, **values: object) -> None:
        """Tell the listener; a listener that breaks stops nothing."""
        if self.listener is silent:
            return
        told: dict[str, int] = {}
        if kind in _WITH_TOTALS:
            told["run_tokens"], told["run_money"] = self.journal.totals()
        if text := values.get("text"):
            values["text"] = self.redactor.outward(str(text))
        event = Event(kind=kind, run=self.journal.run, at=time.time(), **told, **values)  # type: ignore[arg-type]
        try:
            self.listener(event)
        except Exception:  # noqa: BLE001 - loguru is told, and it fails closed
            logger.exception("a listener broke at {}", kind)

    def row(self) -> RunRow:
        """The run as it stands."""
        return self.journal.row()

    def worked(self) -> float:
        """Seconds of work of this activation that are in no row yet."""
        return self.clock.unwritten()

    def level(self, agent: AgentSpec) -> int:
        """The agent's autonomy: never above the run's."""
        return narrow_level(self.options.autonomy, agent.oversight.autonomy)

    def standing(
        self, agent: AgentSpec, thread: ThreadRow, tools: frozenset[str]
    ) -> Callable[[], Standing]:
        """What policy must know of a thread beside its actions."""
        grant = thread.grant
        level = self.level(agent)
        sandbox = self.sandbox.name if self.sandbox else ""

        def now() -> Standing:
            _, money = self.journal.totals()
            return Standing(
                autonomy=level,
                observe=self.options.observe,
                granted_tools=tools,
                write_paths=grant.write_paths,
                hosts=grant.hosts,
                targets=grant.targets,
                amount=grant.amount,
                spent=dollars(money),
                sandbox=sandbox,
                owners=self.owners,
                protected=self.protected,
            )

        return now


_WITH_TOTALS = {"turn_ended", "run_ended", "run_waiting"}
