"""What does `crews notify --json` print? One frozen model for each kind, as in `shapes`."""

from __future__ import annotations

from crews.cli.output import iso
from crews.cli.shapes import Shape
from crews.records.outbox import DeliveryRow


class TargetShape(Shape):
    """A target, without its address and its secret."""

    name: str
    way: str
    """`webhook`, `signed webhook`, or the scheme of a service."""
    events: list[str]


class TestShape(Shape):
    """What came back of a test."""

    target: str
    sent: bool
    text: str


class DeliveryShape(Shape):
    """A notification."""

    id: str
    run: str
    review: str
    event: str
    target: str
    state: str
    attempts: int
    next_attempt_at: str | None
    error: str
    created_at: str | None
    sent_at: str | None


def delivery_shape(row: DeliveryRow) -> DeliveryShape:
    """A notification for machines."""
    return DeliveryShape(
        id=row.id,
        run=row.run,
        review=row.review,
        event=row.kind,
        target=row.target,
        state=row.state,
        attempts=row.attempts,
        next_attempt_at=iso(row.due_at) if row.state == "due" else None,
        error=row.error,
        created_at=iso(row.created_at),
        sent_at=iso(row.sent_at),
    )
