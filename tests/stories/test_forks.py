"""Does a run that is forked at a turn end as the first one did, and ask only for what is left?"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

import crews
from crews.errors import CrewsError, UsageError, WorkspaceError
from crews.records import audit
from crews.records.forks import Place, differences, rows_of, taken_over
from crews.records.inbox import list_reviews
from crews.records.journal import Journal
from crews.records.runs import get_run, list_runs
from crews.records.store import open_store
from crews.report import costs, markdown
from crews.runtime.forking import fork, retry
from tests.stories.houses import House, a_house
from tests.stories.lives import comparable
from tests.stories.players import (
    CHANGE,
    LOOK,
    delegate,
    finish,
    hand_over,
    plan,
    played,
    walled,
)
from tests.stories.scenes import staged
from tests.stories.teams import GOAL, PRINTED, PROJECT, tree


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("house"), question=True) as made:
        yield made


@pytest.mark.parametrize("turn", range(8))
def test_a_fork_at_any_turn_ends_like_the_first_run(house: House, turn: int) -> None:
    before = len(house.server.requests)
    journal = Journal(house.store, house.first, 0)
    turns = {t.path: journal.turns(t.path) for t in journal.threads()}
    assert len(turns["/"]) == 8
    at = turns["/"][turn].ended_at
    left = [t.request_hash for rows in turns.values() for t in rows if t.ended_at >= at]

    made = fork(house.store, house.settings, house.first, Place("/", turn), "bo")
    assert (made.status, made.origin) == ("queued", f"fork:{house.first}@{turn}")
    assert (made.tokens, made.money, made.turns, made.calls) == (0, 0, 0, 0)
    assert made.asked.started_by == "bo"
    result = house.finish(made)

    assert (result.status, result.reason) == ("completed", "")
    assert Counter(house.asked(before)) == Counter(left) == Counter(house.hashes(made.id))
    assert house.calls(made.id) == house.calls(house.first)
    assert house.files(made.id) == house.files(house.first) == PRINTED
    assert tree(house.press.folder) == PROJECT
    assert get_run(house.store, made.id).turns == len(left)
    assert costs(house.store, made.id).total.turns == len(left)
    assert differences(house.store, made.id) == ()
    assert audit.first_break(house.store) is None
    answered = [r for r in list_reviews(house.store, run=made.id, state=None)]
    assert [r.kind for r in answered] == ["question", "change_set"]
    assert answered[0].id == f"{made.id}-1"
    assert (answered[0].answer, answered[0].state) == ("Yes.", "decided")


@pytest.mark.parametrize("turn", range(3))
def test_a_fork_within_a_delegation(house: House, turn: int) -> None:
    """The parallel delegation is taken over as far as it had finished; the one above goes on."""
    before = len(house.server.requests)
    journal = Journal(house.store, house.first, 0)
    rework = next(t.path for t in journal.threads() if t.path.startswith("/5."))
    made = fork(house.store, house.settings, house.first, Place(rework, turn), "bo")
    result = house.finish(made)
    assert (result.status, result.reason) == ("completed", "")
    assert house.calls(made.id) == house.calls(house.first)
    assert house.files(made.id) == PRINTED
    at = journal.turns(rework)[turn].ended_at
    rows = [t for thread in journal.threads() for t in journal.turns(thread.path)]
    assert Counter(house.asked(before)) == Counter(t.request_hash for t in rows if t.ended_at >= at)


def test_a_place_that_is_none(house: House) -> None:
    cases = {
        Place("/", 8): "its turns are 0 to 7",
        Place("/", -1): "its turns are 0 to 7",
        Place("/9.9", 0): "it has: /, /",
    }
    known = len(list_runs(house.store))
    for place, hint in cases.items():
        with pytest.raises(UsageError) as error:
            fork(house.store, house.settings, house.first, place, "bo")
        assert hint in error.value.hint
    with pytest.raises(UsageError, match="there is no run"):
        fork(house.store, house.settings, "nothing", Place("/", 0), "bo")
    assert len(list_runs(house.store)) == known
    folders = {p.name for p in (house.settings.home / "runs").iterdir()}
    assert folders == {r.id for r in list_runs(house.store)}


def test_what_a_human_decided_for_the_run_does_not_stand_in_the_fork(house: House) -> None:
    rows = rows_of(house.store, house.first)
    standing = tuple(replace(r, scope="run") for r in rows.reviews)
    kept = taken_over(replace(rows, reviews=standing), Place("/", 5))
    assert [(r.kind, r.scope, r.decision) for r in kept.reviews] == [("question", "", "answer")]
    stopped = tuple(replace(r, decision="stop") for r in rows.reviews)
    assert taken_over(replace(rows, reviews=stopped), Place("/", 5)).reviews == ()


@pytest.mark.parametrize("part", [None, 0.5])
def test_a_limit_that_a_human_extended_holds_in_the_fork_as_it_was(part: float | None) -> None:
    """The fork has spent nothing, and nobody has decided anything about what it may spend."""
    given = {} if part is None else {"budget_share": part}
    script = played({
        "boss": [plan(CHANGE), delegate("change", **given), finish(deliver=False)],
        "coder": [LOOK] * 4 + [hand_over()],
    })  # fmt: skip
    with staged(script, walled("delegation", turns=3 if part is None else 6)) as stage:
        stage.run()
        assert stage.go_on("approve", "budget").status == "completed"
        [extended] = stage.threads("coder")
        assert extended.walls.turns == 6
        with open_store(stage.settings.journal_url) as store:
            made = fork(store, stage.settings, stage.id, Place(extended.path, 1), "bo")
            again = Journal(store, made.id, 0).thread(extended.path)
        assert again is not None
        assert (again.walls.turns, again.turns) == (3, 0)


def test_a_run_is_made_again_from_its_beginning(house: House) -> None:
    made = retry(house.store, house.settings, house.first, "bo")
    first = get_run(house.store, house.first)
    assert (made.origin, made.asked.started_by) == (f"retry:{house.first}", "bo")
    assert made.asked.askers == (first.asked.started_by, "bo")
    assert (made.goal, made.inputs, made.team) == (first.goal, first.inputs, first.team)
    with pytest.raises(UsageError, match="has not ended"):
        retry(house.store, house.settings, made.id, "bo")
    assert house.finish(made).status == "completed"
    assert house.files(made.id) == PRINTED
    said = comparable(markdown(house.store, made.id), made.id)
    assert f"asked for by bo, run {house.first} made again. Status" in said
    plain = said.replace("bo, run " + house.first + " made again", "ada")
    assert plain == comparable(markdown(house.store, house.first), house.first)


def test_the_commands(house: House) -> None:
    before = len(house.server.requests)
    left = house.command("runs", "fork", house.first, "--from", "7", "--detach", "--json")
    assert (left.code, left.err) == (0, "")
    assert left.json | {"run": ""} == {
        "run": "", "origin": f"fork:{house.first}@7", "status": "queued", "worker": False,
    }  # fmt: skip
    assert len(house.server.requests) == before
    assert get_run(house.store, left.json["run"]).owner == ""
    forked = house.command("runs", "fork", house.first, "--from", "7", "--json", "--no-input")
    assert forked.code == 3  # the change set is asked about again
    lines = [json.loads(line) for line in forked.out.splitlines()]
    assert [r["kind"] for r in lines[-1]["reviews"]] == ["question", "change_set"]
    assert len(house.server.requests) == before + 1
    shown = house.command("runs", "show", lines[-1]["run_id"])
    assert (shown.code, shown.err) == (0, "")
    assert "turn 7" in shown.out
    assert "-" not in {line.strip()[0] for line in shown.out.splitlines() if line.strip()}
    wrong = house.command("runs", "fork", house.first, "--from", "70", "--json")
    assert (wrong.code, wrong.json["hint"]) == (2, "its turns are 0 to 7")
    again = house.command("runs", "retry", house.first, "--detach")
    assert again.code == 0
    assert get_run(house.store, again.out.strip()).origin == f"retry:{house.first}"
    assert "crews worker" in again.err


def test_commands_run_again_and_their_files_are_compared(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with a_house(tmp_path_factory.mktemp("commands"), commands=True) as house:
        logged = {"log/soup.txt": "soup\n", "log/bread.txt": "bread\n"}
        assert house.files(house.first) == PRINTED | logged
        made = fork(house.store, house.settings, house.first, Place("/", 5), "bo")
        assert house.files(made.id).keys() == (PRINTED | logged).keys()
        assert house.finish(made).status == "completed"
        assert house.files(made.id) == PRINTED | logged
        assert house.calls(made.id) == house.calls(house.first)

        # A run whose own log says that its files were others: they cannot be rebuilt.
        journal = Journal(house.store, house.first, get_run(house.store, house.first).epoch)
        proof = next(t.path for t in journal.threads() if t.path.startswith("/3."))
        journal.set_thread(proof, hash_before="0" * 64)
        known = {r.id for r in list_runs(house.store)}
        refused = house.command("runs", "fork", house.first, "--from", "3")
        assert refused.code == 1
        assert f"not those that there were when {proof} began" in refused.err
        assert "--anyway" in refused.err
        assert {r.id for r in list_runs(house.store)} == known
        done = house.command("runs", "fork", house.first, "--from", "3", "--anyway", "--detach")
        assert done.code == 0
        assert "the files could not be rebuilt exactly: they are not" in done.err
        new = done.out.strip()
        assert differences(house.store, new)
        assert "**The files could not be rebuilt exactly:** they are not" in markdown(
            house.store, new
        )


def test_the_files_with_which_a_run_began(tmp_path_factory: pytest.TempPathFactory) -> None:
    with a_house(tmp_path_factory.mktemp("files")) as house:
        own = house.settings.run_folder(house.first)
        (own / "base" / "style.md").write_text("Cups!\n", encoding="utf-8")
        with pytest.raises(WorkspaceError, match=r"has been changed: style\.md"):
            fork(house.store, house.settings, house.first, Place("/", 4), "bo")
        shutil.rmtree(own)  # the folder has not changed since: it will do
        made = fork(house.store, house.settings, house.first, Place("/", 6), "bo")
        assert house.files(made.id) == PRINTED
        (house.press.folder / "style.md").write_text("Cups!\n", encoding="utf-8")
        with pytest.raises(WorkspaceError, match="are gone"):
            fork(house.store, house.settings, house.first, Place("/", 4), "bo")
        assert len(list((house.settings.home / "runs").iterdir())) == 1


def test_a_run_that_waits_can_be_forked_and_one_at_work_cannot(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with a_house(tmp_path_factory.mktemp("waits"), question=True) as house:
        waiting = crews.kickoff(
            GOAL, team=house.press.team, workspace=house.press.folder, settings=house.settings
        )
        assert waiting.status == "waiting"
        made = fork(house.store, house.settings, waiting.run_id, Place("/", 2), "bo")
        assert list_reviews(house.store, run=made.id, state=None) == ()
        assert house.finish(made).status == "completed"
        assert tree(house.press.folder) == PRINTED
        Journal(house.store, waiting.run_id, 1).set_run(status="running")
        with pytest.raises(UsageError, match="is being worked on"):
            fork(house.store, house.settings, waiting.run_id, Place("/", 2), "bo")


def test_without_a_model_nothing_is_made(house: House) -> None:
    known = len(list_runs(house.store))
    bare = house.settings.model_copy(update={"base_url": None, "api_key": None})
    for make in (
        lambda: fork(house.store, bare, house.first, Place("/", 1), "bo"),
        lambda: retry(house.store, bare, house.first, "bo"),
    ):
        with pytest.raises(CrewsError) as error:
            make()
        assert error.value.exit_code == 4
    assert len(list_runs(house.store)) == known
