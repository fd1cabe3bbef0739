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
from pydantic import SecretStr

import crews
from crews import Answer, Event, Review, Settings, api
from crews.errors import EXIT_WAITING, KeyMissing, TeamError, UsageError, WorkspaceError
from crews.outcome import Kickoff
from crews.records.runs import claim, list_runs
from crews.records.store import open_store
from crews.runtime.models import price
from tests.records.builders import ROOT, child
from tests.stories.scenes import (
    MODEL,
    Stage,
    delegate,
    delivery,
    finish,
    hand_over,
    job,
    plan,
    played,
    rule,
    staged,
    step,
    team,
    tree,
    write,
)
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
    assert stage.resume(ask=approving).status == "completed"


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


# -- what is wrong --------------------------------------------------------------------------------


def refused(error: type[Exception], match: str, goal: str = "Go", **options: Any) -> None:
    settings = Settings(api_key=SecretStr("key"), base_url="http://127.0.0.1:9")
    given: dict[str, Any] = {"team": team(), **options}
    with pytest.raises(error, match=match):
        crews.kickoff(goal, settings=settings, **given)


@pytest.mark.parametrize("goal", ["", "  \n"])
def test_an_empty_goal_is_refused(goal: str) -> None:
    refused(UsageError, "goal is empty", goal)


def test_a_team_that_does_not_exist_is_refused() -> None:
    refused(UsageError, "no-such-team", team="no-such-team")
    refused(UsageError, "nowhere", team=Path("nowhere"))


def test_a_team_with_mistakes_names_all_of_them() -> None:
    folder = Path("bad")
    folder.mkdir()
    (folder / "agents.yaml").write_text("ann: {role: r, gaol: g, backstory: b}\n", encoding="utf-8")
    (folder / "tasks.yaml").write_text("do: {description: d}\n", encoding="utf-8")
    with pytest.raises(TeamError) as error:
        crews.kickoff("Go", team=folder)
    assert len(error.value.problems) >= 2


def test_a_missing_input_is_named() -> None:
    refused(TeamError, "who", team=team(tasks=[job(description="{goal} for {who}")]))


def test_a_folder_that_is_not_there_is_refused_and_the_run_is_not_left_behind() -> None:
    refused(WorkspaceError, "not a folder", workspace="nowhere")
    with open_store(Settings().journal_url) as store:
        [run] = list_runs(store)
    assert run.status == "failed"
    assert "not a folder" in run.reason


def test_without_a_key_nothing_is_begun() -> None:
    with pytest.raises(KeyMissing):
        crews.kickoff("Go", team=team())
    with open_store(Settings().journal_url) as store:
        assert list_runs(store) == ()


def test_an_option_that_does_not_exist_is_refused() -> None:
    refused(TypeError, "autonmy", autonmy=3)


@pytest.mark.parametrize("level", [-1, 5, 99])
def test_a_level_that_does_not_exist_is_refused(level: int) -> None:
    refused(UsageError, f"no autonomy level {level}", autonomy=level)


def test_a_tape_that_is_not_there_is_named() -> None:
    refused(UsageError, "cannot be read", tape="nowhere.jsonl")


def test_what_is_unknown_is_said_to_be() -> None:
    with pytest.raises(UsageError, match="there is no run `nope`"):
        crews.resume("nope")
    with pytest.raises(UsageError, match="there is no review `nope-1`"):
        crews.decide("nope-1", "approve")


def test_a_run_that_is_over_is_not_run_again() -> None:
    with staged(NOTHING_DONE) as stage:
        stage.run()
        with pytest.raises(UsageError, match="has ended: completed"):
            stage.resume()


OWNER = """
import sys
from crews.records.runs import claim
from crews.records.store import open_store
with open_store(sys.argv[1]) as store:
    claim(store, sys.argv[2])
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_another_process_works_on_is_left_to_it(stage: Stage) -> None:
    stage.run()
    owner = child(OWNER, stage.settings.journal_url, stage.id)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "mine\n"
    try:
        with pytest.raises(UsageError, match="is being worked on"):
            stage.resume()
    finally:
        owner.kill()
        owner.communicate()
    assert stage.go_on("approve").status == "completed"


def test_a_run_that_is_taken_over_meanwhile_is_an_error_and_no_signal(stage: Stage) -> None:
    def steal(event: Event) -> None:
        if event.kind == "thread_started" and event.agent == "coder":
            with open_store(stage.settings.journal_url) as store:
                claim(store, event.run)

    with pytest.raises(UsageError, match="taken .* over"):
        stage.run(on_event=steal)


def test_a_run_can_be_made_without_being_worked_on(stage: Stage) -> None:
    with open_store(stage.settings.journal_url) as store:
        asked = Kickoff("Make it so", stage.team, stage.folder)
        run = api.create(asked, store, stage.settings)
        assert (run.status, run.epoch) == ("queued", 0)
        result = asyncio.run(api.advance(run.id, store, stage.settings, ask=approving))
    assert result.status == "completed"
