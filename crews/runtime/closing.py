"""How do the changes of a run reach a human where no supervisor's `finish` has put them to one?"""

from __future__ import annotations

from crews.errors import Waiting
from crews.records import inbox
from crews.records.questions import ReviewRow
from crews.records.rows import ThreadRow
from crews.runtime.finishing import FinishArgs, FinishTool
from crews.runtime.reviewing import open_review
from crews.runtime.scene import Scene
from crews.tools.base import NeedsReview, ToolContext, ToolError
from crews.tools.changeset import change_set


async def close(scene: Scene, last: ThreadRow) -> None:
    """Put the changes to a human after a team's last task, by the same rules as a `finish`.

    Raises:
        Waiting: a human must decide first.
    """
    if _has_finished(scene) or change_set(scene.workspace).is_empty or last.outcome is None:
        return
    address = f"{last.path}:changes"
    context = ToolContext(
        workspace=scene.workspace,
        sandbox=scene.sandbox,
        agent=last.agent,
        thread=last.path,
        call=address,
    )
    tool = FinishTool(scene, last.path)
    args = FinishArgs(summary=last.outcome.summary or "-", confidence=last.outcome.confidence)
    review = _asked(scene, address)
    try:
        if review is None:
            await tool.run(args, context)
        elif review.state == "open":
            raise Waiting(address)
        else:
            await tool.decided(args, context, review)
    except NeedsReview as need:
        await open_review(scene, need.question, {})
        raise Waiting(address) from None
    except ToolError as error:
        _refused(scene, str(error), review)


def _has_finished(scene: Scene) -> bool:
    """Did a supervisor have the say over the changes?"""
    team = scene.team
    return any(
        t.agent is None or team.agent(t.agent).oversight.duty == "supervisor" for t in team.tasks
    )


def _asked(scene: Scene, address: str) -> ReviewRow | None:
    reviews = inbox.list_reviews(
        scene.journal.store, run=scene.journal.run, state=None, kind="change_set"
    )
    asked = [r for r in reviews if r.address == address and r.state != "void"]
    return asked[-1] if asked else None


def _refused(scene: Scene, why: str, review: ReviewRow | None) -> None:
    """Nobody is left who could do better: the run ends, and its changes stay where they are."""
    if review is None or review.decision != "reject":
        scene.journal.set_run(reason=f"the changes were not delivered: {why}")
