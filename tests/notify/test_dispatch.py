"""Does everybody hear of a waiting review once, whatever fails, and never after it was decided?"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from crews import notify
from crews.records import audit
from crews.records.outbox import LEASE, DeliveryRow, list_deliveries
from crews.records.questions import ReviewRow
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.settings import Settings
from tests.notify.receiver import SECRET, Receiver
from tests.support.written import begun

pytestmark = pytest.mark.anyio


def telling(url: str, **more: Any) -> Settings:
    """Settings with one target."""
    target = {"url": url, "secret": SECRET, **more}
    return Settings.model_validate({"notify": {"ops": target}, "public_url": "https://c.example"})


def waiting(store: Store, **values: Any) -> ReviewRow:
    return begun(store).review(5, **values)


def only(store: Store) -> DeliveryRow:
    (row,) = list_deliveries(store)
    return row


async def sent(store: Store, settings: Settings, now: float) -> int:
    notify.collect(store, settings, now)
    return await notify.send_due(store, settings, now)


async def test_a_waiting_review_is_told_once_by_a_signed_webhook(
    store: Store, receiver: Receiver
) -> None:
    review, settings = waiting(store), telling(receiver.url)
    now = time.time()
    assert [await sent(store, settings, now + n) for n in range(3)] == [1, 0, 0]
    (request,) = receiver.received
    body = request.verified()
    assert (body["review"], body["event"]) == (review.id, "review_opened")
    assert body["link"] == f"https://c.example/reviews/{review.id}"
    row = only(store)
    assert (row.state, row.target, row.body) == ("sent", "ops", request.body)
    entries = [e for e in audit.entries(store, review.run) if e.kind == "notified"]
    assert [json.loads(e.body)["review"] for e in entries] == [review.id]


async def test_a_receiver_that_fails_twice_gets_it_the_third_time(
    store: Store, receiver: Receiver
) -> None:
    waiting(store)
    settings = telling(receiver.url)
    receiver.answers = [(500, "down"), (429, "")]
    await sent(store, settings, now := time.time())
    assert (only(store).state, only(store).error) == ("due", "HTTP 500 down")
    assert await notify.send_due(store, settings, now + 1) == 0
    while only(store).state == "due":
        assert await notify.send_due(store, settings, only(store).due_at) == 1
    assert (only(store).state, only(store).attempts, only(store).error) == ("sent", 3, "")
    assert len({r.body for r in receiver.received}) == 1
    assert {r.headers["webhook-id"] for r in receiver.received} == {only(store).id}
    for request in receiver.received:
        request.verified()


async def test_a_receiver_that_is_gone_is_given_up(store: Store, receiver: Receiver) -> None:
    review = waiting(store)
    receiver.answers = [(410, "gone")]
    await sent(store, telling(receiver.url), time.time())
    assert (only(store).state, only(store).error) == ("failed", "HTTP 410 gone")
    assert audit.entries(store, review.run)[-1].kind == "notify_failed"


async def test_two_dispatchers_at_once_tell_once(store: Store, receiver: Receiver) -> None:
    run = begun(store)
    asked = [run.review(5, address=f"/:0.{n}") for n in range(8)]
    settings, now = telling(receiver.url), time.time()
    with open_store(str(store.engine.url)) as other:
        tried = await asyncio.gather(*(sent(s, settings, now) for s in (store, other) * 3))
    assert sum(tried) == len(asked)
    assert sorted(r.json["review"] for r in receiver.received) == sorted(r.id for r in asked)


async def test_what_a_dead_process_had_claimed_is_sent_by_the_next(
    store: Store, receiver: Receiver
) -> None:
    waiting(store)
    settings, now = telling(f"{receiver.url}/stuck"), time.time()
    notify.collect(store, settings, now)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):  # cut off in the middle of the attempt
            await notify.send_due(store, settings, now)
    receiver.stuck.set()
    assert await notify.send_due(store, settings, now + LEASE - 1) == 0
    assert await notify.send_due(store, settings, now + LEASE + 1) == 1
    assert (only(store).state, only(store).attempts) == ("sent", 2)
    assert len({r.headers["webhook-id"] for r in receiver.received}) == 1


@pytest.mark.parametrize("failures", [0, 1])
async def test_a_review_that_was_decided_meanwhile_is_not_told(
    store: Store, receiver: Receiver, failures: int
) -> None:
    run = begun(store)
    review = run.review(5)
    settings, now = telling(receiver.url), time.time()
    receiver.answers = [(500, "")] * failures
    notify.collect(store, settings, now)
    for _ in range(failures):
        await notify.send_due(store, settings, now)
    run.decided(review.id, "approve", 6)
    await notify.send_due(store, settings, now + 3600)
    assert (len(receiver.received), only(store).state) == (failures, "dropped")


async def test_the_end_of_a_run_is_told(store: Store, receiver: Receiver) -> None:
    settings = telling(receiver.url, events=["run_ended"])
    run = begun(store)
    run.review(5)
    await sent(store, settings, time.time())
    run.journal.release("failed", reason="no", exit_code=1)
    await sent(store, settings, time.time())
    (request,) = receiver.received
    assert (request.json["event"], request.json["status"]) == ("run_ended", "failed")


async def test_what_a_sweep_tells_is_sent(store: Store, receiver: Receiver) -> None:
    review, settings = waiting(store), telling(receiver.url, events=["review_handed_up"])
    tell = notify.teller(settings)
    with store.writing() as connection:
        for kind in ("review_reminder", "review_handed_up", "review_decided"):
            tell(connection, review, kind)
    await notify.send_due(store, settings, time.time())
    assert [r.json["event"] for r in receiver.received] == ["review_handed_up"]


async def test_no_secret_is_in_a_row_or_in_the_audit_log(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "hunter2-hunter2")
    token = "T0KEN-OF-OURS"
    review = waiting(store, title=f"push with hunter2-hunter2 to {receiver.url}/{token}")
    receiver.answers = [(500, f"{token} {SECRET} hunter2-hunter2")]
    await sent(store, telling(f"{receiver.url}/{token}"), time.time())
    row = only(store)
    kept = f"{row.body} {row.error} {[e.body for e in audit.entries(store, review.run)]}"
    assert row.error.startswith("HTTP 500 [redacted:")
    for secret in (token, SECRET, "hunter2"):
        assert secret not in kept
        assert secret not in receiver.received[0].body


async def test_flush_fails_no_run_and_takes_no_longer_than_it_may(
    store: Store, receiver: Receiver
) -> None:
    waiting(store)
    settings = telling(f"{receiver.url}/stuck")
    began = time.perf_counter()
    await notify.flush(store, settings, seconds=0.5)
    assert time.perf_counter() - began < 5
    assert (only(store).state, only(store).attempts) == ("due", 1)
    with store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE deliveries")
    await notify.flush(store, settings, seconds=5)


async def test_flush_tells_what_waits(store: Store, receiver: Receiver) -> None:
    review = waiting(store)
    await notify.flush(store, telling(receiver.url))
    assert [r.json["review"] for r in receiver.received] == [review.id]
    assert get_run(store, review.run).status == "running"


async def test_without_targets_nothing_is_written(store: Store) -> None:
    waiting(store)
    last = len(audit.entries(store))
    await notify.flush(store, Settings())
    assert await sent(store, Settings(), time.time()) == 0
    assert (list_deliveries(store), len(audit.entries(store))) == ((), last)
