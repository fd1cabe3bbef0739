"""When may a run end, and with which changes? Reviewed by another agent, released by a human, as it stands."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from loguru import logger
from pydantic import Field

from crews.errors import CrewsError, Fenced, StoreError
from crews.records import inbox
from crews.records.inbox import Question
from crews.records.questions import ReviewRow
from crews.records.rows import CallRow, HandOver, ThreadRow
from crews.runtime.delivery import deliver
from crews.runtime.handing import accepted, result_question, stated_in
from crews.runtime.scene import Scene
from crews.safety.action import Action, Finding, Verdict
from crews.safety.known import ENGINES_OWN
from crews.safety.policy import judge
from crews.tools.asking import all_of, further, named
from crews.tools.base import Args, NeedsReview, Tool, ToolContext, ToolError, ToolResult
from crews.tools.changeset import ChangeSet, change_set
from crews.tools.workspace import Workspace

APPLY = "apply"
"""The action that policy judges when a change set is to leave the run."""


class FinishArgs(Args):
    """The report, and whether the changes are to be delivered."""

    summary: Annotated[str, Field(min_length=1, description="Markdown")]
    confidence: Annotated[float, Field(ge=0, le=1)]
    open_questions: tuple[str, ...] = ()
    deliver: Annotated[bool, Field(description="false: keep the changes back")] = True


class FinishTool(Tool[FinishArgs]):
    """Ends the run: checks, asks, applies."""

    name = "finish"
    description = "End the run with a report. The changes go to a human for approval."
    effect = "read"
    declared = ENGINES_OWN
    args = FinishArgs
    repeatable = True
    ends_thread = True

    def __init__(
        self, scene: Scene, path: str, *, asks: bool = False, output_file: str | None = None
    ) -> None:
        self._scene = scene
        self._path = path
        self._asks = asks
        self._output_file = output_file

    async def run(self, args: FinishArgs, context: ToolContext) -> ToolResult:
        """Accept the end, or say what is missing; the change set goes to a human."""
        try:
            return self._finish(args, context)
        except ToolError:
            self._take_report_back()
            raise

    def _finish(self, args: FinishArgs, context: ToolContext) -> ToolResult:
        if self._told_to_finish():
            return ToolResult("Finished.")
        self._take_report_back()
        delivers = args.deliver and not change_set(self._scene.workspace).is_empty
        # What the reviewers saw is what they approved: the report comes on top of it.
        reviewed = self._check_reviewed() if delivers else ""
        self._write_report(args.summary)
        changes = change_set(self._scene.workspace)
        if changes.is_empty or not args.deliver:
            if self._asks:
                raise NeedsReview(result_question(args.summary, context))
            return ToolResult("Finished.")
        if self._scene.options.observe:
            return ToolResult(
                "Finished. This run only observes: the changes are a patch, not applied."
            )
        verdict = self._judge(changes, context)
        if verdict.ruling == "deny":
            raise ToolError(f"Denied by policy ({verdict.rule}): {verdict.reason}")
        # A question that was put off until now is asked, whatever policy says of the whole.
        if verdict.ruling == "ask" or self._collected():
            raise NeedsReview(self._question(args, context, changes, verdict, reviewed))
        return self._release(changes)

    async def decided(
        self, args: FinishArgs, context: ToolContext, review: ReviewRow
    ) -> ToolResult:
        """Act on the human's decision about the report, or the change set."""
        try:
            return await self._act_on(args, context, review)
        except ToolError:
            self._take_report_back()
            raise

    async def _act_on(
        self, args: FinishArgs, context: ToolContext, review: ReviewRow
    ) -> ToolResult:
        if review.kind == "hand_over":
            return accepted(review)
        if review.decision == "reject":
            raise ToolError(
                f"A human refused the changes: <human>{review.answer}</human> Have them reworked and reviewed, "
                "or finish with `deliver` false."
            )
        changes = change_set(self._scene.workspace)
        wanted = _edited(changes, review) if review.decision == "edit" else changes
        made = self._scene.row().approved_hash
        # After an interruption the edit may be made in part: what it leads to is the same all the same.
        if changes.hash != review.content_hash and wanted.hash != made:
            inbox.void_review(self._scene.journal, review, "the change set has changed since")
            return await self.run(args, context)
        if wanted.hash != changes.hash:
            self._take_over(args, context, review, changes, wanted)
        if wanted.is_empty:
            return ToolResult("Finished. A human left every change out.")
        return self._release(wanted)

    def handover(self, args: FinishArgs) -> HandOver:
        """The report is the supervisor's hand-over."""
        return HandOver(
            summary=args.summary, confidence=args.confidence, open_questions=args.open_questions
        )

    def _write_report(self, text: str) -> None:
        if self._output_file:
            self._scene.workspace.write_text(self._output_file, f"{text}\n")

    def _take_report_back(self) -> None:
        """Undo what an earlier `finish` wrote, so that the files are again those that were reviewed."""
        path, workspace = self._output_file, self._scene.workspace
        if not path or not workspace.exists(path):
            return
        calls = self._scene.journal.calls(self._path)
        written = {f"{c.args.get('summary')}\n" for c in calls if c.tool == self.name}
        if workspace.read_text(path) in written:
            workspace.restore(path)

    # -- before the human ---------------------------------------------------------------------

    def _told_to_finish(self) -> bool:
        """After a spent budget the run ends with what there is, and delivers nothing."""
        thread = self._scene.journal.thread(self._path)
        return thread is not None and thread.finish_now

    def _check_reviewed(self) -> str:
        """Who approved the change set as it stands: an agent that did not make it."""
        reviewers = [a.name for a in self._scene.team.agents if a.oversight.duty == "reviewer"]
        if not reviewers:
            return ""
        threads = self._scene.journal.threads()
        sandbox = self._scene.sandbox
        confined = sandbox is None or sandbox.confines
        made = authors(threads, self._scene.journal.calls(), confined=confined)
        now = self._scene.workspace.tree_hash()
        for thread in threads:
            outcome = thread.outcome
            as_it_stands = thread.hash_before == thread.hash_after == now
            approved = outcome is not None and outcome.verdict == "approve"
            if approved and as_it_stands and thread.agent in reviewers and thread.agent not in made:
                return thread.agent
        raise ToolError(
            f"Refused: the changes, as they stand, were not approved by a reviewer other than their author "
            f"({', '.join(sorted(made)) or 'unknown'}). Delegate a review to {', '.join(reviewers)} first."
        )

    def _judge(self, changes: ChangeSet, context: ToolContext) -> Verdict:
        agent = self._scene.team.agent(context.agent)
        action = Action(
            tool=APPLY,
            effect="external",
            agent=agent.name,
            duty=agent.oversight.duty,
            thread=self._path,
            arguments={},
            paths=tuple(f.path for f in changes.files),
            changes=changes.file_changes,
            stated=stated_in(self._scene.journal.threads()),
        )
        thread = self._scene.journal.thread(self._path)
        if thread is None:
            return Verdict("deny", "judge-error", "the thread is gone")
        standing = self._scene.standing(agent, thread, frozenset({APPLY}))
        try:
            return judge(self._scene.team.policy, action, standing())
        except Exception as error:  # noqa: BLE001 - loguru is told, and it fails closed
            logger.exception("judging the change set failed")
            return Verdict("deny", "judge-error", f"judging failed: {error}")

    def _question(
        self,
        args: FinishArgs,
        context: ToolContext,
        changes: ChangeSet,
        verdict: Verdict,
        reviewed: str,
    ) -> Question:
        options = self._scene.options
        collected = self._collected()
        own = {verdict.rule: verdict.reason} if verdict.ruling == "ask" else {}
        rules = [r for c in collected for r in c.ruled_by] + list(verdict.asking)
        subject: dict[str, Any] = {
            "diff": changes.diff,
            "files": [asdict(f) for f in changes.files],
            "folder": options.source or "",
            "summary": args.summary,
            "reviewed_by": reviewed,
            "owners": list(verdict.owners),
            "apply": options.apply,
            "collected": [
                {"call": c.address, "rule": c.rule, "reason": c.reason} for c in collected
            ],
        } | named(tuple(dict.fromkeys(rules)))
        return Question(
            kind="change_set",
            address=context.call,
            agent=context.agent,
            title=_title(changes, options.source if options.apply else None),
            subject=subject,
            content_hash=changes.hash,
            rule=", ".join(dict.fromkeys([*(c.rule for c in collected), *own.keys()])),
            reason=" ".join(dict.fromkeys([*(c.reason for c in collected), *own.values()])),
            role=all_of((*verdict.roles, *self._roles(collected))),
            findings=verdict.findings or _findings(collected),
        )

    def _collected(self) -> list[CallRow]:
        """Calls that policy wanted asked about, once, with the whole change set.

        A human who said what had become of an interrupted call has not thereby approved it.
        """
        journal = self._scene.journal
        reviews = inbox.list_reviews(journal.store, run=journal.run, state="decided")
        asked: dict[str, list[ReviewRow]] = {}
        for review in (r for r in reviews if r.kind in {"action", "plan"}):
            asked.setdefault(review.address, []).append(review)
        policy = self._scene.team.policy
        return [
            c
            for c in journal.calls()
            if c.ruling == "ask"
            and (c.address not in asked or further(c.ruled_by, asked[c.address], policy))
            and (c.state == "done" or _may_have_changed(c))
        ]

    def _roles(self, collected: list[CallRow]) -> tuple[str, ...]:
        """Who was to decide about the calls that were put off."""
        names = {name for c in collected for name in c.ruled_by}
        return tuple(r.role for r in self._scene.team.policy.rules if r.name in names)

    def _take_over(
        self, args: FinishArgs, context: ToolContext, review: ReviewRow,
        changes: ChangeSet, wanted: ChangeSet,
    ) -> None:  # fmt: skip
        """Have policy judge what the human wrote, and the workspace follow it."""
        verdict = self._judge(wanted, context)
        if verdict.ruling == "deny":
            raise ToolError(f"Denied by policy after the edit ({verdict.rule}): {verdict.reason}")
        if further(verdict.asking, [review], self._scene.team.policy):
            become(self._scene.workspace, changes, wanted)
            reviewed = str(review.about.get("reviewed_by", ""))
            raise NeedsReview(self._question(args, context, wanted, verdict, reviewed))
        self._scene.journal.set_run(approved_hash=wanted.hash)
        become(self._scene.workspace, changes, wanted)

    def _release(self, changes: ChangeSet) -> ToolResult:
        """Mark the changes as approved and apply them, if the run was asked to."""
        journal, options = self._scene.journal, self._scene.options
        journal.set_run(approved_hash=changes.hash)
        if not options.apply or options.source is None:
            return ToolResult("Finished. The changes are approved.")
        if self._scene.row().applied_hash == changes.hash:  # interrupted right after it
            return ToolResult("Finished. The changes are approved and applied.")
        if not self._scene.gate.may_act():  # a `finish` only reads, but for this
            raise Fenced(f"run {journal.run} may have another owner")
        try:
            deliver(journal.store, self._scene.settings, self._scene.row(), journal)
        except StoreError:
            raise  # they may have been applied all the same: whoever goes on with the run finds out
        except CrewsError as error:
            journal.set_run(reason=f"the changes were not applied: {error.what}")
            return ToolResult("Finished. The changes are approved; they could not be applied.")
        return ToolResult("Finished. The changes are approved and applied.")


def authors(
    threads: tuple[ThreadRow, ...], calls: tuple[CallRow, ...], *, confined: bool = True
) -> set[str]:
    """Agents whose threads may have changed the workspace: those that could write, and did something.

    `confined`: a command of a thread that may not write cannot write.
    """
    able = {
        t.path: t.agent
        for t in threads
        if t.grant.writes or (not confined and t.hash_before != t.hash_after)
    }
    return {able[c.path] for c in calls if c.path in able and _may_have_changed(c)}


def _may_have_changed(call: CallRow) -> bool:
    """A write that failed wrote nothing; a command that was killed may have written before."""
    if call.effect == "execute":
        return call.started_at is not None
    return call.effect == "write" and call.state == "done"


def _edited(changes: ChangeSet, review: ReviewRow) -> ChangeSet:
    """The change set as the human wrote it."""
    edit = review.edited or {}
    # A file that is not in the set any more was dropped before the run was interrupted here.
    present = {f.path for f in changes.files}
    try:
        wanted = changes.with_files(
            {p: t for p, t in edit.get("files", {}).items() if p in present}
        )
        return wanted.without([p for p in edit.get("drop", ()) if p in present])
    except CrewsError as error:
        raise ToolError(f"The human's edit cannot be made: {error.what}") from error


def become(workspace: Workspace, changes: ChangeSet, wanted: ChangeSet) -> None:
    """Make the workspace hold `wanted`, which was edited from `changes`."""
    kept = {c.path: c for c in wanted.changes}
    for change in changes.changes:
        new = kept.get(change.path)
        if new is None:
            workspace.restore(change.path)
        elif new != change and new.after is not None and new.after.text is not None:
            workspace.write_text(new.path, new.after.text)


def _findings(collected: list[CallRow]) -> tuple[Finding, ...]:
    return tuple(Finding(**f) for call in collected for f in json.loads(call.findings))


def _title(changes: ChangeSet, folder: str | None) -> str:
    count = len(changes.files)
    what = f"{count} changed file{'' if count == 1 else 's'}"
    return f"Apply {what} to {folder or 'nothing yet'}" if folder else f"Accept {what}"
