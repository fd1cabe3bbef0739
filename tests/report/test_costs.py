"""Do the shares add up to what the run used?"""

from __future__ import annotations

from pathlib import Path

from crews.records import days
from crews.records.runs import get_run
from crews.records.store import open_store
from crews.report import costs
from crews.report.costs import Share, team_days
from tests.support.written import worked


def names(shares: tuple[Share, ...]) -> list[tuple[str, int, str]]:
    return [(s.name, s.tokens, str(s.money)) for s in shares]


def test_every_list_holds_the_whole_use(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        run = worked(store)
        found, row = costs(store, run.id), get_run(store, run.id)
    assert names(found.models) == [("m-1", 2_200, "$0.0030"), ("local", 1_100, "unknown")]
    assert names(found.agents) == [
        ("lead", 1_100, "$0.0015"), ("coder", 1_100, "$0.0015"), ("reader", 1_100, "unknown"),
    ]  # fmt: skip
    assert [s.name for s in found.threads] == ["/ lead", "/0.0 coder", "/0.1 reader"]
    for shares in (found.agents, found.threads, found.models):
        assert sum(s.tokens for s in shares) == row.tokens == found.total.tokens
        assert sum(s.money.nano for s in shares) == row.money == found.total.money.nano
    assert found.total.money.known is row.money_known is False


def test_a_teams_days(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        with store.writing() as connection:
            days.add(connection, "shop", "2026-01-31", 1_500_000_000)
            days.add(connection, "shop", "2026-02-01", None)
        found = team_days(store)
        assert [(d.day, d.team, str(d.money)) for d in found] == [
            ("2026-02-01", "shop", "unknown"), ("2026-01-31", "shop", "$1.5000"),
        ]  # fmt: skip
        assert len(team_days(store, 1)) == 1
