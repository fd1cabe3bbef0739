"""Is a change set a faithful, stable picture of what changed, and does git accept its diff?"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crews.errors import WorkspaceError
from crews.tools.changeset import ChangeSet, change_set
from crews.tools.copying import make_workspace
from crews.tools.diff import file_diff
from crews.tools.workspace import Workspace

Tree = Mapping[str, tuple[bytes, bool]]
"""Path -> content, executable."""


def _fill(folder: Path, tree: Tree) -> None:
    for path, (data, executable) in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
        (folder / path).chmod(0o755 if executable else 0o644)


def _read(folder: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), os.access(path, os.X_OK))
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def _between(folder: Path, before: Tree, after: Tree) -> Workspace:
    _fill(folder / "source", before)
    (folder / "source").mkdir(exist_ok=True)
    made = make_workspace(folder / "source", folder / "run", 10)
    shutil.rmtree(made.root)
    made.root.mkdir()
    _fill(made.root, after)
    return made


def _git_apply(folder: Path, diff: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    command = ["git", "-c", "core.autocrlf=false", "apply", "--whitespace=nowarn", "-"]
    done = subprocess.run(command, cwd=folder, input=diff.encode(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode() + diff


BEFORE: Tree = {
    "a.py": (b"".join(b"line %d\n" % n for n in range(40)), False),
    "crlf.txt": (b"one\r\ntwo\r\nthree\r\n", False),
    "no end": (b"x\ny", False),
    "gone/deep/f": (b"bye\n", False),
    "tool.sh": (b"#!/bin/sh\n", False),
    "becomes": (b"a file\n", False),
    "pic": (b"\0\1\2", False),
    'q"uo\\te é': (b"1\n", False),
}
AFTER: Tree = {
    "a.py": (b"".join(b"line %d\n" % n for n in range(40) if n not in (3, 30)) + b"new\n", False),
    "crlf.txt": (b"one\r\n2\r\nthree\r\n", False),
    "no end": (b"x\ny\nz", False),
    "tool.sh": (b"#!/bin/sh\n", True),
    "becomes/a folder": (b"now\n", False),
    "pic": (b"\0\1\2", False),
    'q"uo\\te é': (b"2\n", False),
    "new/run.sh": (b"echo\n", True),
    "new/empty": (b"", False),
}


def test_git_apply_turns_the_base_into_the_workspace(tmp_path: Path) -> None:
    changes = change_set(_between(tmp_path, BEFORE, AFTER))
    _fill(tmp_path / "fresh", BEFORE)
    _git_apply(tmp_path / "fresh", changes.diff)
    assert _read(tmp_path / "fresh") == AFTER


def test_patch_accepts_it_too(tmp_path: Path) -> None:
    before = {path: BEFORE[path] for path in ("a.py", "crlf.txt", "no end", "gone/deep/f")}
    after = {path: AFTER[path] for path in ("a.py", "crlf.txt", "no end", "new/run.sh")}
    changes = change_set(_between(tmp_path, before, after))
    _fill(tmp_path / "fresh", before)
    command = ["patch", "-p1", "-s", "--binary"]
    subprocess.run(command, cwd=tmp_path / "fresh", input=changes.diff.encode(), check=True)
    got, wanted = _read(tmp_path / "fresh"), dict(after)
    assert {path: data for path, (data, _) in got.items()} == {
        path: data for path, (data, _) in wanted.items()
    }


def test_the_diff_reads_like_gits(tmp_path: Path) -> None:
    changes = change_set(
        _between(
            tmp_path,
            {"b": (b"\0", False), "m": (b"1\n2\n", False)},
            {"b": (b"\0\1", False), "m": (b"1\n3\n", True), "n": (b"x", False)},
        )
    )
    assert changes.diff == (
        "diff --git a/b b/b\nBinary files a/b and b/b differ\n"
        "diff --git a/m b/m\nold mode 100644\nnew mode 100755\n"
        "--- a/m\n+++ b/m\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n"
        "diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n"
        "@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    )
    assert [(one.path, one.kind, one.additions, one.deletions) for one in changes.files] == [
        ("b", "modified", 0, 0),
        ("m", "modified", 1, 1),
        ("n", "added", 1, 0),
    ]
    assert changes.files[0].binary


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    one = change_set(_between(tmp_path / "1", BEFORE, AFTER))
    two = change_set(_between(tmp_path / "2", BEFORE, AFTER))
    assert one.hash == two.hash
    assert one.diff == two.diff
    other = change_set(_between(tmp_path / "3", BEFORE, {**AFTER, "new/empty": (b"x", False)}))
    started = change_set(_between(tmp_path / "4", {**BEFORE, "tool.sh": (b"", False)}, AFTER))
    assert len({one.hash, other.hash, started.hash}) == 3


def test_nothing_changed_is_empty_and_has_one_hash(tmp_path: Path) -> None:
    same = change_set(_between(tmp_path, BEFORE, BEFORE))
    assert same.is_empty
    assert same.diff == ""
    assert same.hash == ChangeSet().hash


def test_files_can_be_left_out(tmp_path: Path) -> None:
    changes = change_set(_between(tmp_path, BEFORE, AFTER))
    fewer = changes.without(["a.py", "/workspace/tool.sh"])
    paths = {change.path for change in changes.changes}
    assert {change.path for change in fewer.changes} == paths - {"a.py", "tool.sh"}
    assert fewer.hash != changes.hash
    with pytest.raises(WorkspaceError, match="not in the change set"):
        changes.without(["pic"])
    with pytest.raises(WorkspaceError):
        changes.without(["../x"])


def test_a_human_can_edit_texts(tmp_path: Path) -> None:
    workspace = _between(tmp_path, BEFORE, AFTER)
    changes = change_set(workspace)
    edited = changes.with_files({"a.py": "mine\n", "gone/deep/f": "kept\n"})
    by_path = {change.path: change for change in edited.changes}
    assert by_path["a.py"].as_file_change.after == "mine\n"
    assert by_path["gone/deep/f"].kind == "modified"
    assert edited.hash != changes.hash
    back = changes.with_files({"crlf.txt": "one\r\ntwo\r\nthree\r\n"})
    assert "crlf.txt" not in {change.path for change in back.changes}
    workspace.write_text("a.py", "mine\n")
    workspace.write_text("gone/deep/f", "kept\n")
    assert change_set(workspace).hash == edited.hash


@pytest.mark.parametrize("path", ["pic", "nowhere", "../x"])
def test_a_human_can_edit_only_texts_of_the_set(tmp_path: Path, path: str) -> None:
    after = {**AFTER, "pic": (b"\0changed", False)}
    changes = change_set(_between(tmp_path, BEFORE, after))
    with pytest.raises(WorkspaceError):
        changes.with_files({path: "x"})


def test_a_file_that_becomes_a_link_is_accepted_by_git(tmp_path: Path) -> None:
    workspace = _between(tmp_path, {"a": (b"1\n", False)}, {"b": (b"2\n", False)})
    (workspace.root / "a").symlink_to("b")
    changes = change_set(workspace)
    assert changes.file_changes[0].after == "symbolic link to b"
    _fill(tmp_path / "fresh", {"a": (b"1\n", False)})
    _git_apply(tmp_path / "fresh", changes.diff)
    assert (tmp_path / "fresh/a").readlink() == Path("b")


def test_a_very_long_rewritten_file_is_shown_in_bounded_time(tmp_path: Path) -> None:
    old = "".join(f"{n % 7}\n" for n in range(60_000))
    new = "".join(f"{n % 5}\n" for n in range(60_000))
    diff = file_diff("f", ("100644", old), ("100644", new))
    (tmp_path / "f").write_text(old)
    _git_apply(tmp_path, diff)
    assert (tmp_path / "f").read_text() == new


_names = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/c", "x y", "é", "a.py", "d.txt"])
_line = st.sampled_from(
    ["", "one", "two", "  indented", "é\x85 ", "cr\r", "form\x0cfeed", "-- x", "@@"]
)


def _joined(lines: list[str], end: str) -> bytes:
    return ("\n".join(lines) + end).encode()


_content = st.builds(_joined, st.lists(_line, max_size=12), st.sampled_from(["", "\n"]))
_files = st.tuples(_content, st.booleans())
_trees = st.dictionaries(_names, _files, max_size=7)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=_trees, after=_trees)
def test_base_and_diff_give_the_workspace(
    tmp_path_factory: pytest.TempPathFactory, before: Tree, after: Tree
) -> None:
    folder = tmp_path_factory.mktemp("pair")
    changes = change_set(_between(folder, before, after))
    fresh = folder / "fresh"
    fresh.mkdir()
    _fill(fresh, before)
    if not changes.is_empty:
        _git_apply(fresh, changes.diff)
    assert _read(fresh) == dict(after)
