"""Does the same engine run a team of another kind, on another kind of work, from goal to changed folder?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import crews
from crews.demo.play import GOAL as GOAL_OF_THE_DEMO
from crews.records import audit
from crews.records.events import Event
from crews.records.questions import ReviewRow
from crews.records.rows import ThreadRow
from crews.records.runs import list_threads
from crews.records.store import open_store
from crews.teams.loader import load_team
from crews.tools.registry import TOOL_NAMES
from tests.stories.press import press
from tests.stories.teams import (
    GOAL,
    PRINTED,
    PROJECT,
    REVIEWER,
    SUPERVISOR,
    WORKER,
    Press,
    a_press,
)
from tests.support.messages_api import MessagesServer
from tests.support.request import Request
from tests.support.scripts import agent_of, task_of

ROOT = Path(__file__).resolve().parents[2]
ANSWER = timedelta(milliseconds=40)


@pytest.fixture
def made(tmp_path: Path) -> Press:
    return a_press(tmp_path)


@pytest.fixture
def server() -> Iterator[MessagesServer]:
    with MessagesServer(press(delay=ANSWER.total_seconds())) as running:
        yield running


@pytest.fixture
def settings(server: MessagesServer, tmp_path: Path) -> crews.Settings:
    return crews.Settings(home=tmp_path / "home", base_url=server.url, user="ada")


def approve(review: ReviewRow) -> crews.Answer:
    del review
    return crews.Answer("approve")


def test_from_the_goal_to_the_changed_folder(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    asked: list[tuple[ReviewRow, dict[str, str]]] = []
    events: list[Event] = []

    def ask(review: ReviewRow) -> crews.Answer:
        asked.append((review, made.files))
        return crews.Answer("approve")

    result = crews.kickoff(
        GOAL, team=made.team, workspace=made.folder, settings=settings, ask=ask,
        on_event=events.append,
    )  # fmt: skip

    assert (result.status, result.exit_code, result.reason) == ("completed", 0, "")
    assert made.files == PRINTED
    [(review, files_then)] = asked
    assert files_then == PROJECT  # nothing had changed before the decision
    assert (review.kind, review.agent) == ("change_set", SUPERVISOR)
    assert review.about["reviewed_by"] == REVIEWER
    assert "-3 cups flour\n-1 cup water\n+390 g flour\n+240 ml water\n" in review.about["diff"]
    assert review.brief is None
    [decided] = result.reviews
    assert (decided.id, decided.decision, decided.decided_by) == (review.id, "approve", "ada")
    assert {agent_of(request) for request in server.requests} == {SUPERVISOR, WORKER, REVIEWER}
    assert {event.agent for event in events} >= {SUPERVISOR, WORKER, REVIEWER}


def test_work_that_is_rejected_goes_back_with_its_reasons(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    result = crews.kickoff(
        GOAL, team=made.team, workspace=made.folder, settings=settings, ask=approve
    )

    threads = _threads(settings, result.run_id)
    assert [(t.agent, t.step) for t in threads if t.kind == "delegation"] in (
        [(WORKER, "soup"), (WORKER, "bread"), (REVIEWER, "proof"), (WORKER, "bread"), (REVIEWER, "proof")],
        [(WORKER, "bread"), (WORKER, "soup"), (REVIEWER, "proof"), (WORKER, "bread"), (REVIEWER, "proof")],
    )  # fmt: skip
    verdicts = [t.outcome.verdict for t in threads if t.outcome and t.agent == REVIEWER]
    assert verdicts == ["reject", "approve"]
    rework = next(t for t in threads if t.step == "bread" and "verdict: reject" in t.brief)
    assert "A kitchen would measure in cups here: recipes/bread.md:4: 1 cup water" in rework.brief
    assert "> Both recipes are in **metric** units" in result.report
    assert "A kitchen would measure in cups here" in result.report
    assert "| delegations | 5, at most 2 at once |" in result.report
    # The house's own rule refused what one typist tried, and the report says so.
    assert re.search(
        r"\| `/2\.0:1\.1` \| `typist` \| `write_file` \| `house-style` \| policy", result.report
    )


def test_independent_steps_of_one_turn_overlap_in_time(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    result = crews.kickoff(
        GOAL, team=made.team, workspace=made.folder, settings=settings, ask=approve
    )

    soup = [r for r in server.requests if _sets(r, "soup")]
    bread = [r for r in server.requests if _sets(r, "bread") and "verdict:" not in task_of(r)]
    assert any(_at_once(one, other) for one in soup for other in bread)
    first = {t.step: t for t in reversed(_threads(settings, result.run_id))}
    assert first["soup"].started_at < (first["bread"].ended_at or 0)
    assert first["bread"].started_at < (first["soup"].ended_at or 0)


def test_the_decision_is_in_the_audit_chain_before_the_folder_changes(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    result = crews.kickoff(
        GOAL, team=made.team, workspace=made.folder, settings=settings, ask=approve
    )

    with open_store(settings.journal_url) as store:
        kinds = [entry.kind for entry in audit.entries(store, result.run_id)]
        decision = [body for e, body in audit.told(store) if e.kind == "review_decided"]
        opened = [body for e, body in audit.told(store) if e.kind == "review_opened"]
        assert audit.first_break(store) is None
    assert kinds[0] == "run_created"
    assert kinds[-1] == "run_released"
    assert kinds.index("review_opened") < kinds.index("review_decided") < kinds.index("applied")
    [entry] = decision
    assert entry["content_hash"] == opened[-1]["content_hash"] != result.change_set.hash
    assert entry["by"] == "ada"


def test_without_somebody_to_ask_it_waits_and_another_kickoff_goes_on(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    waiting = crews.kickoff(GOAL, team=made.team, workspace=made.folder, settings=settings)

    assert (waiting.status, waiting.exit_code) == ("waiting", 3)
    [review] = waiting.waiting_for
    assert made.files == PROJECT
    asked_before = len(server.requests)
    again = crews.resume(waiting.run_id, settings=settings)
    assert (again.status, [r.id for r in again.waiting_for]) == ("waiting", [review.id])

    decided = crews.decide(review.id, "approve", by="grace", settings=settings)
    assert (decided.state, decided.decided_by, made.files) == ("decided", "grace", PROJECT)
    done = crews.resume(waiting.run_id, settings=settings)

    assert (done.status, done.exit_code) == ("completed", 0)
    assert made.files == PRINTED
    assert len(server.requests) == asked_before  # nothing was asked of a model again


def test_a_refusal_leaves_the_folder_alone(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    waiting = crews.kickoff(GOAL, team=made.team, workspace=made.folder, settings=settings)

    crews.decide(waiting.waiting_for[0].id, "stop", settings=settings)
    done = crews.resume(waiting.run_id, settings=settings)

    assert (done.status, done.exit_code) == ("stopped", 1)
    assert made.files == PROJECT


def test_it_works_inside_a_running_loop(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    async def inside() -> tuple[crews.Result, int]:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.create_task(beat())
        result = await crews.akickoff(
            GOAL, team=made.team, workspace=made.folder, settings=settings, ask=approve
        )
        beating.cancel()
        return result, beats

    result, beats = asyncio.run(inside())

    assert (result.status, made.files) == ("completed", PRINTED)
    assert beats > 20  # the caller's loop went on meanwhile


def test_the_plain_call_works_inside_a_running_loop_too(
    made: Press, server: MessagesServer, settings: crews.Settings
) -> None:
    async def inside() -> crews.Result:
        return crews.kickoff(
            GOAL,
            team=load_team(made.team, known_tools=TOOL_NAMES),
            workspace=made.folder,
            settings=settings,
            ask=approve,
        )

    result = asyncio.run(inside())

    assert (result.status, made.files) == ("completed", PRINTED)


def test_the_engine_knows_no_word_of_the_bundled_team_or_the_demo() -> None:
    bundled = load_team(ROOT / "config", known_tools=TOOL_NAMES)
    duties = {"supervisor", "worker", "reviewer", "escalation"}
    names = {agent.name for agent in bundled.agents} - duties
    assert names  # else this test would look for nothing
    words = [rf"\b{name}s?\b" for name in names]
    words += [rf"\b{re.escape(name)}" for name in _demo_names()]
    words += [re.escape(GOAL_OF_THE_DEMO), r"parameteri[sz]ed? quer", r"\bshop\b"]

    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted((ROOT / "crews").rglob("*.py"))
        if not path.is_relative_to(ROOT / "crews" / "demo")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search("|".join(words), line, re.IGNORECASE)
    ]

    assert found == []


def _demo_names() -> set[str]:
    """Names of the demo's files that are its own: those of no file of the engine, and of no convention."""
    demo = ROOT / "crews" / "demo" / "shop"
    common = {"README.md", "pyproject.toml", ".gitignore", "__init__.py", "__main__.py"}
    engine = {p.name for p in (ROOT / "crews").rglob("*.py") if not p.is_relative_to(demo.parent)}
    names = {path.name for path in demo.rglob("*") if path.is_file()} - common - engine
    assert len(names) > 5
    return {name for name in names if not name.endswith(".pyc")}


def _threads(settings: crews.Settings, run: str) -> tuple[ThreadRow, ...]:
    with open_store(settings.journal_url) as store:
        return list_threads(store, run)


def _sets(request: Request, recipe: str) -> bool:
    return agent_of(request) == WORKER and f"Set recipes/{recipe}.md" in task_of(request)


def _at_once(one: Request, other: Request) -> bool:
    return one.time < other.time + other.seconds and other.time < one.time + one.seconds
