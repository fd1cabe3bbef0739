"""Is each moment of a schedule a run of its own, whoever else has a schedule of that name?"""

from __future__ import annotations

from datetime import UTC, datetime

from crews.schedules import Order

DUE = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)


def test_schedules_of_one_name_in_two_folders_of_runs_make_a_run_each() -> None:
    order = Order(name="nightly", goal="Tidy up", team="", workspace="/tmp")
    one, other = (order.kickoff(DUE, home) for home in ("aaaa", "bbbb"))
    assert one.submission != other.submission
    assert one.submission == order.kickoff(DUE, "aaaa").submission
