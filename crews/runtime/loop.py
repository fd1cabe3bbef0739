"""What does an agent do, turn by turn? One loop for supervisor, workers and escalation agent.

A turn: reserve budget -> ask the model -> record -> take every call through the gate -> record -> next turn,
until a call hands over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from crews.errors import StopRun, StoreError, Waiting
from crews.records import ledger
from crews.records.ledger import Asked
from crews.records.questions import Brief
from crews.records.rows import CallRow, HandOver, ThreadRow, TurnRow
from crews.records.store import dump
from crews.runtime import metering, prompts
from crews.runtime.answers import REFUSED, usable
from crews.runtime.conversation import KEPT_TURNS, Conversation, text_of
from crews.runtime.flags import flags_of
from crews.runtime.knowing import Knowledge
from crews.runtime.models import Block, ModelAnswer, ModelRequest
from crews.runtime.reviewing import Unreserved, ask_model
from crews.runtime.scene import Scene
from crews.runtime.together import together
from crews.runtime.walls import GRACE_TURNS
from crews.safety.autonomy import turns_allowed
from crews.teams.spec import AgentSpec
from crews.tools.base import ToolContext
from crews.tools.gate import AnyTool, Seat

AFTER_END = "the thread had ended before this call"
CALLS_A_TURN = 64
"""Calls of one answer that are looked at; more are refused."""


@dataclass(slots=True)
class Loop:
    """One thread at work."""

    scene: Scene
    agent: AgentSpec
    thread: ThreadRow
    tools: Mapping[str, AnyTool]
    ending: str
    """Tool that hands over; empty: the first answer without calls does."""

    async def run(self) -> HandOver:
        """Work until the agent hands over; from wherever the journal says that the thread stands.

        Raises:
            Waiting: a human must decide first.
            StopRun: the run is to end.
        """
        talk = Conversation.load(self.scene.journal, self.thread)
        clock, path = self.scene.clock, self.thread.path
        with clock.working(path):
            try:
                return await self._work(talk)
            except BaseException:
                # What broke it off matters more than whether that can be counted.
                with suppress(StoreError), clock.writing(path) as worked:
                    self.scene.journal.add_working_time(path, worked)
                raise

    async def _work(self, talk: Conversation) -> HandOver:
        known = Knowledge(self.scene, self.thread, self.tools)
        known.learn(talk.settled)
        while True:
            if talk.last is not None and (outcome := await self._settle(talk, known)):
                return self._end(outcome)
            if outcome := self._overdue(talk):
                return self._end(outcome)
            talk = self._compacted(talk)
            if outcome := await self._turn(talk):
                return self._end(outcome)

    # -- one turn -----------------------------------------------------------------------------

    def _compacted(self, talk: Conversation) -> Conversation:
        """The conversation, without its older long results if it has grown past the team's threshold."""
        before = talk.turns - KEPT_TURNS
        tokens = talk.estimated_tokens()
        above = self.scene.team.policy.compact_above
        # Each compaction changes old messages and so costs the cache: not again on the very next turn.
        soonest = talk.thread.compacted + (KEPT_TURNS if talk.thread.compacted else 1)
        if tokens <= above or before < soonest:
            return talk
        self.scene.journal.compact_thread(self.thread.path, before, tokens)
        self._tell(
            "compacted",
            turn=talk.turns,
            text=f"{tokens} tokens: results of {before} turns taken out",
        )
        self.thread = replace(self.thread, compacted=before)
        shorter = Conversation.load(self.scene.journal, self.thread)
        shorter.add_results(shorter.calls)
        return shorter

    async def _turn(self, talk: Conversation) -> HandOver | None:
        """One request and its answer; a hand-over where there may not be one more."""
        if self.scene.journal.stop_asked():
            raise StopRun("stopped by a human")
        if self.scene.shift.draining():
            raise Waiting(self.thread.path)
        where = self.scene, self.thread, self.agent, talk
        request = self._request(talk, forced=self._last_turn(talk))
        asked = await metering.reserve(*where, request)
        if asked is None:
            if not self.ending or not metering.may_end(self.scene, self.thread.path):
                return self._cut_off(talk)
            asked = await metering.reserve_end(*where)
            request = self._request(talk, forced=True)
        self._tell("turn_started", turn=talk.turns)
        try:
            talk.add_turn(*await self._answered(talk, request, asked))
        except Unreserved:
            return None  # the next turn is this one again, from its reservation on
        except Exception:
            # Nobody waits for it any more: what is still set aside may have been billed.
            ledger.lose(self.scene.journal, self.thread.path, request.turn)
            raise
        return None

    async def _answered(
        self, talk: Conversation, request: ModelRequest, asked: Asked
    ) -> tuple[TurnRow, list[CallRow]]:
        """The rows of the answer to a request, written down."""
        again = partial(metering.again, self.scene, asked)
        answer = await ask_model(self.scene, self.thread, request, again)
        # From here on it is what the journal holds, what policy judges and what is sent back.
        answer = replace(answer, blocks=usable(answer.blocks, talk, self.scene.redactor))
        turn, calls = self._rows(talk, request, answer, over=asked.over)
        with self.scene.clock.writing(turn.path) as worked:
            self.scene.journal.record_turn(turn, calls, worked)
        self._tell(
            "turn_ended", turn=turn.turn, tokens=turn.tokens, money=turn.money, text=_said(answer)
        )
        return turn, calls

    def _request(self, talk: Conversation, *, forced: bool) -> ModelRequest:
        return ModelRequest(
            thread=self.thread.path,
            turn=talk.turns,
            agent=self.agent.name,
            model=self.thread.model,
            system=self.thread.system,
            tools=talk.tools,
            messages=tuple(talk.messages),
            texts=tuple(talk.texts),
            max_tokens=self.agent.max_tokens,
            forced_tool=self.ending if forced and self.ending else None,
            fallback=() if self.scene.options.model else self.agent.oversight.fallback,
        )

    def _rows(
        self, talk: Conversation, request: ModelRequest, answer: ModelAnswer, *, over: bool
    ) -> tuple[TurnRow, list[CallRow]]:
        """The rows of an answer: the turn, and its calls as proposed. `over`: only the end is left."""
        turn = TurnRow(
            run=self.thread.run,
            path=self.thread.path,
            turn=talk.turns,
            request_hash=request.digest(),
            model=answer.model,
            blocks=dump(list(answer.blocks)),
            stop_reason=answer.stop_reason,
            notice=self._notice(talk, answer),
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cache_write_tokens=answer.cache_write_tokens,
            cache_read_tokens=answer.cache_read_tokens,
            money=answer.money,
            seconds=answer.seconds,
            ended_at=time.time(),
        )
        uses = [b for b in answer.blocks if b.get("type") == "tool_use"]
        # An answer that was cut off may hold half a call: none of its calls happens.
        whole = uses if answer.stop_reason != "max_tokens" else uses[:-1]
        allowed = 0 if over else metering.calls_left(self.scene, self.thread)
        return turn, [
            # An agent that has no calls left can still say so.
            self._call(turn, i, use, i < allowed or use["name"] == self.ending)
            for i, use in enumerate(whole)
        ]

    def _call(self, turn: TurnRow, place: int, use: Block, allowed: bool) -> CallRow:
        tool = self.tools.get(use["name"])
        too_many = place >= CALLS_A_TURN
        unread = str(use["input"].get(REFUSED, ""))
        denied = too_many or not allowed or bool(unread)
        why = (
            f"more than {CALLS_A_TURN} calls in one turn"
            if too_many
            else unread or "a limit is reached: no more calls but the one that ends the work"
        )
        return CallRow(
            run=turn.run,
            path=turn.path,
            turn=turn.turn,
            place=place,
            use_id=use["id"],
            tool=use["name"],
            arguments=dump(use.get("input") or {}),
            effect=tool.effect if tool else "external",
            ruling="deny" if denied else "",
            rule="limit" if denied else "",
            reason=why if denied else "",
            findings="[]",
            state="denied" if denied else "proposed",
            result=f"Denied: {why}." if denied else "",
            whole_result=None,
            is_error=denied,
            review="",
            epoch=self.scene.journal.epoch,
            expected="",
            started_at=None,
            ended_at=turn.ended_at if denied else None,
        )

    def _notice(self, talk: Conversation, answer: ModelAnswer) -> str:
        """What the engine adds to the next message."""
        if not self.ending:
            return ""
        if not any(b.get("type") == "tool_use" for b in answer.blocks):
            return prompts.NO_CALL.format(ending=self.ending)
        if talk.turns + 2 == self.agent.max_iter:
            return prompts.LAST_TURN.format(ending=self.ending)
        return ""

    # -- its calls ----------------------------------------------------------------------------

    async def _settle(self, talk: Conversation, known: Knowledge) -> HandOver | None:
        """Take the last turn's calls to their ends; returns the hand-over, if one was made."""
        seat = self._seat(known)
        done: list[CallRow] = []
        outcome: HandOver | None = None
        for group in grouped(talk.calls, self.tools):
            if outcome is not None:
                # What was asked for after the end does not happen: nobody would see or review it.
                done += [self.scene.gate.refuse(call, seat, "ended", AFTER_END) for call in group]
                continue
            if self.scene.journal.stop_asked():
                raise StopRun("stopped by a human")
            done += await together([self.scene.gate.settle(call, seat) for call in group])
            outcome = self._handed_over(done[-1])
        if outcome is not None:
            return outcome
        if not self.ending and not talk.calls and talk.last is not None:
            return HandOver(summary=text_of(talk.last.content))
        talk.add_results(done)
        known.learn(done)
        return None

    def _handed_over(self, call: CallRow) -> HandOver | None:
        """The hand-over that this call made, if it made one; such a call stands alone in its group."""
        tool = self.tools.get(call.tool)
        if call.state != "done" or tool is None or not tool.ends_thread:
            return None
        return tool.handover(tool.args.model_validate(call.args))

    def _seat(self, known: Knowledge) -> Seat:
        names = frozenset(self.tools)
        context = ToolContext(
            workspace=self.scene.workspace,
            sandbox=self.scene.sandbox,
            sandbox_error=self.scene.sandbox_error,
            agent=self.agent.name,
            thread=self.thread.path,
            call="",
            writable=self.thread.grant.writes,
            write_paths=self.thread.grant.write_paths,
            protected=self.scene.protected,
        )
        standing = self.scene.standing(self.agent, self.thread, names)
        duty = self.agent.oversight.duty
        return Seat(self.agent.name, duty, self.tools, standing, context, known.now())

    # -- its end ------------------------------------------------------------------------------

    def _last_turn(self, talk: Conversation) -> bool:
        return talk.turns >= self.agent.max_iter - 1

    def _overdue(self, talk: Conversation) -> HandOver | None:
        """A thread that was told to end and did not is ended by the engine."""
        most = turns_allowed(self.scene.level(self.agent)) if not self.ending else None
        if most is not None and talk.turns >= most:
            return HandOver(summary=talk.newest_text())
        if talk.turns < self.agent.max_iter + GRACE_TURNS:
            return None
        return self._cut_off(talk)

    def _cut_off(self, talk: Conversation) -> HandOver:
        """The hand-over that the engine makes for an agent that made none; of a quarantined one, not a word."""
        head = f"[ended by the engine after {talk.turns} turns without a hand-over]"
        said = "" if self.thread.grant.returns else talk.newest_text()
        return HandOver(summary=f"{head}\n{said}")

    def _end(self, outcome: HandOver) -> HandOver:
        journal, path = self.scene.journal, self.thread.path
        after = self.scene.workspace.tree_hash()
        flags = flags_of(outcome, journal.calls(path), self.tools, self.ending)
        with self.scene.clock.writing(path) as worked:
            tell = partial(self._tell, "thread_ended", state="done", text=self._in_a_line(outcome))
            journal.end_thread(
                path, outcome, flags=flags, hash_after=after, worked=worked, told=tell
            )
        return outcome

    def _in_a_line(self, outcome: HandOver) -> str:
        """The hand-over for a reader; a brief travels as JSON."""
        if self.thread.kind == "brief" and outcome.summary.startswith("{"):
            return Brief.model_validate_json(outcome.summary).what[:200]
        verdict = f"{outcome.verdict}s: " if outcome.verdict else ""
        return verdict + outcome.summary.partition("\n")[0][:200]

    def _tell(self, kind: str, **values: object) -> None:
        self.scene.emit(kind, thread=self.thread.path, agent=self.agent.name, **values)  # type: ignore[arg-type]


def grouped(calls: Sequence[CallRow], tools: Mapping[str, AnyTool]) -> list[list[CallRow]]:
    """Calls in groups that run one after the other; within a group all run at once.

    Reads and delegations stand together; everything that may change the workspace stands alone, in order.
    """
    groups: list[list[CallRow]] = []
    together_before = False
    for call in calls:
        tool = tools.get(call.tool)
        free = tool is not None and tool.effect == "read" and not tool.ends_thread
        if free and together_before:
            groups[-1].append(call)
        else:
            groups.append([call])
        together_before = free
    return groups


def _said(answer: ModelAnswer) -> str:
    return text_of(answer.blocks).strip().partition("\n")[0][:200]
