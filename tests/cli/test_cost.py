"""Are costs shown whole, and unknown ones as unknown?"""

from __future__ import annotations

from inline_snapshot import snapshot

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
