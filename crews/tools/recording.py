"""How is what happens to a call written down, and to whom is it told?"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from crews.records import steps
from crews.records.journal import Journal, ruling
from crews.records.rows import FINISHED_CALL, CallRow
from crews.records.steps import Step
from crews.records.store import dump
from crews.safety.action import Action, Verdict
from crews.safety.known import UNDECLARED
from crews.safety.redact import Redactor
from crews.tools import evidence
from crews.tools.results import clip, shortened
from crews.tools.seat import AnyTool, Seat

MASKED = "[secret]"
"""What the audit log holds of an argument whose role is `secret`."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What there is to write of a call whose effect is about to happen."""

    steps: tuple[Step, ...]
    values: Mapping[str, Any]
    """Columns of the call."""
    line: str
    """What it does, in one line of text."""


NOTHING = Beginning((), {}, "")
"""All of it is written."""


@dataclass(frozen=True, slots=True)
class CallLog:
    """Writes each step of a call into the journal before the next one is taken; no secret gets into it."""

    journal: Journal
    redactor: Redactor
    on_call: Callable[[CallRow, str, str], None]
    """Told of each change of a call's state: the row, the agent, one line of text."""

    def refuse(self, call: CallRow, seat: Seat, rule: str, why: str) -> CallRow:
        """Deny a call without asking policy; a call that has ended stays as it is."""
        if call.state in FINISHED_CALL:
            return call
        call = self.ruled(call, seat, Verdict("deny", rule, why))
        return self.ended(call, seat, "denied", f"Denied: {why}.")

    def ruled(
        self,
        call: CallRow,
        seat: Seat,
        verdict: Verdict,
        standing: str = "",
        action: Action | None = None,
    ) -> CallRow:
        """Keep the verdict; the audit log, which nobody can clean later, gets no secret.

        `standing`: the review whose approval holds for the call. `action`: what was judged.
        """
        step = self._ruling(call, seat, verdict, standing, action)
        return self.journal.set_call(call, step, **ruling(verdict))

    def _ruling(
        self, call: CallRow, seat: Seat, verdict: Verdict, standing: str, action: Action | None
    ) -> Step:
        shown = dump(self.redactor.outward_json(_masked(call, seat)))
        labels = sorted(action.provenance.labels) if action else []
        reason = self.redactor.outward(verdict.reason)
        return steps.ruled(verdict, seat.agent, shown, reason, standing, labels)

    def _keep(self, later: object) -> Callable[..., CallRow]:
        """What writes a call, and tells of it: at once, or with what the run writes next."""
        return self.journal.set_call_later if later else self._set

    def _set(
        self, call: CallRow, *taken: Step, told: Callable[[CallRow], None], **values: Any
    ) -> CallRow:
        call = self.journal.set_call(call, *taken, **values)
        told(call)
        return call

    def denied(self, call: CallRow, seat: Seat, verdict: Verdict) -> CallRow:
        """Policy has denied it."""
        text = f"Denied by policy ({verdict.rule}): {verdict.reason}"
        return self.ended(call, seat, "denied", text)

    def impossible(self, call: CallRow, seat: Seat, why: Exception) -> CallRow:
        """The call cannot even be judged: it does not happen."""
        text = str(why)
        if not text.startswith("Denied"):
            return self.ended(call, seat, "failed", text, _quoted(call, seat))
        call = self.ruled(call, seat, Verdict("deny", "not-granted", text))
        return self.ended(call, seat, "denied", text, _quoted(call, seat))

    def allowed(
        self, call: CallRow, seat: Seat, tool: AnyTool, verdict: Verdict, action: Action,
        standing: str = "",
    ) -> Beginning:  # fmt: skip
        """Policy has allowed it, and its effect is about to happen: two entries of one transaction."""
        step = self._ruling(call, seat, verdict, standing, action)
        return self._beginning(call, seat, tool, action, step, **ruling(verdict))

    def started(
        self, call: CallRow, seat: Seat, tool: AnyTool, action: Action | None = None
    ) -> CallRow:
        """The effect is about to happen; `action`: what it will do, where that was judged just now."""
        return self.begun(call, seat, tool, self._beginning(call, seat, tool, action))

    def begun(self, call: CallRow, seat: Seat, tool: AnyTool, beginning: Beginning) -> CallRow:
        """Write a beginning down, before the effect; that of a delegation with the thread that it begins."""

        def tell(now: CallRow) -> None:
            self.tell_of(now, seat, tool, beginning)

        keep = self._keep(tool.planning)
        return keep(call, *beginning.steps, told=tell, **beginning.values)

    def tell_of(self, call: CallRow, seat: Seat, tool: AnyTool, beginning: Beginning) -> None:
        """Tell that a call begins; that a thread ends is told by the thread."""
        if not tool.ends_thread:
            self.on_call(call, seat.agent, beginning.line)

    def _beginning(
        self, call: CallRow, seat: Seat, tool: AnyTool, action: Action | None, *before: Step,
        **values: str,
    ) -> Beginning:  # fmt: skip
        told = action and not tool.ends_thread
        return Beginning(
            (*before, _start(call, seat, tool)),
            {
                **values,
                "state": "started",
                "started_at": time.time(),
                # A human may have edited them; what is kept is what happens.
                "arguments": call.arguments,
                "expected": evidence.expected(action) if action else call.expected,
            },
            self.redactor.text(evidence.label(action)) if told and action else "",
        )

    def ended(
        self,
        call: CallRow,
        seat: Seat,
        state: Literal["done", "failed", "denied"],
        text: str,
        heard: str = "trusted",
        facts: Mapping[str, list[str]] | None = None,
        beginning: Beginning = NOTHING,
    ) -> CallRow:
        """The call has come to its end.

        Args:
            call: The call.
            seat: Who made it.
            state: How it ended.
            text: What the model is told.
            heard: Whose words that is.
            facts: What else the audit log is told.
            beginning: What is not written of its beginning yet; it stands before the end, and with it. Nobody but
                the agent learns of such a call, so that both are written with what the run writes next.
        """
        text = shortened(evidence.edit_note(call, self.journal.store) + text, self.redactor.text)
        shown, whole = clip(text, call)
        more: dict[str, JsonValue] = {
            name: [self.redactor.outward(value) for value in values]
            for name, values in (facts or {}).items()
        }

        def tell(now: CallRow) -> None:
            self.on_call(now, seat.agent, shown.partition("\n")[0][:200])

        return self._keep(beginning.steps or _is_own(call, seat))(
            call,
            *beginning.steps,
            Step(
                "effect_ended" if state != "denied" else "refused",
                {"agent": seat.agent, "state": state, **more},
                keyed={"result": evidence.digest(text)},
            ),
            **{
                **beginning.values,
                "state": state,
                "result": shown,
                "whole_result": whole,
                "is_error": state != "done",
                "label": heard,
                "ended_at": time.time(),
            },
            told=tell,
        )


def _start(call: CallRow, seat: Seat, tool: AnyTool) -> Step:
    sandbox = seat.context.sandbox if call.effect == "execute" else None
    body: dict[str, JsonValue] = {
        "agent": seat.agent,
        "effect": call.effect,
        "sandbox": sandbox.name if sandbox else "",
        "key": seat.at(call).key if tool.keyed else "",
    }
    if sandbox and sandbox.facts:
        body["place"] = dict(sandbox.facts)
    return Step("effect_started", body)


def _is_own(call: CallRow, seat: Seat) -> bool:
    """Is what the call does written by the engine itself: a thread's beginning, or its end?"""
    tool = seat.tools.get(call.tool)
    return tool is not None and tool.effect == "read" and (tool.planning or tool.ends_thread)


def _quoted(call: CallRow, seat: Seat) -> str:
    """Whose words a refusal can hold: a look at what a call would change may quote the file."""
    tool = seat.tools.get(call.tool)
    return "workspace" if tool is not None and tool.effect == "write" else "trusted"


def _masked(call: CallRow, seat: Seat) -> dict[str, JsonValue]:
    """The arguments, without those that are passwords or keys by their role."""
    tool = seat.tools.get(call.tool)
    roles = (tool.declared if tool else UNDECLARED).roles
    return {n: MASKED if roles.get(n) == "secret" else v for n, v in call.args.items()}
