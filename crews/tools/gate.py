"""May this call happen, and has it? The only place from which a tool is run; it fails closed.

A call moves: proposed -> (waiting) -> started -> done | failed | denied | unknown. Each state is committed
before the next thing happens, so that a new owner of the run goes on at the exact call. An `inner` look is no thing
that happens: nobody learns what it saw before it is committed as a whole, with what the run writes next.

What has no key happens at most once: a call that a dead owner had started goes to a human, unless it can be
seen, or does not matter, whether it happened. A `keyed` tool is simply run again, under the same key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from loguru import logger

from crews.errors import (
    EXIT_FAILED,
    Fenced,
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
from crews.records.questions import ReviewRow
from crews.records.rows import FINISHED_CALL, CallRow, CallState
from crews.records.steps import Step
from crews.records.store import dump
from crews.safety.action import Action, Verdict
from crews.teams.spec import PolicySpec
from crews.tools import asking, evidence, standing
from crews.tools.base import Args, NeedsReview, ToolError, ToolResult
from crews.tools.judging import REPEATED, action_of, heard_as, too_often, verdict_on
from crews.tools.recording import NOTHING, Beginning, CallLog
from crews.tools.seat import AnyTool, Seat

__all__ = ["AnyTool", "Gate", "Opener", "Seat"]

Opener = Callable[[Question, dict[str, Any]], Awaitable[ReviewRow]]
"""Opens a review, with the escalation agent's brief where there is one."""
_OF_THE_RUN = (KeyMissing, ModelAuthError, ModelError, StoreError, TapeMismatch)
"""Errors that a delegation may meet and no agent can act on: the run stops here and keeps its place."""
_OF_POLICY = frozenset({"action", "plan"})
"""Kinds of reviews that policy's `ask` opens; `unknown` is the gate's own, every other one a tool's."""


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Gate(CallLog):
    """Judges, records, runs. One for a run."""

    policy: PolicySpec
    team_hash: str
    open_review: Opener
    may_act: Callable[[], bool] = _yes
    """Does this process still know that the run is its own? Asked right before every effect but `read`."""
    draining: Callable[[], bool] = _no
    """Is this process to let go of the run? Calls that have started go on to their end; no other one starts."""

    async def settle(self, call: CallRow, seat: Seat) -> CallRow:
        """Take a call to its end, from whatever state it is in.

        Raises:
            Waiting: a human must decide first, or another process is to go on.
            StopRun: a human decided that the run ends.
            Fenced: the run may have another owner by now.
        """
        while call.state not in FINISHED_CALL:
            call = await self._step(call, seat)
        return call

    async def _step(self, call: CallRow, seat: Seat) -> CallRow:
        if call.state == "started" and call.epoch == self.journal.epoch:
            return await self._run(call, seat)
        if self.draining():
            raise Waiting(call.address)
        if call.state == "proposed":
            return await self._judge(call, seat)
        if call.state in {"waiting", "unknown"}:
            return await self._resume(call, seat)
        return await self._recover(call, seat)

    # -- judging ------------------------------------------------------------------------------

    async def _judge(self, call: CallRow, seat: Seat) -> CallRow:
        if why := too_often(self.journal, call):
            return self.refuse(call, seat, REPEATED, why)
        try:
            tool, args = seat.parse(call)
            action = action_of(call, seat, tool, args, self.redactor)
        except ToolError as error:
            return self.impossible(call, seat, error)
        verdict = verdict_on(action, seat, self.policy)
        if tool.review_kind == "action" and (review := self._standing(action, verdict)):
            reason = f"{review.decided_by} approved this for the whole run (review {review.id})."
            allowed = replace(verdict, ruling="allow", reason=reason, role="", roles=(), asking=())
            self._check_owner(call, tool)
            return self.begun(
                call, seat, tool, self.allowed(call, seat, tool, allowed, action, review.id)
            )
        if verdict.ruling == "deny":
            call = self.ruled(call, seat, verdict, action=action)
            return self.denied(call, seat, verdict)
        if verdict.ruling == "ask" and not verdict.deferred:
            try:
                question = asking.may_it_happen(call, seat, action, verdict, self.team_hash)
            except (
                ToolError
            ) as error:  # nobody can be asked about files that nobody can look through
                return self.impossible(call, seat, error)
            call = self.ruled(call, seat, verdict, action=action)
            await self._ask(call, seat, question)
        self._check_owner(call, tool)
        beginning = self.allowed(call, seat, tool, verdict, action)
        if tool.inner and action.effect == "read":
            return await self._look(call, seat, tool, args, beginning)
        return self.begun(call, seat, tool, beginning)

    def _standing(self, action: Action, verdict: Verdict) -> ReviewRow | None:
        """The approval for the whole run under which this action falls."""
        if verdict.ruling != "ask":
            return None
        reviews = inbox.list_reviews(
            self.journal.store, run=self.journal.run, state="decided", kind="action"
        )
        return standing.approval(
            reviews, action, verdict, policy=self.policy, team_hash=self.team_hash
        )

    # -- asking -------------------------------------------------------------------------------

    async def _ask(
        self, call: CallRow, seat: Seat, question: Question, state: CallState = "waiting"
    ) -> NoReturn:
        """Put a question to a human; the call waits for the answer."""
        review = await self.open_review(question, {"state": state})
        self.on_call(replace(call, state=state, review=review.id), seat.agent, question.title)
        raise Waiting(call.address)

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
        if review.kind in _OF_POLICY:
            return self._decided(call, seat, review)
        return await self._answered(call, seat, review)

    def _decided(self, call: CallRow, seat: Seat, review: ReviewRow) -> CallRow:
        """Act on what a human decided about a call that policy had asked about."""
        if review.decision == "reject":
            text = f"A human refused this: <human>{review.answer}</human>"
            return self.ended(call, seat, "denied", text)
        if review.decision == "edit":
            call = self.journal.set_call(call, arguments=dump(review.edited or {}))
        try:
            tool, args = seat.parse(call)
            action = action_of(call, seat, tool, args, self.redactor)
        except ToolError as error:
            return self.impossible(call, seat, error)
        verdict = verdict_on(action, seat, self.policy)
        if verdict.ruling == "deny" or review.decision == "edit":
            call = self.ruled(
                call, seat, verdict, action=action
            )  # the log gets the arguments that a human wrote
        if verdict.ruling == "deny":
            return self.denied(call, seat, verdict)
        more = asking.further(verdict.asking, [review], self.policy)
        if review.decision == "edit":
            # Who may decide one rule's question cannot write what another rule asks others about.
            again = more and not verdict.deferred
            return (
                self.journal.set_call(call, state="proposed")
                if again
                else self._start(call, seat, tool, action)
            )
        if more or self._has_changed(action, seat, review):
            why = "other rules ask by now" if more else "what was approved has changed since"
            inbox.void_review(self.journal, review, why)
            return self.journal.set_call(call, state="proposed", review="")
        return self._start(call, seat, tool, action)

    def _has_changed(self, action: Action, seat: Seat, review: ReviewRow) -> bool:
        try:
            now = evidence.content_hash(action, self.team_hash, seat.context.workspace)
        except ToolError:  # more than anybody can look through: what was approved was not that
            return True
        return now != review.content_hash

    def _resolved(self, call: CallRow, seat: Seat, review: ReviewRow) -> CallRow:
        """Go on as the human says: it happened, or it did not and does now."""
        if review.answer == "done":
            text = "A human confirmed that this was done; its output is lost."
            return self.ended(call, seat, "done", text)
        try:
            tool, args = seat.parse(call)
            action = action_of(
                call, seat, tool, args, self.redactor
            )  # of the files as the human left them
        except ToolError as error:
            return self.impossible(call, seat, error)
        return self._start(call, seat, tool, action)

    async def _answered(self, call: CallRow, seat: Seat, review: ReviewRow) -> CallRow:
        """Let a tool that asked its own question go on with the answer."""
        tool = seat.tools.get(call.tool)
        if tool is None or tool.effect == "read":
            return await self._run(call, seat, review)
        return self._start(call, seat, tool)  # `_run` finds the answer

    # -- doing --------------------------------------------------------------------------------

    def _start(
        self, call: CallRow, seat: Seat, tool: AnyTool, action: Action | None = None
    ) -> CallRow:
        self._check_owner(call, tool)
        return self.started(call, seat, tool, action)

    def _check_owner(self, call: CallRow, tool: AnyTool) -> None:
        """A process that slept may have lost the run, and not know."""
        if tool.effect != "read" and not self.may_act():
            raise Fenced(f"run {self.journal.run} may have another owner: {call.address} waits")

    async def _run(self, call: CallRow, seat: Seat, answer: ReviewRow | None = None) -> CallRow:
        """Run the tool; `answer`: it goes on with the answer to its own question."""
        try:
            tool, args = seat.parse(call)
        except ToolError as error:
            return self.impossible(call, seat, error)
        answer, context = answer or self._own_answer(call), seat.at(call)
        self._check_owner(call, tool)
        work = tool.decided(args, context, answer) if answer else tool.run(args, context)
        return await self._outcome(call, seat, tool, work)

    def _own_answer(self, call: CallRow) -> ReviewRow | None:
        """The answer to a question that the tool itself had asked before it started."""
        review = inbox.get_review(self.journal.store, call.review) if call.review else None
        if review is None or review.state != "decided" or review.kind in _OF_POLICY | {"unknown"}:
            return None
        return review

    async def _look(
        self, call: CallRow, seat: Seat, tool: AnyTool, args: Args, beginning: Beginning
    ) -> CallRow:
        """Run a tool of which only the agent learns, and that from the journal: beginning and end are one step.

        Until that is written, with what the run writes next, the call is as it was proposed, and a new owner takes
        it up from there.
        """
        now = replace(call, **beginning.values, epoch=self.journal.epoch)
        self.tell_of(now, seat, tool, beginning)
        try:
            result = await _result_of(now, tool.run(args, seat.at(now)))
        except NeedsReview as need:
            await self._ask(self.begun(call, seat, tool, beginning), seat, need.question)
        return self._done(now, seat, tool, result, beginning)

    async def _outcome(
        self, call: CallRow, seat: Seat, tool: AnyTool, work: Awaitable[ToolResult]
    ) -> CallRow:
        try:
            result = await _result_of(call, work)
        except NeedsReview as need:
            await self._ask(call, seat, need.question)
        return self._done(call, seat, tool, result)

    def _done(
        self, call: CallRow, seat: Seat, tool: AnyTool, result: ToolResult,
        beginning: Beginning = NOTHING,
    ) -> CallRow:  # fmt: skip
        heard = result.heard or heard_as(seat.known, tool, call)
        state = "failed" if result.is_error else "done"
        return self.ended(call, seat, state, result.text, heard, result.facts, beginning)

    async def _recover(self, call: CallRow, seat: Seat) -> CallRow:
        """A dead owner had started this call: may it run again, or must a human say what happened?"""
        tool = seat.tools.get(call.tool)
        happened = evidence.happened(call, seat.context.workspace)
        if happened:
            text = "Done. (The run was interrupted right after it.)"
            return self.ended(call, seat, "done", text)
        # A write whose file is neither as before nor as after was overtaken: again, it would undo that.
        harmless = tool is not None and tool.effect == "read"
        again = tool is not None and (tool.keyed or tool.repeatable) and not call.expected
        if tool is not None and (harmless or again or happened is False):
            return self.journal.set_call(
                call, Step("effect_restarted", {"agent": seat.agent}), state="started"
            )
        return await self._ask(
            call, seat, asking.did_it_happen(call, seat, self.policy, self.redactor), "unknown"
        )


async def _result_of(call: CallRow, work: Awaitable[ToolResult]) -> ToolResult:
    """What a tool's work comes to; NeedsReview where a human must decide first, errors of the run as they are."""
    try:
        return await work
    except ToolError as error:
        return ToolResult(str(error), is_error=True)
    except (NeedsReview, *_OF_THE_RUN):
        raise
    except Exception as error:  # noqa: BLE001 - loguru is told, and it fails closed
        logger.exception("tool {} broke", call.tool)
        return ToolResult(f"The tool broke: {type(error).__name__}: {error}", is_error=True)
