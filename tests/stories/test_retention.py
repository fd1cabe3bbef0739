"""Can all that a run left be taken out and checked, and its contents be removed without breaking the log?"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

import crews
from crews.records import audit
from crews.records.forks import rows_of
from crews.records.inbox import list_reviews
from crews.records.retention import purge, purgeable
from crews.records.runs import get_run
from crews.records.tables import runs
from crews.runtime.forking import retry
from crews.runtime.heart import beating
from tests.stories.houses import House, a_house, approve
from tests.stories.teams import GOAL, PRINTED, tree


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with a_house(tmp_path_factory.mktemp("house"), question=True) as made:
        yield made


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[House]:
    """A house of its own, whose changes are applied."""
    with a_house(tmp_path / "house", apply=True) as made:
        yield made


def lines(file: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read(name).decode().splitlines()]


def test_an_export_holds_every_row_and_can_be_checked(house: House, tmp_path: Path) -> None:
    target = tmp_path / "run.zip"
    made = house.command("export", house.first, "--output", str(target), "--json")
    assert (made.code, made.err) == (0, "")
    data = target.read_bytes()
    assert made.json["path"] == str(target)
    assert (made.json["size"], made.json["left_out"]) == (len(data), {})
    assert made.json["sha256"] == hashlib.sha256(data).hexdigest()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as file:
        manifest = json.loads(file.read("manifest.json"))
        names = set(file.namelist()) - {"manifest.json"}
        assert names == manifest["members"].keys()
        for name, told in manifest["members"].items():
            member = file.read(name)
            assert told == {"bytes": len(member), "sha256": hashlib.sha256(member).hexdigest()}
        rows = rows_of(house.store, house.first)
        for name, kept in (
            ("threads", rows.threads), ("turns", rows.turns), ("calls", rows.calls),
            ("reviews", rows.reviews),
        ):  # fmt: skip
            found = lines(file, f"{name}.jsonl")
            assert made.json["rows"][name] == len(found) == len(kept)
            key = ("path", "turn", "place", "number")
            wanted = [{f: getattr(row, f) for f in row.__slots__} for row in kept]
            place = [tuple(str(row.get(k, "")) for k in key) for row in wanted]
            ordered = [
                row for _, row in sorted(zip(place, wanted, strict=True), key=lambda p: p[0])
            ]
            assert sorted(found, key=lambda r: tuple(str(r.get(k, "")) for k in key)) == ordered
        assert made.json["rows"]["spend"] == len(lines(file, "spend.jsonl")) == len(rows.turns)
        assert json.loads(file.read("run.json"))["goal"] == GOAL
        assert file.read("report.md").decode().startswith(f"# Run `{house.first}`")
        assert b"+480 ml stock" in file.read("changes.diff")
        check_audit(lines(file, "audit.jsonl"), house)


def check_audit(found: list[dict[str, Any]], house: House) -> None:
    """Each entry proves its own hash, and is the journal's."""
    kept = audit.entries(house.store, house.first)
    assert [e["sequence"] for e in found] == [e.sequence for e in kept]
    for entry, row in zip(found, kept, strict=True):
        assert hashlib.sha256(entry["line"].encode()).hexdigest() == entry["hash"] == row.hash
        assert json.loads(entry["line"])[-1] == entry["previous"] == row.previous
        assert json.loads(entry["line"])[4] == entry["body"] == row.body


def test_the_same_run_gives_the_same_bytes_and_no_file_is_overwritten(
    house: House, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.zip", tmp_path / "two.zip"
    for target in (one, two):
        made = house.command("export", house.first, "--output", str(target))
        assert (made.code, made.out) == (0, f"{target}\n")
    assert one.read_bytes() == two.read_bytes()
    two.write_bytes(b"mine")
    refused = house.command("export", house.first, "--output", str(two))
    assert (refused.code, two.read_bytes()) == (2, b"mine")
    assert "--force" in refused.err
    assert house.command("export", house.first, "--output", str(two), "--force").code == 0
    assert one.read_bytes() == two.read_bytes()
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ""} == {"one.zip", "two.zip"}
    nowhere = house.command("export", house.first, "--output", str(tmp_path / "no" / "x.zip"))
    assert nowhere.code == 2
    assert house.command("export", "nothing").code == 2


def test_the_tape_in_an_export_replays_the_run(house: House, tmp_path: Path) -> None:
    target = tmp_path / "run.zip"
    assert house.command("export", house.first, "--output", str(target)).code == 0
    with zipfile.ZipFile(target) as file:
        (tmp_path / "run.jsonl").write_bytes(file.read("tape.jsonl"))
    before = len(house.server.requests)
    again = crews.kickoff(
        GOAL, team=house.press.team, workspace=house.press.folder, ask=approve, apply=False,
        tape=tmp_path / "run.jsonl", settings=house.settings,
    )  # fmt: skip
    assert (again.status, again.reason) == ("completed", "")
    assert house.files(again.run_id) == PRINTED
    assert len(house.server.requests) == before


def test_a_secret_is_in_no_member(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A word that stands in the goal, the files and the answers, and is now known to be a secret."""
    monkeypatch.setenv("HOUSE_PASSWORD", "metric")
    target = tmp_path / "run.zip"
    assert house.command("export", house.first, "--output", str(target)).code == 0
    with zipfile.ZipFile(target) as file:
        for name in set(file.namelist()):
            assert b"metric" not in file.read(name), name
        found = lines(file, "audit.jsonl")
        kept = {e.sequence: e for e in audit.entries(house.store, house.first)}
        assert all("line" in e and e["body"] == kept[e["sequence"]].body for e in found)
        assert any("[redacted" in str(e.get("contents")) for e in found)
        for turn in lines(file, "turns.jsonl"):
            json.loads(turn["blocks"])


def test_a_purge_leaves_the_sums_the_decisions_and_a_whole_log(finished: House) -> None:
    house, run = finished, finished.first
    before, reviews = get_run(house.store, run), list_reviews(house.store, run=run, state=None)
    entries = audit.entries(house.store)
    assert tree(house.press.folder) == PRINTED

    asked = house.command("purge", "--run", run)
    assert (asked.code, get_run(house.store, run)) == (2, before)
    assert "--yes" in asked.err
    shown = house.command("purge", "--run", run, "--dry-run")
    assert f"could not be undone any more: {run}" in shown.err
    told = house.command("purge", "--run", run, "--dry-run", "--json").json
    assert told == {"dry_run": True, "runs": [run], "loses_undo": [run]}
    assert get_run(house.store, run) == before

    done = house.command("purge", "--run", run, "--yes", "--json")
    assert done.code == 0
    [one] = done.json["runs"]
    assert (one["run"], one["folder"], one["elsewhere"]) == (run, True, False)
    assert one["rows"]["turns"] == before.turns
    assert not house.settings.run_folder(run).exists()

    row = get_run(house.store, run)
    assert (row.goal, row.inputs, row.team, row.summary) == ("", "{}", "{}", "")
    kept = ("status", "team_name", "tokens", "money", "turns", "calls", "created_at", "ended_at")
    assert [getattr(row, k) for k in kept] == [getattr(before, k) for k in kept]
    rows = rows_of(house.store, run)
    assert (rows.threads, rows.turns, rows.calls) == ((), (), ())
    assert [(r.id, r.kind, r.decision, r.decided_by) for r in rows.reviews] == [
        (r.id, r.kind, r.decision, r.decided_by) for r in reviews
    ]
    assert {(r.subject, r.answer, r.title) for r in rows.reviews} == {("{}", "", "")}
    assert audit.first_break(house.store) is None
    now = audit.entries(house.store)
    assert now[: len(entries)] == entries
    last, *_ = now[len(entries) :]
    body = json.loads(last.body)
    assert (last.kind, body["by"], body["rows"], body["sha256"]) == (
        "run_purged", "bo", one["rows"], one["sha256"],
    )  # fmt: skip
    assert tree(house.press.folder) == PRINTED


def test_every_command_copes_with_a_purged_run(finished: House) -> None:
    house, run = finished, finished.first
    purge(house.store, house.settings, run, "bo")
    for command in (
        ("runs", "report", run), ("diff", run), ("apply", run), ("undo", run), ("resume", run),
        ("export", run), ("runs", "retry", run), ("runs", "fork", run, "--from", "0"),
    ):  # fmt: skip
        ran = house.command(*command)
        assert ran.code == 2, command
        assert f"the contents of run `{run}` were purged on 20" in ran.err, command
    assert "(purged)" in house.command("runs").out
    assert house.command("runs", "--json").json[0]["purged_at"]
    assert "its contents were purged on 20" in house.command("runs", "show", run).out
    timeline = house.command("runs", "show", run, "--json").json["timeline"]
    assert {(m["kind"], m["title"]) for m in timeline} == {("review", "")}
    tokens = get_run(house.store, run).tokens
    assert f"it took {get_run(house.store, run).turns} turns, {tokens:,} tokens" in (
        house.command("cost", run).out
    )
    assert house.command("cost", "--json").json[0]["total"]["tokens"] == tokens
    assert f"{tokens:,}" in house.command("cost").out
    [review] = list_reviews(house.store, run=run, state=None)
    assert house.command("inbox", "show", review.id).code == 0
    assert house.command("stop", run).code == 2
    again = house.command("purge", "--run", run, "--yes")
    assert (again.code, again.out) == (0, "")


def test_a_purge_that_was_interrupted_goes_on(finished: House) -> None:
    house, run = finished, finished.first
    purge(house.store, house.settings, run, "bo")
    left = house.settings.run_folder(run) / "workspace"
    left.mkdir(parents=True)
    (left / "soup.md").write_text("2 cups", encoding="utf-8")
    left.chmod(0o500)  # a command may have done that
    assert [r.id for r in purgeable(house.store, house.settings, before=None)] == [run]
    log = audit.entries(house.store)
    done = house.command("purge", "--run", run, "--yes", "--json")
    assert done.json["runs"] == [
        {"run": run, "rows": {}, "sha256": "", "folder": True, "elsewhere": False, "erased": 0}
    ]
    assert not left.parent.exists()
    assert audit.entries(house.store) == log
    assert purgeable(house.store, house.settings, before=None) == ()


def test_a_run_whose_copy_was_never_finished_is_exported_without_it(
    finished: House, tmp_path: Path
) -> None:
    house, run = finished, finished.first
    (house.settings.run_folder(run) / "manifest.json").unlink()  # it is written last
    done = house.command("export", run, "-o", str(tmp_path / "out.zip"))
    assert (done.code, "without changes.diff" in done.err) == (0, True)
    assert house.command("runs", "show", run).code == 0


def test_a_folder_that_will_not_go_keeps_no_other_run(finished: House) -> None:
    house, stuck = finished, finished.first
    other = house.finish(retry(house.store, house.settings, stuck, "bo")).run_id
    folder = house.settings.run_folder(stuck)
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))  # what a link leads to is not removed
    with house.store.writing() as connection:
        connection.execute(update(runs).values(ended_at=runs.c.ended_at - 60))
    done = house.command("purge", "--older-than", "30s", "--yes")
    assert (done.code, done.out) == (1, f"{other}\n")
    assert "the run's folder cannot be removed" in done.err
    assert get_run(house.store, other).purged_at is not None


def test_a_purged_run_that_had_failed_is_never_queued_again(finished: House) -> None:
    """It would stay in the queue for ever, and keep others from it."""
    house, run = finished, finished.first
    with house.store.writing() as connection:
        connection.execute(update(runs).where(runs.c.id == run).values(status="failed"))
    purge(house.store, house.settings, run, "bo")
    with beating(house.store, house.settings, "worker"):
        refused = house.command("resume", run)
    assert (refused.code, get_run(house.store, run).status) == (2, "failed")
    assert "were purged on" in refused.err


def test_only_ended_runs_of_that_age_and_team_are_purged(house: House) -> None:
    ended = get_run(house.store, house.first).ended_at
    assert ended is not None
    store, settings = house.store, house.settings
    assert house.first in {r.id for r in purgeable(store, settings, before=ended + 1)}
    assert purgeable(store, settings, before=ended) == ()
    assert purgeable(store, settings, before=None, team="nobody") == ()
    assert house.command("purge").code == 2
    assert house.command("purge", "--older-than", "soon").code == 2
    young = house.command("purge", "--older-than", "30d", "--yes")
    assert (young.code, young.err) == (0, "no run is that old\n")
    waiting = crews.kickoff(
        GOAL, team=house.press.team, workspace=house.press.folder, settings=settings
    )
    refused = house.command("purge", "--run", waiting.run_id, "--yes")
    assert refused.code == 2
    assert "has not ended: waiting" in refused.err
    assert rows_of(store, waiting.run_id).turns
