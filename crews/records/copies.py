"""Which checkpoints of the audit log are to be copied to where, and which copies do not arrive?

A copy is a delivery like a notification: one process makes it, it is tried again with growing pauses, and what came
of it is kept.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from sqlalchemy import Connection, func, insert, select

from crews.records.outbox import CHECKPOINT
from crews.records.store import Store
from crews.records.tables import deliveries


def put(connection: Connection, targets: Iterable[str], size: int, note: str) -> None:
    """Have a checkpoint copied, in the transaction that makes it."""
    now = time.time()
    rows = [
        {
            "id": f"checkpoint_{size}_{target}", "run": "", "review": "", "kind": CHECKPOINT,
            "target": target, "body": note, "state": "due", "attempts": 0, "due_at": now, "error": "",
            "created_at": now, "sent_at": None,
        }
        for target in targets
    ]  # fmt: skip
    if rows:
        connection.execute(insert(deliveries), rows)


def troubles(store: Store) -> tuple[str, ...]:
    """One sentence for each target whose newest copy that was tried has not arrived."""
    newest = (
        select(deliveries.c.target, func.max(deliveries.c.created_at).label("at"))
        .where(deliveries.c.kind == CHECKPOINT, deliveries.c.attempts > 0)
        .group_by(deliveries.c.target)
        .subquery()
    )
    query = select(deliveries).join(
        newest, (deliveries.c.target == newest.c.target) & (deliveries.c.created_at == newest.c.at)
    )
    with store.reading() as connection:
        rows = connection.execute(query.where(deliveries.c.error != "")).all()
    return tuple(
        f"the copy {row.target.removeprefix('audit:')} does not arrive: {row.error}"
        for row in rows
        if row.state in {"due", "failed"}
    )
