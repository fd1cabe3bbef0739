"""How does a review come about: with a brief where work is sensitive, with the facts alone where it cannot be?"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from loguru import logger

from crews.errors import (
    Fenced,
    KeyMissing,
    ModelAuthError,
    ModelError,
    StopRun,
    StoreError,
    TapeMismatch,
    Waiting,
)
from crews.records import chains, inbox, ledger
from crews.records.inbox import Question
from crews.records.questions import Brief, ReviewRow
from crews.records.rows import ThreadRow
from crews.runtime.models import ModelAnswer, ModelRequest
from crews.runtime.shift import still_ours
from crews.tools.asking import rules_of

if TYPE_CHECKING:
    from crews.runtime.scene import Scene


async def open_review(scene: Scene, question: Question, call: dict[str, Any]) -> ReviewRow:
    """Open a review; whatever the escalation agent does, the question reaches the human."""
    from crews.runtime.escalation import brief_on

    question = without_secrets(scene, with_chain(scene, question))
    if question.brief is None and sensitive(question):
        try:
            question = replace(question, brief=await brief_on(scene, question))
            question = without_secrets(scene, question)
        except Exception as error:  # noqa: BLE001 - loguru is told, and it fails closed
            logger.exception("the brief for {} failed", question.address)
            question = replace(
                question,
                brief_note=scene.redactor.text(f"no brief: {type(error).__name__}: {error}")[:500],
            )
    elif question.brief is None and not question.brief_note:
        question = replace(question, brief_note="not security-sensitive: no brief was asked for")
    review = inbox.open_review(scene.journal, question, **call)
    path = question.address.rpartition(":")[0] or question.address
    scene.emit(
        "review_opened", thread=path, agent=question.agent, text=review.title, review=review.id
    )
    return review


def with_chain(scene: Scene, question: Question) -> Question:
    """The question with the people whom the team's policy names: every review is opened with them."""
    stages, four_eyes = chains.for_rule(scene.team.policy, rules_of(question))
    return replace(question, chain=stages, four_eyes=four_eyes)


def without_secrets(scene: Scene, question: Question) -> Question:
    """The question as a reviewer, and the escalation agent, may read it."""
    text = scene.redactor.text
    found = tuple(replace(f, detail=text(f.detail)) for f in question.findings)
    subject = cast("dict[str, Any]", scene.redactor.json(question.subject))
    brief = question.brief
    return replace(
        question,
        brief=brief and Brief.model_validate(scene.redactor.json(brief.model_dump(mode="json"))),
        title=text(question.title),
        reason=text(question.reason),
        subject=subject,
        findings=found,
    )


def sensitive(question: Question) -> bool:
    """Does this go to the escalation agent first?"""
    return bool(question.findings or question.role) or question.subject.get("escalated") is True


_UNASKED = (KeyMissing, ModelAuthError, TapeMismatch)
"""Errors that mean that no model has begun to answer. Any other one may come after an answer that is billed."""


class Unreserved(Exception):
    """There is no budget, or no room, to ask again for an answer that broke off."""


async def ask_model(
    scene: Scene, thread: ThreadRow, request: ModelRequest, again: Callable[[], bool]
) -> ModelAnswer:
    """Ask the model; where nothing answers, a human decides whether to try again.

    What is raised beyond the errors below leaves the reservation to the caller: it may have been billed.

    Args:
        scene: The run.
        thread: Whose request it is; its reservation has been made.
        request: The request.
        again: Reserves one more attempt; False: it cannot be made now.

    Raises:
        Fenced: this process was frozen or cut off, and another asks in its place: nothing is bought twice.
        Unreserved: an attempt broke off and is kept as spent; the next one needs to be reserved first.
    """
    _check_ours(scene)
    try:
        return await scene.model.ask(request, partial(_retried, scene, request, again))
    except ModelError as error:
        # What broke off may have been billed: its reservation is kept, as spent.
        end = ledger.lose if error.billed else ledger.release
        end(scene.journal, thread.path, request.turn)
        if thread.kind == "brief":
            raise
        _open_outage(scene, request, error)
        raise Waiting(request.thread) from error
    except asyncio.CancelledError:
        # It was under way, and may be billed; a run that has another owner by now keeps it as lost anyway.
        with contextlib.suppress(Fenced, StoreError):
            ledger.lose(scene.journal, thread.path, request.turn)
        raise
    except _UNASKED:
        ledger.release(scene.journal, thread.path, request.turn)
        raise


def _retried(
    scene: Scene, request: ModelRequest, again: Callable[[], bool], text: str, *, billed: bool
) -> None:
    scene.emit("retry", thread=request.thread, agent=request.agent, text=text)
    _check_ours(scene)
    if billed:
        ledger.lose(scene.journal, request.thread, request.turn)
        if not again():
            raise Unreserved


def _check_ours(scene: Scene) -> None:
    if not still_ours(scene.journal, scene.shift):
        raise Fenced(f"run {scene.journal.run}: this process fell silent, and may have lost it")


def _open_outage(scene: Scene, request: ModelRequest, error: ModelError) -> None:
    """One open question for an outage, however many threads meet it."""
    run = scene.journal.run
    outages = inbox.list_reviews(scene.journal.store, run=run, state=None, kind="model")
    if any(r.state == "open" for r in outages):
        return
    if outages and outages[-1].decision == "stop":
        raise StopRun(f"stopped at review {outages[-1].id}: {error.what}")
    question = Question(
        kind="model",
        address=f"{request.thread}#model",
        agent=request.agent,
        title=f"The model of {request.agent} could not be asked",
        subject={"error": error.what, "model": request.model},
        content_hash=hashlib.sha256(error.what.encode()).hexdigest(),
        rule="model-outage",
        reason=error.what,
        brief_note="not security-sensitive: no brief was asked for",
    )
    question = without_secrets(scene, with_chain(scene, question))
    review = inbox.open_review(scene.journal, question)
    scene.emit(
        "review_opened",
        thread=request.thread,
        agent=request.agent,
        text=review.title,
        review=review.id,
    )
