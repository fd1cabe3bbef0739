"""Can a script start a run, decide, and go on, from wherever it stands, and is it told what is wrong?"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import crews
from crews import Answer, Event, Review, api
from crews.errors import EXIT_WAITING, UsageError
from crews.outcome import Kickoff
from crews.records.store import open_store
from crews.runtime.prices import price
from tests.records.builders import ROOT
from tests.stories.players import (
    MODEL,
    delegate,
    delivery,
    finish,
    hand_over,
    job,
    plan,
    played,
    rule,
    step,
    team,
    write,
)
from tests.stories.scenes import Stage, staged, tree
from tests.support.messages_api import MessagesServer, Reply, Usage

NOTHING_DONE = played({"boss": [finish("There was nothing to do.")]})


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A team that changes `a.txt` and asks before it applies the change."""
    with staged(delivery(write(content="two\n"))) as made:
        yield made


def approving(review: Review) -> Answer:
    del review
    return Answer("approve")


def nobody(review: Review) -> None:
    del review


# -- from where it stands -------------------------------------------------------------------------


def test_a_plain_script_starts_decides_and_resumes(stage: Stage) -> None:
    result = crews.kickoff(
        "Make it so", team=stage.team, workspace=stage.folder, settings=stage.settings
    )
    assert (result.status, result.exit_code) == ("waiting", EXIT_WAITING)
    [review] = result.waiting_for
    assert tree(stage.folder) == {"a.txt": "one\n"}
    decided = crews.decide(review.id, "approve", by="eve", settings=stage.settings)
    assert decided.decided_by == "eve"
    done = crews.resume(result.run_id, settings=stage.settings)
    assert (done.run_id, done.status, done.exit_code) == (result.run_id, "completed", 0)
    assert done.waiting_for == ()
    assert tree(stage.folder) == {"a.txt": "two\n"}


def test_a_callback_decides_on_the_way(stage: Stage) -> None:
    asked: list[str] = []

    def ask(review: Review) -> Answer:
        asked.append(review.kind)
        return Answer("approve")

    assert stage.run(ask=ask).status == "completed"
    assert asked == ["change_set"]


def test_who_does_not_answer_leaves_the_run_waiting(stage: Stage) -> None:
    assert stage.run(ask=nobody).status == "waiting"
    done = crews.resume(stage.id, settings=stage.settings, ask=approving)
    assert done.status == "completed"


def test_what_somebody_else_decides_meanwhile_counts(stage: Stage) -> None:
    def ask(review: Review) -> Answer:
        crews.decide(review.id, "approve", by="bob", settings=stage.settings)
        return Answer("reject", "too late")

    result = stage.run(ask=ask)
    assert (result.status, result.reviews[0].decided_by) == ("completed", "bob")


@pytest.mark.parametrize("ask", [None, nobody])
def test_what_is_decided_while_others_still_work_is_acted_on_at_once(ask: Any) -> None:
    """Nobody has to resume a run that waits for nothing."""
    slow = Reply(hand_over().blocks, delay=0.5)
    script = played(
        {
            "boss": [
                plan(step("write"), step("look")),
                delegate("write", "look"),
                finish(deliver=False),
            ],
            "coder: do write": [write(), hand_over()],
            "coder: do look": [slow],
        }
    )
    careful = team(rules=[rule("careful", "ask", effect="write")])
    with staged(script, careful) as stage:

        def decide(event: Event) -> None:
            if event.kind == "review_opened":
                crews.decide(event.review, "approve", settings=stage.settings)

        result = stage.run(on_event=decide, ask=ask)
    assert result.waiting_for == ()
    assert result.status == "completed"


def test_inside_a_running_loop_there_is_an_async_way(stage: Stage) -> None:
    async def script() -> crews.Result:
        given: dict[str, Any] = {"team": stage.team, "settings": stage.settings}
        first = await crews.akickoff("Make it so", workspace=stage.folder, **given)
        crews.decide(first.waiting_for[0].id, "approve", settings=stage.settings)
        return await crews.aresume(first.run_id, settings=stage.settings)

    assert asyncio.run(script()).status == "completed"


def test_the_plain_way_works_inside_a_running_loop_too(stage: Stage) -> None:
    async def notebook() -> crews.Result:
        return stage.run(ask=approving)

    assert asyncio.run(notebook()).status == "completed"


def test_the_plain_way_raises_inside_a_running_loop_too() -> None:
    async def notebook() -> None:
        crews.kickoff("")

    with pytest.raises(UsageError, match="goal is empty"):
        asyncio.run(notebook())


def test_the_plain_way_works_in_a_thread(stage: Stage) -> None:
    results: list[crews.Result] = []
    thread = threading.Thread(target=lambda: results.append(stage.run(ask=approving)))
    thread.start()
    thread.join()
    assert [r.status for r in results] == ["completed"]


SCRIPT = """
import crews, sys
result = crews.kickoff("Say hello", team=sys.argv[1])
print(result.status, result.exit_code)
"""


def test_a_script_of_its_own_reads_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "agents.yaml").write_text(
        "boss: {role: Boss, goal: g, backstory: b, oversight: {duty: supervisor}}\n",
        encoding="utf-8",
    )
    (tmp_path / "tasks.yaml").write_text(
        "deliver: {description: '{goal}', expected_output: x}\n", encoding="utf-8"
    )
    with MessagesServer(NOTHING_DONE) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.stdout == "completed 0\n", done.stderr


# -- what comes back ------------------------------------------------------------------------------


def test_a_result_says_where_the_run_stands_and_what_it_took() -> None:
    script, usage = delivery(write(content="two\n")), Usage(1000, 100, 20, 3)

    def brain(request: Any) -> Reply:
        return Reply(script(request).blocks, usage=usage)

    with staged(brain) as stage:
        result = stage.run()
        turns = len(stage.requests())
    assert result.run_id == stage.id
    assert (result.usage.turns, result.usage.tokens) == (turns, turns * 1123)
    assert result.usage.calls == len(stage.calls())
    assert result.usage.working_seconds > 0
    each = price(MODEL, 1000, 100, 20, 3)
    assert each is not None
    assert result.cost == Decimal(each * turns) / 10**9
    assert [f.path for f in result.change_set.files] == ["a.txt"]
    assert "+two" in result.change_set.diff
    [review] = result.reviews
    assert review.content_hash == result.change_set.hash
    assert stage.id in result.report


def test_an_unknown_price_is_unknown_and_not_nothing() -> None:
    with staged(NOTHING_DONE) as stage:
        result = stage.run(model="a-model-of-my-own")
    assert (result.status, result.cost) == ("completed", None)


def test_events_are_told_as_they_happen_and_a_listener_that_breaks_stops_nothing() -> None:
    heard: list[Event] = []

    def listen(event: Event) -> None:
        heard.append(event)
        raise RuntimeError("no ears")

    with staged(NOTHING_DONE) as stage:
        result = stage.run(on_event=listen)
    assert result.status == "completed"
    assert (heard[0].kind, heard[-1].kind) == ("run_started", "run_ended")
    assert {e.run for e in heard} == {result.run_id}
    assert heard[-1].run_tokens == result.usage.tokens


def test_inputs_fill_the_team_s_words() -> None:
    told = team(tasks=[job(description="{goal} for {who}")])
    with staged(NOTHING_DONE, told) as stage:
        stage.run("Bake", inputs={"who": "Eve"})
        [request] = stage.requests()
    assert "Bake for Eve" in str(request.messages[0])


def test_a_run_can_be_made_without_being_worked_on(stage: Stage) -> None:
    with open_store(stage.settings.journal_url) as store:
        asked = Kickoff("Make it so", stage.team, stage.folder)
        run = api.create(asked, store, stage.settings)
        assert (run.status, run.epoch) == ("queued", 0)
        result = asyncio.run(api.advance(run.id, store, stage.settings, ask=approving))
    assert result.status == "completed"
