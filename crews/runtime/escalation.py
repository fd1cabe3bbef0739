"""What should a human know before deciding? The escalation agent writes it down; it decides nothing."""

from __future__ import annotations

import json

from crews.errors import CrewsError, StopRun, Waiting
from crews.records import inbox
from crews.records.inbox import Question
from crews.records.questions import Brief
from crews.runtime import prompts
from crews.runtime.scene import Scene
from crews.runtime.threads import granted, open_thread, with_ending, work

DIFF_LIMIT = 12_000
"""Characters of a diff that the agent is shown at once; it can read the files."""


async def brief_on(scene: Scene, question: Question) -> Brief:
    """The brief on a question that is about to be asked.

    Raises:
        CrewsError: there is no escalation agent, or it could not finish.
    """
    agent = scene.team.on_duty("escalation")
    if agent is None:
        raise CrewsError("this team has no escalation agent")
    tools = granted(scene, agent, agent.tools)
    tools = with_ending(agent, {n: t for n, t in tools.items() if t.effect == "read"})
    path = _path(scene, question)
    row = open_thread(
        scene,
        path=path,
        kind="brief",
        agent=agent,
        task=f"Brief a human on: {question.title}",
        brief=prompts.brief(
            task=f"Brief a human who must decide this: {question.title}",
            expected_output="One `brief` call.",
            context=[_facts(question)],
        ),
        tools=tools,
        label="untrusted",  # what it is to judge may be anybody's words
        limits=agent.oversight.limits,
    )
    try:
        row = await work(scene, agent, row, tools)
    except (Waiting, StopRun) as signal:
        # The human is about to be asked anyway; a second question about the first one helps nobody.
        raise CrewsError(f"the escalation agent could not finish: {signal}") from None
    outcome = row.outcome
    if outcome is None or not outcome.summary.startswith("{"):
        raise CrewsError("the escalation agent ended without a brief")
    return Brief.model_validate_json(outcome.summary)


def _path(scene: Scene, question: Question) -> str:
    """Thread of the brief on this question; another one where the call was asked about before."""
    reviews = inbox.list_reviews(scene.journal.store, run=scene.journal.run, state=None)
    before = sum(r.address == question.address for r in reviews)
    above, _, place = question.address.rpartition(":")
    return f"{above.rstrip('/')}/{place}!{before + 1 if before else ''}"


def _facts(question: Question) -> str:
    """What code knows, for the agent to check."""
    lines = [f"kind: {question.kind}", f"agent: {question.agent}"]
    lines += [f"rule: {question.rule}", f"reason: {question.reason}"]
    for found in question.findings:
        lines.append(f"finding: {found.category} at {found.path}:{found.line}: {found.detail}")
    subject = dict(question.subject)
    diff = str(subject.pop("diff", ""))
    subject.pop("changes", None)
    lines.append("subject: " + json.dumps(subject, ensure_ascii=False, sort_keys=True)[:DIFF_LIMIT])
    if diff:
        lines.append("diff:\n" + diff[:DIFF_LIMIT])
    return "\n".join(lines)
