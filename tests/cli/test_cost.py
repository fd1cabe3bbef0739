"""Are costs shown whole, and unknown ones as unknown?"""

from __future__ import annotations

from decimal import Decimal

from inline_snapshot import snapshot

from crews.records import days
from crews.records.journal import Journal as RunJournal
from crews.records.runs import get_run
from tests.cli.journal import Journal
from tests.support.written import worked


def test_one_run(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    assert journal.run("cost", run.id).out.replace(run.id, "RUN") == snapshot("""\
run RUN (waiting): Make it faster

agent   turns  input  cache written  cache read  output              money
lead        1    600            300         100     100            $0.0015
coder       1    600            300         100     100            $0.0015
reader      1    600            300         100     100            unknown
total       3  1,800            900         300     300  $0.0030 + unknown

thread       turns  input  cache written  cache read  output              money
/ lead           1    600            300         100     100            $0.0015
/0.0 coder       1    600            300         100     100            $0.0015
/0.1 reader      1    600            300         100     100            unknown
total            3  1,800            900         300     300  $0.0030 + unknown

model  turns  input  cache written  cache read  output              money
m-1        2  1,200            600         200     200            $0.0030
local      1    600            300         100     100            unknown
total      3  1,800            900         300     300  $0.0030 + unknown
""")


def test_for_scripts(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    found = journal.run("cost", run.id, "--json").json
    assert found["total"]["cost_usd"] is None
    assert found["total"]["cost_usd_known_part"] == 0.003
    assert [m["cost_usd"] for m in found["models"]] == [0.003, None]


def test_several_runs_and_none(journal: Journal) -> None:
    assert journal.run("cost").out == "There are no runs yet.\n"
    with journal.store() as store:
        worked(store)
        worked(store)
    lines = journal.run("cost").out.splitlines()
    assert len(lines) == 4
    assert lines[-1].split() == ["total", "6", "6,600", "$0.0060", "+", "unknown"]
    assert len(journal.run("cost", "--json", "--limit", "1").json) == 1
    assert journal.run("cost", "nothing").code == 2


def days_of_two_teams(journal: Journal) -> None:
    """Two days of one team and one of another, whose limit a human had moved."""
    with journal.store() as store:
        run = worked(store)
        with store.writing() as connection:
            days.add(connection, "shop", "2026-01-31", 1_500_000_000)
            days.add(connection, "shop", "2026-02-01", None)
            days.add(connection, "blog", "2026-02-01", 250_000_000)
        days.extend(
            RunJournal(store, run.id, get_run(store, run.id).epoch), "blog", "2026-02-01",
            daily=Decimal(1), was=Decimal(1), to=Decimal(2), review="r",
        )  # fmt: skip


def test_what_teams_spent_per_day(journal: Journal) -> None:
    assert journal.run("cost", "--by", "day").out == "Nothing was spent yet.\n"
    days_of_two_teams(journal)
    assert journal.run("cost", "--by", "day").out == snapshot("""\
day (UTC)   team              money  extended by
2026-02-01  blog            $0.2500      $1.0000
2026-02-01  shop            unknown
2026-01-31  shop            $1.5000
total             $1.7500 + unknown
""")
    assert journal.run("cost", "--by", "team").out == snapshot("""\
team   days              money
blog      1            $0.2500
shop      2  $1.5000 + unknown
total     2  $1.7500 + unknown
""")
    assert "2026-01-31" not in journal.run("cost", "--by", "day", "--limit", "1").out


def test_what_teams_spent_for_scripts(journal: Journal) -> None:
    assert journal.run("cost", "--by", "day", "--json").json == []
    days_of_two_teams(journal)
    blog, shop, earlier = journal.run("cost", "--by", "day", "--json").json
    assert (blog["team"], blog["cost_usd"], blog["extended_usd"]) == ("blog", 0.25, 1.0)
    assert (shop["day"], shop["cost_usd"], shop["cost_usd_known_part"]) == ("2026-02-01", None, 0)
    assert earlier["cost_usd"] == 1.5
    blog, shop = journal.run("cost", "--by", "team", "--json").json
    assert (blog["team"], blog["days"], blog["cost_usd"]) == ("blog", 1, 0.25)
    assert (shop["days"], shop["cost_usd"], shop["cost_usd_known_part"]) == (2, None, 1.5)


def test_a_run_has_no_days(journal: Journal) -> None:
    found = journal.run("cost", "abc", "--by", "day")
    assert found.code == 2
    assert "--by adds up every run" in found.err
