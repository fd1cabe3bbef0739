"""Is a copied file read again only where it may have been written since, and always there?"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crews.tools.copying import make_workspace, open_workspace
from crews.tools.ignore import no_rules
from crews.tools.seen import mark_of, note, noted
from crews.tools.tree import FileState, states, walk
from crews.tools.workspace import Workspace

_opened: list[str] | None = None


def _hook(event: str, given: tuple[object, ...]) -> None:
    if event == "open" and _opened is not None:
        _opened.append(Path(str(given[0])).name)


sys.addaudithook(_hook)


def opened_by(look: Callable[[], object]) -> set[str]:
    """The names of what is opened meanwhile."""
    global _opened
    found: list[str] = []
    _opened = found
    try:
        look()
    finally:
        _opened = None
    return set(found)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    (made / "d").mkdir(parents=True)
    for name in ("one", "two", "d/three"):
        (made / name).write_text("begin\n")
    (made / "link").symlink_to("one")
    return made


def settled(source: Path, run: Path) -> Workspace:
    """A copy of which it is known that no file was written in the moment in which it was noted."""
    made = make_workspace(source, run, 10)
    time.sleep(0.02)
    paths = ("one", "two", "d/three")
    marks = {path: mark_of((made.root / path).stat()) for path in paths}
    note(run, states(made.root, walk(made.root, no_rules())), marks, time.time_ns())
    return open_workspace(run)


def test_what_nobody_has_written_since_it_was_copied_is_not_read(
    source: Path, tmp_path: Path
) -> None:
    made = settled(source, tmp_path / "run")
    assert not {"one", "two", "three"} & opened_by(made.tree_hash)
    assert made.deltas() == ()
    (made.root / "two").write_text("BEGIN\n")
    (made.root / "d/three").unlink()
    (made.root / "d/three").write_text("begin\n")
    assert opened_by(made.tree_hash) >= {"two", "three"}
    assert [delta.path for delta in made.deltas()] == ["two"]
    assert open_workspace(tmp_path / "run").tree_hash() == made.tree_hash()


def test_a_file_that_is_written_at_once_is_seen(source: Path, tmp_path: Path) -> None:
    for number in range(30):
        made = make_workspace(source, tmp_path / f"run{number}", 10)
        with (made.root / "one").open("r+b") as file:
            file.write(b"%05d" % number)
        assert [delta.path for delta in made.deltas()] == ["one"]
        again = open_workspace(tmp_path / f"run{number}")
        assert again.tree_hash() == made.tree_hash()
        assert [delta.path for delta in again.deltas()] == ["one"]


def test_what_was_written_in_the_moment_of_the_note_is_not_noted(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    mark = mark_of((tmp_path / "f").stat())
    known = {"f": FileState("100644", hashlib.sha256(b"x").hexdigest(), 1)}
    assert note(tmp_path, known, {"f": mark}, mark.time) == noted(tmp_path, known) == {}
    kept = note(tmp_path, known, {"f": mark}, mark.time + 1)
    assert kept == noted(tmp_path, known) == {"f": (mark.key, known["f"])}


@pytest.mark.parametrize("harm", ["another start", "no start", "cut off", "no key", "gone"])
def test_a_note_that_does_not_hold_is_none(source: Path, tmp_path: Path, harm: str) -> None:
    made = settled(source, tmp_path / "run")
    file = tmp_path / "run" / "seen.json"
    kept = json.loads(file.read_bytes())
    if harm == "gone":
        file.unlink()
    elif harm == "cut off":
        file.write_bytes(file.read_bytes()[:-9])
    elif harm == "no key":
        file.write_text(json.dumps(kept | {"files": dict.fromkeys(kept["files"], "xy")}))
    else:
        file.write_text(json.dumps(kept | {"boot": "" if harm == "no start" else "another"}))
    again = open_workspace(tmp_path / "run")
    assert opened_by(again.tree_hash) >= {"one", "two", "three"}
    assert again.tree_hash() == made.tree_hash()


def test_where_anybody_can_set_the_time_of_a_change_nothing_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on sshfs or FAT, where there is but one time of a file."""
    (tmp_path / "f").write_text("x")
    mark = mark_of((tmp_path / "f").stat())
    known = {"f": FileState("100644", hashlib.sha256(b"x").hexdigest(), 1)}
    real = Path.stat

    def one_time(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        status = real(path, follow_symlinks=follow_symlinks)
        times = {"st_ctime_ns": status.st_mtime_ns, "st_mtime_ns": status.st_mtime_ns}
        return os.stat_result(tuple(status), times)

    monkeypatch.setattr(Path, "stat", one_time)
    assert note(tmp_path, known, {"f": mark}, mark.time + 1) == noted(tmp_path, known) == {}
