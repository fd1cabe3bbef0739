"""Who calls: which agent, in which thread, with which tools, and what may such a call use?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from crews.records.rows import CallRow
from crews.records.store import dump
from crews.safety.action import Action, Standing
from crews.safety.known import Known
from crews.safety.labels import Provenance
from crews.teams.spec import Duty
from crews.tools.base import Args, Preview, Tool, ToolContext, ToolError
from crews.tools.evidence import digest, judged

AnyTool = Tool[Any]
"""A tool, whatever arguments it takes."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Who calls: the agent, its thread, and what it may use."""

    agent: str
    duty: Duty
    tools: Mapping[str, AnyTool]
    standing: Callable[[], Standing]
    context: ToolContext
    known: Known = Known()
    """What the thread had read before the answer whose calls these are; without it nothing is trusted."""

    def parse(self, call: CallRow) -> tuple[AnyTool, Args]:
        """The call's tool, and its arguments as the tool takes them; ToolError where that cannot be."""
        tool = self.tools.get(call.tool)
        if tool is None:
            known = ", ".join(sorted(self.tools))
            raise ToolError(f"Denied: you have no tool `{call.tool}`. Yours are: {known}.")
        try:
            return tool, tool.args.model_validate(call.args)
        except ValidationError as error:
            lines = [
                f"- {'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}"
                for e in error.errors()
            ]
            raise ToolError("The arguments are not right:\n" + "\n".join(lines)) from None

    def at(self, call: CallRow) -> ToolContext:
        """What this call may use."""
        key = idempotency_key(call)
        return replace(self.context, call=call.address, key=key, judged=judged(call))

    def action(
        self, call: CallRow, tool: AnyTool, preview: Preview, provenance: Provenance
    ) -> Action:
        """The call as policy judges it."""
        return Action(
            tool=call.tool,
            effect=preview.effect or tool.effect,
            executes=tool.effect == "execute",
            agent=self.agent,
            duty=self.duty,
            thread=call.path,
            arguments=call.args,
            paths=preview.paths,
            changes=preview.changes,
            command=preview.command,
            confidence=preview.confidence,
            provenance=provenance,
            wider=preview.wider,
            beside=preview.beside,
            stated=preview.stated,
            delegation=tool.planning,
        )


def idempotency_key(call: CallRow) -> str:
    """SHA-256 of the call's place (run, thread, turn, index): the same on every attempt, of no other call."""
    return _key(call.run, call.path, call.turn, call.place)


@lru_cache(maxsize=1024)
def _key(*place: str | int) -> str:
    return digest(dump(list(place)))
