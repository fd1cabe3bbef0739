"""When is what sent? What is new is collected, what is due is sent, and what fails is tried again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator
from contextlib import asynccontextmanager

from loguru import logger
from sqlalchemy import Connection

from crews.errors import UsageError
from crews.notify import copying, notice, sending
from crews.records import outbox, reviews, runs
from crews.records.outbox import DeliveryRow
from crews.records.questions import ReviewRow
from crews.records.rows import ENDED
from crews.records.store import Store
from crews.safety.own_secrets import redactor_for
from crews.safety.redact import Redactor
from crews.settings import NotifyTarget, Settings

COPY_EVERY = 2.0
"""Seconds between two looks for checkpoints that were made meanwhile."""


def collect(store: Store, settings: Settings, now: float) -> int:
    """Write down what is to be told of open reviews and ended runs; returns how many are new.

    Level-triggered and safe in several processes: call it as often as you like.
    """
    return outbox.collect(store, settings.notify, now)


def teller(settings: Settings) -> Callable[[Connection, ReviewRow, str], None]:
    """What tells of a reminder or a hand-up, inside the transaction that makes it come about."""

    def tell(connection: Connection, review: ReviewRow, event: str) -> None:
        outbox.put(connection, settings.notify, review, event, time.time())

    return tell


async def send_due(
    store: Store,
    settings: Settings,
    now: float,
    *,
    seconds: float = sending.SECONDS,
    only: Collection[str] | None = None,
) -> int:
    """Send what is due, once each over all processes; returns how many were tried.

    At most `outbox.BATCH` a target: where as many come back as that, there may be more.
    An attempt takes `seconds` at most, and all are made at once. `only`: names of the targets; None: all.
    """
    every = (*settings.notify, *settings.audit.targets)
    names = every if only is None else tuple(only)
    if not names:
        return 0
    claimed = await asyncio.to_thread(outbox.claim, store, names, now)
    if claimed:
        redactor = redactor_for(settings, os.environ)
        await asyncio.gather(
            *(_deliver(store, settings, redactor, row, now, seconds) for row in claimed)
        )
    return len(claimed)


async def _deliver(
    store: Store,
    settings: Settings,
    redactor: Redactor,
    row: DeliveryRow,
    now: float,
    seconds: float,
) -> None:
    body = row.body or await asyncio.to_thread(_body, store, settings, redactor, row)
    if row.attempts > 1 and body:
        body = body if await asyncio.to_thread(_waits, store, row) else ""
    if not body:
        await asyncio.to_thread(outbox.settle, store, row, "dropped", now)
        return
    answer = await _send(settings, row, body, seconds)
    error = redactor.text(answer.text)
    if answer.sent:
        await asyncio.to_thread(outbox.settle, store, row, "sent", now, body=body)
    elif answer.over:
        await asyncio.to_thread(outbox.settle, store, row, "failed", now, error=error, body=body)
    else:
        await asyncio.to_thread(outbox.postpone, store, row, now, error=error, body=body)


async def _send(settings: Settings, row: DeliveryRow, body: str, seconds: float) -> sending.Answer:
    if row.kind == outbox.CHECKPOINT:
        copy = settings.audit.targets[row.target]
        return await copying.send(copy, row.id, body, seconds=seconds)
    return await sending.send(settings.notify[row.target], row.id, body, seconds=seconds)


def _body(store: Store, settings: Settings, redactor: Redactor, row: DeliveryRow) -> str:
    """The notice as JSON; empty: there is nothing to tell any more."""
    if row.kind == outbox.CHECKPOINT:
        return row.body
    try:
        run = runs.get_run(store, row.run)
        if not row.review:
            told = notice.of_run(run, settings, redactor) if run.status in ENDED else None
        else:
            review = reviews.get_review(store, row.review)
            still = review.state == "open"
            told = notice.of_review(row.kind, review, run, settings, redactor) if still else None
    except UsageError:  # the run was removed
        return ""
    return "" if told is None else told.model_dump_json()


def _waits(store: Store, row: DeliveryRow) -> bool:
    """Is it still worth telling?"""
    if not row.review:
        return True
    try:
        return reviews.get_review(store, row.review).state == "open"
    except UsageError:
        return False


async def flush(store: Store, settings: Settings, *, seconds: float = 5.0) -> None:
    """Collect and send, as far as `seconds` allow; never fails, the rest is sent by whoever comes next."""
    if settings.notify:
        with _excused(seconds):
            await asyncio.to_thread(collect, store, settings, time.time())
    await _flush(store, settings, (*settings.notify, *settings.audit.targets), seconds)


async def flush_copies(store: Store, settings: Settings, *, seconds: float = 5.0) -> None:
    """Copy the checkpoints that are not copied yet, as `flush` sends."""
    await _flush(store, settings, settings.audit.targets, seconds)


async def _flush(store: Store, settings: Settings, names: Collection[str], seconds: float) -> None:
    if not names:
        return
    each = seconds * 0.8
    with _excused(seconds):
        async with asyncio.timeout(seconds):
            while (
                await send_due(store, settings, time.time(), seconds=each, only=names)
                >= outbox.BATCH
            ):
                pass


@contextlib.contextmanager
def _excused(seconds: float) -> Generator[None]:
    """The run matters more than the word of it."""
    try:
        yield
    except TimeoutError:
        logger.warning("notifications: not all were sent within {:g} s", seconds)
    except Exception as error:  # noqa: BLE001  # a receiver's fault is nobody else's
        logger.warning("notifications: {}: {}", type(error).__name__, error)


@asynccontextmanager
async def copying_beside(store: Store, settings: Settings) -> AsyncGenerator[None]:
    """Copy the audit log's checkpoints as they are made, while the caller works."""
    if not settings.audit.copies:
        yield
        return

    async def keep_copying() -> None:
        while True:
            await asyncio.sleep(COPY_EVERY)
            await flush_copies(store, settings)

    beside = asyncio.create_task(keep_copying())
    try:
        yield
    finally:
        beside.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beside


async def try_out(name: str, target: NotifyTarget, settings: Settings) -> sending.Answer:
    """Send one notice that says that it is a test; nothing is written down."""
    body = notice.a_test(settings).model_dump_json()
    return await sending.send(target, f"msg_test_{name}_{time.time_ns()}", body)
