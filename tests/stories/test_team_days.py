"""Is what a team may spend in a day a wall for all its runs, and does one approval serve them all?"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update

from crews.errors import EXIT_BUDGET
from crews.records import inbox
from crews.records.days import DayRow, list_days
from crews.records.questions import ReviewRow
from crews.records.rows import dollars
from crews.records.runs import get_run
from crews.records.store import Store, open_store
from crews.records.tables import reviews, spend, team_days
from crews.report.costs import costs
from crews.runtime.prices import price
from crews.teams.spec import Daily
from tests.stories.players import (
    CHANGE,
    LOOK,
    MODEL,
    delegate,
    finish,
    hand_over,
    plan,
    played,
    team,
)
from tests.stories.scenes import Stage, staged
from tests.support.messages_api import Reply, Request, Usage

DAILY = Decimal("0.02")
"""Room for one request's longest answer beside a few answers as they come; not for a whole run."""
PRICE = price(MODEL, 500, 200) or 0
"""Nano-dollars of each answer."""
SCRIPT = played(
    {"boss": [plan(CHANGE), delegate("change"), finish()], "coder": [LOOK, hand_over()]}
)
NEEDED = 5
"""Requests of a whole run."""


def priced(request: Request) -> Reply:
    found = SCRIPT(request)
    return Reply(found.blocks, stop_reason=found.stop_reason, usage=Usage(500, 200))


@contextmanager
def day(money: Decimal = DAILY) -> Generator[Stage]:
    """A team that may spend so much in a day."""
    with staged(priced, team(daily=Daily(money=money))) as stage:
        yield stage


@contextmanager
def journal(stage: Stage) -> Generator[Store]:
    with open_store(stage.settings.journal_url) as store:
        yield store


def question(stage: Stage, run: str) -> ReviewRow:
    """The newest question about the day of that run."""
    with journal(stage) as store:
        return inbox.list_reviews(store, run=run, state=None, kind="budget")[-1]


def today(stage: Stage) -> DayRow:
    with journal(stage) as store:
        return list_days(store, 1)[0]


def stopped_at_the_wall(stage: Stage) -> str:
    """A run that waits at the wall; its id."""
    result = stage.run()
    assert (result.status, result.exit_code) == ("waiting", 3)
    return stage.id


def resumed(stage: Stage, run: str) -> Any:
    stage.runs = [run]
    return stage.resume()


def test_nothing_is_sent_that_could_pass_it_by_whichever_run() -> None:
    with day() as stage:
        stopped_at_the_wall(stage)
        sent = len(stage.server.requests)
        assert 0 < sent < NEEDED
        assert today(stage).money == sent * PRICE
        stopped_at_the_wall(stage)
        assert len(stage.server.requests) == sent
        review = question(stage, stage.id)
        assert (review.about["scope"], review.about["which"]) == ("team", "money")
        assert review.about["day"] == today(stage).day
        assert f"${dollars(sent * PRICE):.4f} of $0.0200 are spent" in review.title
        assert "allows $0.0200 more on that day" in review.reason
        left, wanted = 2 * DAILY - dollars(sent * PRICE), Decimal(review.about["wanted"])
        assert f"about {left // wanted} requests like the next one" in review.reason


def test_one_approval_serves_every_run_that_waits_at_that_wall() -> None:
    with day() as stage:
        first, second = stopped_at_the_wall(stage), stopped_at_the_wall(stage)
        stage.decide_one(question(stage, second).id, "approve")
        assert resumed(stage, second).exit_code == 0
        assert question(stage, first).state == "void"
        with journal(stage) as store:
            assert get_run(store, first).status == "queued"
        assert today(stage).extended == DAILY * 1_000_000_000
        assert resumed(stage, first).exit_code == 0
        assert len(stage.server.requests) == 2 * NEEDED
        assert today(stage).extended == DAILY * 1_000_000_000


def test_two_approvals_of_one_wall_extend_it_once() -> None:
    with day() as stage:
        both = stopped_at_the_wall(stage), stopped_at_the_wall(stage)
        for run in both:
            stage.decide_one(question(stage, run).id, "approve")
        for run in both:
            assert resumed(stage, run).exit_code == 0
        assert today(stage).extended == DAILY * 1_000_000_000


def test_another_limit() -> None:
    with day() as stage:
        run = stopped_at_the_wall(stage)
        stage.decide_one(question(stage, run).id, "edit", edit={"money": "0.5"})
        assert resumed(stage, run).exit_code == 0
        assert today(stage).extended == (Decimal("0.5") - DAILY) * 1_000_000_000
        assert stage.run().exit_code == 0


def test_an_edit_that_leaves_the_limit_asks_again() -> None:
    with day() as stage:
        run = stopped_at_the_wall(stage)
        asked = question(stage, run)
        stage.decide_one(asked.id, "edit", edit={"tokens": 10})
        assert resumed(stage, run).status == "waiting"
        again = question(stage, run)
        assert (again.id != asked.id, again.state, today(stage).extended) == (True, "open", 0)


def test_a_refusal_has_this_run_finish_with_what_there_is() -> None:
    with day() as stage:
        first, second = stopped_at_the_wall(stage), stopped_at_the_wall(stage)
        stage.decide_one(question(stage, second).id, "reject")
        result = resumed(stage, second)
        assert (result.status, result.exit_code) == ("completed", EXIT_BUDGET)
        assert question(stage, first).state == "open"
        assert today(stage).extended == 0
        # Also what is said at the end is counted, and in a row of its own.
        assert today(stage).money == len(stage.server.requests) * PRICE
        assert rows(stage) == len(stage.server.requests)


def rows(stage: Stage) -> int:
    """Settled reservations of all runs."""
    with journal(stage) as store, store.reading() as connection:
        query = select(func.count()).select_from(spend).where(spend.c.state == "settled")
        return int(connection.execute(query).scalar_one())


def test_the_end() -> None:
    with day() as stage:
        run = stopped_at_the_wall(stage)
        stage.decide_one(question(stage, run).id, "stop")
        result = resumed(stage, run)
        assert (result.status, result.exit_code) == ("stopped", EXIT_BUDGET)


@pytest.mark.parametrize("approved", [False, True])
def test_the_next_day_is_a_new_one(approved: bool) -> None:
    with day() as stage:
        run = stopped_at_the_wall(stage)
        asked = question(stage, run)
        if approved:
            stage.decide_one(asked.id, "approve")
        a_day_passes(stage)
        sent = len(stage.server.requests)
        assert resumed(stage, run).exit_code == 0
        assert question(stage, run).state == ("decided" if approved else "void")
        assert today(stage).money == (NEEDED - sent) * PRICE
        assert today(stage).extended == 0


def a_day_passes(stage: Stage) -> None:
    """Everything that happened so far happened a day earlier."""
    now = today(stage).day
    before = (date.fromisoformat(now) - timedelta(days=1)).isoformat()
    with journal(stage) as store, store.writing() as connection:
        connection.execute(update(team_days).values(day=before))
        connection.execute(update(spend).values(reserved_at=spend.c.reserved_at - 86_400))
        moved = func.replace(reviews.c.address, now, before)
        connection.execute(update(reviews).values(address=moved))


def test_a_price_that_nobody_knows() -> None:
    with day() as stage:
        stage.run(model="a-model-of-my-own")
        assert not stage.server.requests
        assert "a price is not known" in question(stage, stage.id).title
        assert stage.go_on("approve").exit_code == 0
        assert (today(stage).lifted, today(stage).money_known) == (True, False)
        with journal(stage) as store:
            assert not costs(store, stage.id).total.money.known


def test_a_tape_costs_the_team_nothing() -> None:
    with day(Decimal(1)) as stage:
        assert stage.run(record="tape.jsonl").exit_code == 0
        paid = today(stage).money
        assert paid == NEEDED * PRICE
        stage.team = team(daily=Daily(money=Decimal("0.001")))
        assert stage.run(tape="tape.jsonl").exit_code == 0
        assert today(stage).money == paid
