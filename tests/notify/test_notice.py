"""Is a human told enough to know whether to look, and nothing that should stay here?"""

from __future__ import annotations

from dataclasses import replace

from crews.notify.notice import Notice, headline, inert, of_review, of_run, words
from crews.records.runs import get_run
from crews.records.store import Store
from crews.safety.redact import Redactor
from crews.settings import Settings
from tests.support.written import Written, begun

REDACTOR = Redactor({"DEPLOY_KEY": "hunter2-hunter2"})
PAGE = Settings(public_url="https://crews.example.org/")


def told(run: Written, settings: Settings = PAGE, **values: object) -> Notice:
    review = replace(run.review(5, **values), due_at=1_790_003_600.0, role="security")
    row = get_run(run.store, run.id)
    return of_review("review_opened", review, row, settings, REDACTOR)


def test_a_review_is_told_with_a_link_and_no_more_than_is_needed(store: Store) -> None:
    run = begun(store)
    found = told(run, subject={"diff": "-secret +diff", "arguments": {"command": "arg"}})
    assert found.model_dump(exclude_defaults=True) == {
        "event": "review_opened",
        "run": run.id,
        "team": "small",
        "goal": "Make it faster",
        "review": f"{run.id}-1",
        "kind": "action",
        "title": "coder wants to run `make ship`",
        "rule": "commands-are-asked",
        "role": "security",
        "due_at": "2026-09-21T15:13:20+00:00",
        "link": f"https://crews.example.org/reviews/{run.id}-1",
    }


def test_without_a_page_the_command_is_told(store: Store) -> None:
    run = begun(store)
    assert told(run, Settings()).link == f"crews inbox show {run.id}-1"
    assert of_run(get_run(store, run.id), Settings(), REDACTOR).link == f"crews runs show {run.id}"


def test_secrets_go_before_the_text_is_cut(store: Store) -> None:
    run = begun(store, goal="x" * 290 + " hunter2-hunter2")
    found = told(run, title="run `login hunter2-hunter2`\n\x1b[2J now")
    assert found.title == "run `login [redacted:DEPLOY_KEY]` now"
    assert "hunter2" not in found.goal
    assert len(found.goal) <= 300


def test_an_ended_run_is_told_with_its_reason(store: Store) -> None:
    run = begun(store)
    run.journal.release("failed", reason="the key hunter2-hunter2 was refused", exit_code=4)
    found = of_run(get_run(store, run.id), PAGE, REDACTOR)
    assert (found.event, found.status) == ("run_ended", "failed")
    assert found.reason == "the key [redacted:DEPLOY_KEY] was refused"
    assert headline(found) == f"crews: a run has ended ({run.id}): failed"
    assert words(found).endswith(f"https://crews.example.org/runs/{run.id}")


def test_text_of_a_model_links_nowhere_and_calls_nobody(store: Store) -> None:
    evil = "<!channel> @everyone [Approve](https://evil.example/yes) <https://evil.example|here>"
    run = begun(store, goal=evil)
    *lines, link = words(told(run, title=evil)).split("\n")
    assert link == f"https://crews.example.org/reviews/{run.id}-1"
    assert not [line for line in lines if "://" in line or set(line) & set("<>@[]")]
    assert inert("see www.evil.example") == "see www .evil.example"
