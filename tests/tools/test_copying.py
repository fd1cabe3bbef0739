"""Is the user's folder copied whole, safely, or not at all?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from crews.errors import WorkspaceError
from crews.tools.copying import make_workspace, open_workspace, read_manifest


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _git(folder: Path, *words: str) -> None:
    subprocess.run(
        [
            "git",
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.invalid",
            "-C",
            str(folder),
            *words,
        ],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


def test_both_copies_hold_what_the_source_holds(source: Path, tmp_path: Path) -> None:
    _write(source, {"a.py": "1\r\n", "d/e/ü b.txt": "ü", "empty": ""})
    (source / "run.sh").write_text("#!/bin/sh\n")
    (source / "run.sh").chmod(0o755)
    made = make_workspace(source, tmp_path / "run", 10)
    assert _tree(made.root) == _tree(made.base) == _tree(source)
    assert os.access(made.root / "run.sh", os.X_OK)
    assert made.source == source
    assert made.changes() == ()
    manifest = read_manifest(tmp_path / "run")
    assert manifest.files["run.sh"].mode == "100755"
    assert set(manifest.files) == set(_tree(source))


def test_the_copies_are_independent(source: Path, tmp_path: Path) -> None:
    _write(source, {"a": "1"})
    made = make_workspace(source, tmp_path / "run", 10)
    (made.root / "a").write_text("2")
    assert (made.base / "a").read_text() == (source / "a").read_text() == "1"


def test_nothing_is_a_valid_start(tmp_path: Path) -> None:
    made = make_workspace(None, tmp_path / "run", 1)
    assert made.source is None
    assert made.list() == ()
    assert open_workspace(tmp_path / "run") == made


def test_ignored_files_and_caches_are_left_out(source: Path, tmp_path: Path) -> None:
    _write(
        source,
        {
            ".gitignore": "*.log\n/build/\n!keep.log\n",
            "a.log": "",
            "keep.log": "",
            "build/x": "",
            "d/build/x": "",
            "d/.gitignore": "local\n",
            "d/local": "",
            "node_modules/m/i.js": "",
            "d/__pycache__/a.pyc": "",
            ".venv/bin/python": "",
            ".git/config": "",
        },
    )
    (source / ".git/config").write_text("not a repository")
    made = make_workspace(source, tmp_path / "run", 10)
    kept = {".gitignore", "keep.log", "d/build/x", "d/.gitignore"}
    assert set(_tree(made.root)) == kept


def test_a_git_repository_gives_tracked_and_new_files_with_their_present_content(
    source: Path, tmp_path: Path
) -> None:
    _write(source, {"a": "old", "gone": "", "tracked.log": "", ".gitignore": "*.log\nsecrets/\n"})
    _git(source, "init", "-q")
    _git(source, "add", "-f", "a", "gone", "tracked.log", ".gitignore")
    _git(source, "commit", "-qm", "x")
    _write(source, {"a": "uncommitted", "new": "", "x.log": "", "secrets/key": "k"})
    _write(source, {"node_modules/m": "", "nested/.git/x": "", ".venv/x": ""})
    (source / "gone").unlink()
    made = make_workspace(source, tmp_path / "run", 10)
    copied = _tree(made.root)
    assert set(copied) == {"a", "new", "tracked.log", ".gitignore"}
    assert copied["a"] == b"uncommitted"


def test_a_repository_in_the_repository_is_copied_without_its_git_folder(
    source: Path, tmp_path: Path
) -> None:
    inner = source / "inner"
    inner.mkdir()
    for folder in (source, inner):
        _write(folder, {"f": "1"})
        _git(folder, "init", "-q")
    _git(inner, "add", "f")
    _git(inner, "commit", "-qm", "x")
    made = make_workspace(source, tmp_path / "run", 10)
    assert set(_tree(made.root)) == {"f", "inner/f"}


def test_a_hostile_git_configuration_runs_nothing(source: Path, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    _write(source, {"a": ""})
    _git(source, "init", "-q")
    hook = source / ".git/hooks/post-index-change"
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    _git(source, "config", "core.fsmonitor", str(hook))
    _git(source, "config", "core.hooksPath", str(hook.parent))
    _git(source, "config", "core.worktree", "/etc")
    made = make_workspace(source, tmp_path / "run", 10)
    assert not marker.exists()
    assert set(_tree(made.root)) == {"a"}


def test_without_git_the_same_files_are_found(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(source, {"a": "", ".gitignore": "b/\n", "b/c": "", "d/e": ""})
    _git(source, "init", "-q")
    with_git = make_workspace(source, tmp_path / "one", 10)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    without = make_workspace(source, tmp_path / "two", 10)
    assert _tree(with_git.root) == _tree(without.root)


def test_links_stay_links_and_those_that_lead_out_are_skipped(source: Path, tmp_path: Path) -> None:
    _write(source, {"a": "1", "d/f": ""})
    (source / "in").symlink_to("a")
    (source / "d/up").symlink_to("../a")
    (source / "out").symlink_to("../../etc/passwd")
    (source / "absolute").symlink_to("/etc")
    os.mkfifo(source / "fifo")
    made = make_workspace(source, tmp_path / "run", 10)
    assert (made.root / "in").readlink() == Path("a")
    assert (made.root / "d/up").readlink() == Path("../a")
    assert not (made.root / "out").is_symlink()
    skipped = read_manifest(tmp_path / "run").skipped
    assert set(skipped) == {"out", "absolute", "fifo"}
    assert "leads out" in skipped["out"]
    assert made.changes() == ()


def test_a_name_that_is_no_text_is_skipped_with_a_note(source: Path, tmp_path: Path) -> None:
    _write(source, {"a": ""})
    with (source / os.fsdecode(b"\xff")).open("wb"):
        pass
    made = make_workspace(source, tmp_path / "run", 10)
    assert set(_tree(made.root)) == {"a"}
    assert list(read_manifest(tmp_path / "run").skipped) == [r"\udcff"]


def test_too_large_a_folder_says_how_large_and_what_to_do(source: Path, tmp_path: Path) -> None:
    _write(source, {"a": "1"})
    (source / "data").mkdir()
    with (source / "data/big").open("wb") as file:
        file.truncate(3 << 20)
    with pytest.raises(WorkspaceError) as refused:
        make_workspace(source, tmp_path / "run", 2)
    text = str(refused.value)
    assert "3.0 MiB" in text
    assert "2 MiB" in text
    assert "data (3.0 MiB)" in text
    assert "workspace_limit_mb" in text
    assert make_workspace(source, tmp_path / "run", 4).exists("data/big")


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="not a folder"):
        make_workspace(tmp_path / "missing", tmp_path / "run", 1)
    with pytest.raises(WorkspaceError, match="no workspace"):
        open_workspace(tmp_path / "run")


def test_a_complete_workspace_is_returned_as_it_is(source: Path, tmp_path: Path) -> None:
    _write(source, {"a": "1"})
    first = make_workspace(source, tmp_path / "run", 10)
    first.write_text("a", "2")
    (source / "a").write_text("3")
    again = make_workspace(source, tmp_path / "run", 10)
    assert again == first
    assert again.read_text("a") == "2"
    assert (again.base / "a").read_text() == "1"


def test_an_interrupted_copy_is_made_anew(source: Path, tmp_path: Path) -> None:
    _write(source, {"a": "1"})
    run = tmp_path / "run"
    _write(run, {"base/half": "", "workspace/half": "", ".copying-0123/base/half": "", "other": ""})
    made = make_workspace(source, run, 10)
    assert set(_tree(made.root)) == {"a"}
    assert sorted(path.name for path in run.iterdir()) == [
        "base",
        "manifest.json",
        "other",
        "seen.json",
        "workspace",
    ]


def test_the_runs_own_folder_inside_the_source_is_not_copied(source: Path) -> None:
    _write(source, {"a": "1", "home/runs/older/workspace/x": "", "home/note": ""})
    made = make_workspace(source, source / "home/runs/this", 10)
    assert set(_tree(made.root)) == {"a"}
