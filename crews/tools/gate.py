"""May this call happen, and has it? The only place from which a tool is run; it fails closed.

A call moves: proposed -> (waiting) -> started -> done | failed | denied | unknown. Each state is committed
before the next thing happens, so that a new owner of the run goes on at the exact call.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from loguru import logger
from pydantic import JsonValue, ValidationError

from crews.errors import (
    EXIT_FAILED,
    KeyMissing,
    ModelAuthError,
    ModelError,
    StopRun,
    StoreError,
    TapeMismatch,
    Waiting,
)
from crews.records import inbox
from crews.records.inbox import Question
from crews.records.journal import Journal
from crews.records.rows import FINISHED_CALL, CallRow, ReviewRow
from crews.records.store import dump
from crews.safety.action import Action, Standing, Verdict
from crews.safety.policy import judge
from crews.safety.redact import Redactor
from crews.teams.spec import Duty, PolicySpec
from crews.tools import evidence
from crews.tools.base import (
    Args,
    NeedsReview,
    Preview,
    Tool,
    ToolContext,
    ToolError,
    ToolResult,
)
from crews.tools.results import clip, plain

Opener = Callable[[Question, dict[str, Any]], Awaitable[ReviewRow]]
"""Opens a review, with the escalation agent's brief where there is one."""
AnyTool = Tool[Any]
_OF_THE_RUN = (KeyMissing, ModelAuthError, ModelError, StoreError, TapeMismatch)
"""Errors that a delegation may meet and no agent can act on: the run stops here and keeps its place."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Who calls: the agent, its thread, and what it may use."""

    agent: str
    duty: Duty
    tools: Mapping[str, AnyTool]
    standing: Callable[[], Standing]
    context: ToolContext


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges, records, runs. One for a run."""

    journal: Journal
    policy: PolicySpec
    team_hash: str
    redactor: Redactor
    open_review: Opener
    on_call: Callable[[CallRow, str, str], None]
    """Told of each change of a call's state: the row, the agent, one line of text."""

    async def settle(self, call: CallRow, seat: Seat) -> CallRow:
        """Take a call to its end, from whatever state it is in.

        Raises:
            Waiting: a human must decide first.
            StopRun: a human decided that the run ends.
        """
        while call.state not in FINISHED_CALL:
            call = await self._step(call, seat)
        return call

    async def _step(self, call: CallRow, seat: Seat) -> CallRow:
        if call.state == "proposed":
            return await self._judge(call, seat)
        if call.state in {"waiting", "unknown"}:
            return await self._resume(call, seat)
        if call.epoch != self.journal.epoch:
            return await self._recover(call, seat)
        return await self._run(call, seat)

    def refuse(self, call: CallRow, seat: Seat, rule: str, why: str) -> CallRow:
        """Deny a call without asking policy; a call that has ended stays as it is."""
        if call.state in FINISHED_CALL:
            return call
        call = self._rule(call, seat, Verdict("deny", rule, why))
        return self._denied(call, seat, f"Denied: {why}.")

    # -- judging ------------------------------------------------------------------------------

    async def _judge(self, call: CallRow, seat: Seat) -> CallRow:
        try:
            tool, args = self._parse(call, seat)
            action = self._action(call, seat, tool, args)
        except ToolError as error:
            return self._refused(call, seat, str(error))
        verdict = self._verdict(action, seat)
        call = self._rule(call, seat, verdict)
        if verdict.ruling == "deny":
            return self._denied(call, seat, f"Denied by policy ({verdict.rule}): {verdict.reason}")
        if verdict.ruling == "ask" and not verdict.deferred:
            return await self._ask(call, seat, action, verdict)
        return self._start(call, seat, action)

    def _verdict(self, action: Action, seat: Seat) -> Verdict:
        """Policy's verdict; whatever goes wrong on the way to it is a denial."""
        try:
            verdict = judge(self.policy, action, seat.standing())
            if verdict.ruling == "ask" and seat.duty == "escalation":
                # It prepares a question to a human; questions about that one would have no end.
                why = f"{verdict.reason} Nobody is asked while a brief is written."
                verdict = replace(verdict, ruling="deny", reason=why, deferred=False)
            return verdict
        except Exception as error:  # noqa: BLE001 - loguru is told, and it fails closed
            logger.exception("judging {} failed", action.tool)
            return Verdict("deny", "judge-error", f"judging failed: {error}")

    def _rule(self, call: CallRow, seat: Seat, verdict: Verdict) -> CallRow:
        """Keep the verdict; the audit log, which nobody can clean later, gets no secret."""
        shown = self.redactor.json(dict(call.args))
        return self.journal.rule_call(call, verdict, seat.agent, dump(shown))

    def _parse(self, call: CallRow, seat: Seat) -> tuple[AnyTool, Args]:
        tool = seat.tools.get(call.tool)
        if tool is None:
            known = ", ".join(sorted(seat.tools))
            raise ToolError(f"Denied: you have no tool `{call.tool}`. Yours are: {known}.")
        try:
            return tool, tool.args.model_validate(call.args)
        except ValidationError as error:
            lines = [
                f"- {'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}"
                for e in error.errors()
            ]
            raise ToolError("The arguments are not right:\n" + "\n".join(lines)) from None

    def _action(self, call: CallRow, seat: Seat, tool: AnyTool, args: Args) -> Action:
        try:
            preview: Preview = tool.preview(args, self._context(call, seat))
        except ToolError:
            raise
        except Exception as error:
            logger.exception("previewing {} failed", call.tool)
            raise ToolError(f"Denied: what the call would do cannot be known: {error}") from error
        return Action(
            tool=call.tool,
            effect=tool.effect,
            agent=seat.agent,
            duty=seat.duty,
            thread=call.path,
            arguments=call.args,
            paths=preview.paths,
            changes=preview.changes,
            command=preview.command,
            confidence=preview.confidence,
            delegation=tool.planning,
        )

    def _context(self, call: CallRow, seat: Seat) -> ToolContext:
        return replace(seat.context, call=call.address)

    # -- asking -------------------------------------------------------------------------------

    async def _ask(self, call: CallRow, seat: Seat, action: Action, verdict: Verdict) -> CallRow:
        question = Question(
            kind=seat.tools[call.tool].review_kind,
            address=call.address,
            agent=seat.agent,
            title=f"{seat.agent} wants to use {call.tool}{evidence.target(action)}",
            subject=evidence.subject(action),
            content_hash=evidence.content_hash(action, self.team_hash, seat.context.workspace),
            rule=verdict.rule,
            reason=verdict.reason,
            role=verdict.role,
            findings=verdict.findings,
        )
        await self._open(call, seat, question)
        raise Waiting(call.address)

    async def _open(self, call: CallRow, seat: Seat, question: Question) -> None:
        review = await self.open_review(question, {"state": "waiting"})
        self.on_call(replace(call, state="waiting", review=review.id), seat.agent, question.title)

    async def _resume(self, call: CallRow, seat: Seat) -> CallRow:
        review = inbox.get_review(self.journal.store, call.review)
        if review.state == "open":
            raise Waiting(call.address)
        if review.state == "void":
            return self.journal.set_call(call, state="proposed", review="")
        if review.decision == "stop":
            raise StopRun(
                f"stopped by {review.decided_by} at review {review.id}", exit_code=EXIT_FAILED
            )
        if review.kind == "unknown":
            return self._resolved(call, seat, review)
        if review.kind in {"action", "plan"}:
            return await self._apply_decision(call, seat, review)
        return await self._continue_tool(call, seat, review)

    async def _apply_decision(self, call: CallRow, seat: Seat, review: ReviewRow) -> CallRow:
        """Act on what a human decided about a call that policy had asked about."""
        if review.decision == "reject":
            text = f"A human refused this: <human>{review.answer}</human>"
            return self._denied(call, seat, text)
        if review.decision == "edit":
            call = self.journal.set_call(call, arguments=dump(review.edited or {}))
        try:
            tool, args = self._parse(call, seat)
            action = self._action(call, seat, tool, args)
        except ToolError as error:
            return self._refused(call, seat, str(error))
        verdict = self._verdict(action, seat)
        if verdict.ruling == "deny" or review.decision == "edit":
            call = self._rule(call, seat, verdict)  # the log gets the arguments that a human wrote
        if verdict.ruling == "deny":
            return self._denied(call, seat, f"Denied by policy ({verdict.rule}): {verdict.reason}")
        if (
            review.decision != "edit"
            and evidence.content_hash(action, self.team_hash, seat.context.workspace)
            != review.content_hash
        ):
            inbox.void_review(self.journal, review, "what was approved has changed since")
            return self.journal.set_call(call, state="proposed", review="")
        return self._start(call, seat, action)

    # -- doing --------------------------------------------------------------------------------

    def _start(self, call: CallRow, seat: Seat, action: Action | None = None) -> CallRow:
        sandbox = seat.context.sandbox
        body: dict[str, JsonValue] = {
            "agent": seat.agent,
            "effect": call.effect,
            "sandbox": sandbox.name if sandbox and call.effect == "execute" else "",
        }
        call = self.journal.set_call(
            call,
            "effect_started",
            body,
            state="started",
            started_at=time.time(),
            # A human may have edited them; what is kept is what happens.
            arguments=call.arguments,
            expected=evidence.expected(action) if action else call.expected,
        )
        if not seat.tools[call.tool].ends_thread:  # that the thread ends is told by the thread
            label = self.redactor.text(evidence.label(action)) if action else ""
            self.on_call(call, seat.agent, label)
        return call

    async def _run(self, call: CallRow, seat: Seat) -> CallRow:
        try:
            tool, args = self._parse(call, seat)
        except ToolError as error:
            return self._refused(call, seat, str(error))
        return await self._outcome(call, seat, tool.run(args, self._context(call, seat)))

    async def _continue_tool(self, call: CallRow, seat: Seat, review: ReviewRow) -> CallRow:
        """Let a tool that asked its own question go on with the answer."""
        try:
            tool, args = self._parse(call, seat)
        except ToolError as error:
            return self._refused(call, seat, str(error))
        return await self._outcome(
            call, seat, tool.decided(args, self._context(call, seat), review)
        )

    async def _outcome(self, call: CallRow, seat: Seat, work: Awaitable[ToolResult]) -> CallRow:
        try:
            result = await work
        except NeedsReview as need:
            await self._open(call, seat, need.question)
            raise Waiting(call.address) from None
        except ToolError as error:
            result = ToolResult(str(error), is_error=True)
        except _OF_THE_RUN:
            raise
        except Exception as error:  # noqa: BLE001 - loguru is told, and it fails closed
            logger.exception("tool {} broke", call.tool)
            result = ToolResult(f"The tool broke: {type(error).__name__}: {error}", is_error=True)
        return self._end(call, seat, "failed" if result.is_error else "done", result.text)

    async def _recover(self, call: CallRow, seat: Seat) -> CallRow:
        """A dead owner had started this call: may it run again, or must a human say what happened?"""
        tool = seat.tools.get(call.tool)
        happened = evidence.happened(call, seat.context.workspace)
        if happened:
            return self._end(call, seat, "done", "Done. (The run was interrupted right after it.)")
        # A write whose file is neither as before nor as after was overtaken: again, it would undo that.
        harmless = tool is not None and tool.effect == "read"
        again = tool is not None and tool.repeatable and not call.expected
        if tool is not None and (harmless or again or happened is False):
            return self.journal.set_call(
                call, "effect_restarted", {"agent": seat.agent}, state="started"
            )
        question = evidence.did_it_happen(call, seat.agent)
        review = await self.open_review(question, {"state": "unknown"})
        self.on_call(replace(call, state="unknown", review=review.id), seat.agent, question.title)
        raise Waiting(call.address)

    def _resolved(self, call: CallRow, seat: Seat, review: ReviewRow) -> CallRow:
        if review.answer == "done":
            return self._end(
                call, seat, "done", "A human confirmed that this was done; its output is lost."
            )
        return self._start(call, seat)

    # -- ending -------------------------------------------------------------------------------

    def _refused(self, call: CallRow, seat: Seat, text: str) -> CallRow:
        """The call cannot even be judged: it does not happen."""
        if text.startswith("Denied"):
            verdict = Verdict("deny", "not-granted", text)
            return self._denied(self._rule(call, seat, verdict), seat, text)
        return self._end(call, seat, "failed", text)

    def _denied(self, call: CallRow, seat: Seat, text: str) -> CallRow:
        return self._end(call, seat, "denied", text)

    def _end(self, call: CallRow, seat: Seat, state: str, text: str) -> CallRow:
        text = self.redactor.text(plain(evidence.edit_note(call, self.journal.store) + text))
        shown, whole = clip(text, call)
        call = self.journal.set_call(
            call,
            "effect_ended" if state != "denied" else "refused",
            {"agent": seat.agent, "state": state, "result": evidence.digest(text)},
            state=state,
            result=shown,
            whole_result=whole,
            is_error=state != "done",
            ended_at=time.time(),
        )
        self.on_call(call, seat.agent, shown.partition("\n")[0][:200])
        return call
