"""Is a change set applied whole, or not at all, whatever happens; and can it be taken back?"""

from __future__ import annotations

import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crews.errors import WorkspaceError
from crews.tools.applying import apply, undo
from crews.tools.changeset import ChangeSet, change_set
from crews.tools.copying import make_workspace
from crews.tools.workspace import Workspace

Tree = Mapping[str, str]

BEFORE: Tree = {"a": "1\n", "d/b": "2\n", "d/gone": "3\n", "file": "f\n", "tree/x": "x\n"}
AFTER: Tree = {"a": "one\n", "d/b": "2\n", "new/n": "n\n", "file/now": "f\n", "tree": "t\n"}


def _fill(folder: Path, tree: Tree) -> None:
    folder.mkdir(exist_ok=True)
    for path, text in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())


def _read(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    }


class Case:
    """A user's folder, a workspace made from it, and what was changed there."""

    def __init__(self, folder: Path, before: Tree = BEFORE, after: Tree = AFTER) -> None:
        self.target = folder / "target"
        self.undo = folder / "undo"
        _fill(self.target, before)
        self.workspace: Workspace = make_workspace(self.target, folder / "run", 50)
        shutil.rmtree(self.workspace.root)
        _fill(self.workspace.root, after)

    @property
    def changes(self) -> ChangeSet:
        return change_set(self.workspace)

    def apply(self) -> bool:
        return apply(self.changes, self.workspace, self.target, self.undo).already


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_apply_makes_the_folder_like_the_workspace_and_undo_takes_it_back(case: Case) -> None:
    assert case.apply() is False
    assert _read(case.target) == AFTER
    assert set(undo(case.undo, case.target)) == {change.path for change in case.changes.changes}
    assert _read(case.target) == BEFORE


def test_a_second_apply_and_a_second_undo_do_nothing(case: Case) -> None:
    case.apply()
    seen = {path: (case.target / path).stat().st_mtime_ns for path in AFTER}
    assert case.apply() is True
    assert {path: (case.target / path).stat().st_mtime_ns for path in AFTER} == seen
    undo(case.undo, case.target)
    undo(case.undo, case.target)
    assert _read(case.target) == BEFORE
    case.apply()
    assert _read(case.target) == AFTER


def test_files_that_are_not_touched_may_change(case: Case) -> None:
    (case.target / "d/b").write_text("the user's\n")
    (case.target / "other").write_text("too\n")
    case.apply()
    assert _read(case.target) == {**AFTER, "d/b": "the user's\n", "other": "too\n"}


@pytest.mark.parametrize(
    ("path", "text"), [("a", "edited\n"), ("d/gone", "edited\n"), ("new/n", "made\n"), ("a", None)]
)
def test_apply_is_refused_if_a_touched_file_has_moved_on(
    case: Case, path: str, text: str | None
) -> None:
    if text is None:
        (case.target / path).rename(case.target / "moved")
    else:
        _fill(case.target, {path: text})
    before = _read(case.target)
    with pytest.raises(WorkspaceError) as refused:
        case.apply()
    assert f"  {path}: " in str(refused.value)
    assert _read(case.target) == before
    assert not case.undo.exists()


def test_a_mode_that_changed_is_a_change(case: Case) -> None:
    (case.target / "a").chmod(0o755)
    with pytest.raises(WorkspaceError, match="a: has been changed"):
        case.apply()


def test_undo_is_refused_if_a_file_was_changed_since(case: Case) -> None:
    case.apply()
    (case.target / "new/n").write_text("edited\n")
    with pytest.raises(WorkspaceError, match="new/n: has been changed"):
        undo(case.undo, case.target)
    assert _read(case.target) == {**AFTER, "new/n": "edited\n"}


def test_undo_of_nothing_and_of_another_folder_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="nothing to undo"):
        undo(case.undo, case.target)
    case.apply()
    with pytest.raises(WorkspaceError, match="applied to"):
        undo(case.undo, tmp_path)


def test_another_change_set_needs_another_undo_folder(case: Case) -> None:
    case.apply()
    case.workspace.write_text("a", "two\n")
    with pytest.raises(WorkspaceError, match="another change set"):
        case.apply()


def test_links_in_the_target_are_never_written_through(tmp_path: Path) -> None:
    case = Case(tmp_path, {"d/f": "1\n", "g": "1\n"}, {"d/f": "2\n", "d/new": "2\n", "g": "2\n"})
    outside = tmp_path / "outside"
    (case.target / "d").rename(outside)
    (case.target / "d").symlink_to(outside)
    (case.target / "g").rename(tmp_path / "other")
    (case.target / "g").symlink_to("../other")
    with pytest.raises(WorkspaceError) as refused:
        case.apply()
    for path in ("d/f", "d/new", "g"):
        assert f"  {path}: " in str(refused.value)
    assert _read(outside) == {"f": "1\n"}
    assert (tmp_path / "other").read_text() == "1\n"


def test_modes_are_kept_and_executable_bits_follow(tmp_path: Path) -> None:
    case = Case(tmp_path, {"a": "1\n", "b": "1\n"}, {"a": "2\n", "b": "1\n", "c": "3\n"})
    (case.target / "a").chmod(0o640)
    (case.workspace.root / "b").chmod(0o755)
    (case.workspace.root / "c").chmod(0o755)
    case.apply()
    modes = {path: stat.S_IMODE((case.target / path).stat().st_mode) for path in "abc"}
    assert modes["a"] == 0o640
    assert modes["b"] & 0o111
    assert modes["c"] & 0o100
    undo(case.undo, case.target)
    assert stat.S_IMODE((case.target / "b").stat().st_mode) & 0o111 == 0


def test_binary_files_and_links_are_applied(tmp_path: Path) -> None:
    case = Case(tmp_path, {"l": "file\n"}, {"x": "x\n"})
    (case.workspace.root / "bin").write_bytes(bytes(range(256)) * 100)
    (case.workspace.root / "l").symlink_to("x")
    case.apply()
    assert (case.target / "bin").read_bytes() == bytes(range(256)) * 100
    assert (case.target / "l").readlink() == Path("x")
    undo(case.undo, case.target)
    assert _read(case.target) == {"l": "file\n"}


def test_a_link_that_becomes_a_folder(tmp_path: Path) -> None:
    target = tmp_path / "target"
    _fill(target, {"real/f": "1\n"})
    (target / "l").symlink_to("real")
    case = Case(tmp_path, {}, {"real/f": "1\n", "l/f": "2\n"})
    case.apply()
    assert _read(target) == {"real/f": "1\n", "l/f": "2\n"}
    undo(case.undo, target)
    assert (target / "l").readlink() == Path("real")
    assert (target / "real/f").read_text() == "1\n"


def test_a_link_that_leads_out_is_never_applied(case: Case) -> None:
    (case.workspace.root / "l").symlink_to("../../etc/passwd")
    with pytest.raises(WorkspaceError, match="leads out"):
        case.apply()
    assert _read(case.target) == BEFORE
    apply(case.changes.without(["l"]), case.workspace, case.target, case.undo)
    assert _read(case.target) == AFTER


def test_a_failure_in_the_middle_is_rolled_back(tmp_path: Path) -> None:
    """A folder of the user, which is not empty, stands where a new file is to go."""
    case = Case(tmp_path, {"a": "1\n", "t/x": "1\n"}, {"a": "2\n", "t": "file\n", "z": "new\n"})
    (case.target / "t/mine").write_text("mine\n")
    before = _read(case.target)
    with pytest.raises(WorkspaceError, match="nothing was changed"):
        case.apply()
    assert _read(case.target) == before
    (case.target / "t/mine").unlink()
    case.apply()
    assert _read(case.target) == {"a": "2\n", "t": "file\n", "z": "new\n"}


def test_an_edited_change_set_is_what_is_applied(case: Case) -> None:
    edited = case.changes.with_files({"a": "by hand\n"}).without(["d/gone"])
    apply(edited, case.workspace, case.target, case.undo)
    assert _read(case.target) == {**AFTER, "a": "by hand\n", "d/gone": "3\n"}


_PROGRAM = """
import sys
from pathlib import Path
from crews.tools.applying import apply, undo
from crews.tools.changeset import change_set
from crews.tools.copying import open_workspace
run, target, undo_folder, what = map(Path, sys.argv[1:])
workspace = open_workspace(run)
changes = change_set(workspace)
print("ready", flush=True)
if str(what) == "undo":
    undo(undo_folder, target)
else:
    apply(changes, workspace, target, undo_folder)
print("done", flush=True)
"""


def _killed(folder: Path, what: str, pause: float) -> bool:
    """Start it, kill it that many seconds after it began to move files; had it not finished?"""
    command = [
        sys.executable,
        "-c",
        _PROGRAM,
        *(str(folder / n) for n in ("run", "target", "undo")),
    ]
    journal = folder / "undo/journal.json"
    moving = b'"applying"' if what == "apply" else b'"undoing"'
    with subprocess.Popen([*command, what], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        while process.poll() is None and not (journal.exists() and moving in journal.read_bytes()):
            time.sleep(0.0005)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        return b"done" not in process.stdout.read()


def _many(tag: str) -> dict[str, str]:
    return {f"d{n % 9}/f{n}": f"{tag} {n}\n" * 50 for n in range(120)}


def test_killed_at_any_moment_it_is_finished_by_doing_it_again(tmp_path: Path) -> None:
    before = {**_many("old"), "gone/x": "1\n", "file": "1\n"}
    after = {**_many("new"), "made/y": "2\n", "file/inner": "2\n"}
    case = Case(tmp_path, before, after)
    expected = case.changes
    started = time.monotonic()
    apply(expected, case.workspace, case.target, case.undo)
    undo(case.undo, case.target)
    span = (time.monotonic() - started) / 2
    chance = random.Random(7)
    killed = midway = 0
    for _ in range(6):
        killed += _killed(tmp_path, "apply", chance.uniform(0.0, span))
        midway += _read(case.target) not in (before, after)
        assert apply(expected, case.workspace, case.target, case.undo).files
        assert _read(case.target) == after
        killed += _killed(tmp_path, "undo", chance.uniform(0.0, span))
        midway += _read(case.target) not in (before, after)
        undo(case.undo, case.target)
        assert _read(case.target) == before
    assert killed > 0, "nothing was ever interrupted: the test shows nothing"
    assert midway > 0, "no kill fell into the middle: the test shows nothing"


def test_killed_between_a_file_and_its_folder_it_is_finished_too(tmp_path: Path) -> None:
    before = {"file": "1\n", "gone/deep/x": "1\n"}
    after = {"file/inner/y": "2\n"}
    case = Case(tmp_path, before, after)
    expected = case.changes
    _dies_at_the_first_folder(tmp_path, "apply")
    apply(expected, case.workspace, case.target, case.undo)
    assert _read(case.target) == after
    assert not (case.target / "gone").exists()
    _dies_at_the_first_folder(tmp_path, "undo")
    undo(case.undo, case.target)
    assert _read(case.target) == before


def _dies_at_the_first_folder(folder: Path, what: str) -> None:
    deadly = "import os, signal\nos.rmdir = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
    places = [str(folder / name) for name in ("run", "target", "undo")]
    command = [sys.executable, "-c", deadly + _PROGRAM, *places, what]
    assert subprocess.run(command, stdout=subprocess.PIPE).returncode == -signal.SIGKILL


def test_a_crash_in_the_middle_can_also_be_taken_back(tmp_path: Path) -> None:
    case = Case(tmp_path, _many("old"), _many("new"))
    for pause in (0.0, 0.02, 0.1):
        _killed(tmp_path, "apply", pause)
        undo(case.undo, case.target)
        assert _read(case.target) == _many("old")


_names = st.sampled_from(["a", "b", "a/x", "d/a", "d/b", "d/e/c", "x y", "é", "d/e"])
_trees = st.dictionaries(_names, st.text(alphabet="ab\r\n\0é", max_size=20), max_size=7)


def _possible(tree: Tree) -> dict[str, str]:
    """Without the files that would have to be folders too."""
    return {
        path: text
        for path, text in tree.items()
        if not any(other.startswith(path + "/") for other in tree)
    }


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=_trees.map(_possible), after=_trees.map(_possible))
def test_apply_gives_the_workspace_and_undo_the_original(
    tmp_path_factory: pytest.TempPathFactory, before: Tree, after: Tree
) -> None:
    case = Case(tmp_path_factory.mktemp("case"), before, after)
    case.apply()
    assert _read(case.target) == after
    if not case.changes.is_empty:
        undo(case.undo, case.target)
    assert _read(case.target) == before
    assert not list(case.target.glob(".crews*"))
