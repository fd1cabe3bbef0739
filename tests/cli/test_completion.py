"""Do ids complete from the journal?"""

from __future__ import annotations

from crews.cli import completion
from tests.cli.journal import Journal
from tests.support.written import worked


def test_runs_and_open_reviews_complete_by_their_ids(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    assert completion.runs(run.id[:3]) == [(run.id, "waiting: Make it faster")]
    assert completion.runs("?") == []
    assert completion.open_reviews("") == [(f"{run.id}-2", "Apply 1 changed file to shop")]


def test_a_tab_makes_no_files_and_breaks_nothing(journal: Journal) -> None:
    assert completion.runs("") == []
    assert not list(journal.home.iterdir())
    (journal.home / "crews.db").write_text("this is no database", encoding="utf-8")
    assert completion.runs("") == []


def test_the_shell_gets_them(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    environment = {
        "_CREWS_COMPLETE": "complete_bash", "COMP_WORDS": "crews inbox approve ", "COMP_CWORD": "3",
    }  # fmt: skip
    ran = journal.process(environment=environment)
    assert ran.out.split() == [f"{run.id}-2"]
