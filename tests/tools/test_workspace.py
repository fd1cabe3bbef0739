"""Does a workspace know what it holds and what has changed?"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from crews.safety.action import FileChange
from crews.tools.base import ToolError
from crews.tools.copying import make_workspace
from crews.tools.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "a.py").write_bytes(b"one\r\ntwo\r\n")
    (source / "d/b.txt").write_text("b\n")
    (source / "bin").write_bytes(b"\0\1")
    (source / ".gitignore").write_text("out/\n*.tmp\n")
    return make_workspace(source, tmp_path / "run", 10)


def test_text_is_read_and_written_as_it_is(workspace: Workspace) -> None:
    assert workspace.read_text("/workspace/a.py") == "one\r\ntwo\r\n"
    workspace.write_text("new/f", "x\r\ny\n")
    assert (workspace.root / "new/f").read_bytes() == b"x\r\ny\n"
    workspace.delete("new/f")
    assert not workspace.exists("new/f")
    assert workspace.exists("new")
    with pytest.raises(ToolError, match="larger than 3 bytes"):
        workspace.read_text("a.py", 3)
    with pytest.raises(ToolError, match="valid Unicode"):
        workspace.write_text("s", "\ud800")


def test_changes_show_text_and_stand_in_for_what_is_none(workspace: Workspace) -> None:
    workspace.write_text("a.py", "three\n")
    workspace.delete("d/b.txt")
    (workspace.root / "bin").write_bytes(b"\0\2\3")
    (workspace.root / "link").symlink_to("a.py")
    found = {change.path: change for change in workspace.changes()}
    assert found["a.py"] == FileChange("a.py", "one\r\ntwo\r\n", "three\n")
    assert found["d/b.txt"] == FileChange("d/b.txt", "b\n", None)
    assert found["bin"].after is not None
    assert found["bin"].after.startswith("binary file, 3 bytes, sha256 ")
    assert found["link"] == FileChange("link", None, "symbolic link to a.py")
    assert list(found) == sorted(found)


def test_the_hash_follows_content_mode_and_names_only(workspace: Workspace) -> None:
    first = workspace.tree_hash()
    os.utime(workspace.root / "a.py", (1, 1))
    assert workspace.tree_hash() == first
    seen = {first}
    workspace.write_text("a.py", "x")
    seen.add(workspace.tree_hash())
    (workspace.root / "a.py").chmod(0o755)
    seen.add(workspace.tree_hash())
    (workspace.root / "a.py").rename(workspace.root / "z.py")
    seen.add(workspace.tree_hash())
    assert len(seen) == 4
    (workspace.root / "z.py").unlink()
    workspace.write_text("a.py", "one\r\ntwo\r\n")
    assert workspace.tree_hash() == first


def test_a_change_of_the_same_size_within_the_same_moment_is_seen(workspace: Workspace) -> None:
    for number in range(50):
        with (workspace.root / "a.py").open("r+b") as file:
            file.write(b"%03d" % number)
        before = workspace.tree_hash()
        with (workspace.root / "a.py").open("r+b") as file:
            file.write(b"%03d" % (number + 500))
        assert workspace.tree_hash() != before


def test_what_commands_leave_behind_is_no_change_but_a_copied_file_always_counts(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "kept.tmp").write_text("1")
    (source / ".gitignore").write_text("*.tmp\nout/\n")
    for words in (["init", "-q"], ["add", "-f", "kept.tmp"]):  # a file that git tracks all the same
        subprocess.run(["git", "-C", source, *words], check=True)
    workspace = make_workspace(source, tmp_path / "run", 10)
    for path in ("x.tmp", "out/y", "__pycache__/a.pyc", "d/.pytest_cache/z", "sub/d/x.tmp"):
        workspace.write_text(path, "junk")
    assert workspace.changes() == ()
    (workspace.root / "kept.tmp").write_text("2")
    assert [change.path for change in workspace.changes()] == ["kept.tmp"]
    assert workspace.left_out("out/new")
    assert workspace.left_out("sub/x.tmp")
    assert not workspace.left_out("sub/x.py")


def test_an_agent_cannot_hide_a_file_by_ignoring_it(workspace: Workspace) -> None:
    workspace.write_text(".gitignore", "*\n")
    workspace.write_text("hidden.py", "x")
    assert [change.path for change in workspace.changes()] == [".gitignore", "hidden.py"]


def test_a_folder_that_became_a_link_is_a_deletion_and_a_link(workspace: Workspace) -> None:
    workspace.delete("d/b.txt")
    (workspace.root / "d").rmdir()
    (workspace.root / "d").symlink_to("/etc")
    assert [(c.path, c.after) for c in workspace.changes()] == [
        ("d", "symbolic link to /etc"),
        ("d/b.txt", None),
    ]


def test_listing_is_sorted_and_leaves_out_what_is_ignored(workspace: Workspace) -> None:
    workspace.write_text("out/x", "")
    workspace.write_text("d/c.py", "")
    os.mkfifo(workspace.root / "fifo")
    assert workspace.list() == (".gitignore", "a.py", "bin", "d/b.txt", "d/c.py")
    assert workspace.list(pattern="*.py") == ("a.py", "d/c.py")
    assert workspace.list("d", "d/*.txt") == ("d/b.txt",)
    assert workspace.list("a.py") == ("a.py",)
    assert workspace.list(limit=1) == (".gitignore",)
    with pytest.raises(ToolError, match="no `nope`"):
        workspace.list("nope")


def test_a_glob_that_would_explode_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ToolError, match="too many stars"):
        workspace.list(pattern="*a" * 12 + "b")
    workspace.write_text("x" + "a" * 200, "")
    workspace.write_text(".gitignore", "*a" * 40 + "b\n")
    assert len(workspace.list()) == 5


@pytest.mark.parametrize("year", [1901, 2400])
def test_a_file_of_another_century_has_a_state(workspace: Workspace, year: int) -> None:
    workspace.write_text("old.txt", "old\n")
    before = workspace.tree_hash()
    then = (year - 1970) * 31_556_952 * 10**9
    os.utime(workspace.root / "old.txt", ns=(then, then))
    assert workspace.tree_hash() == before
