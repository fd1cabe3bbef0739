"""Does memory stay small, and time short, whatever size, number and depth of files is found?"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from crews.errors import WorkspaceError
from crews.tools import growth, tree
from crews.tools.base import Args, Tool, ToolContext, ToolError
from crews.tools.changeset import change_set
from crews.tools.copying import make_workspace
from crews.tools.files import DeleteFile, EditFile, ListFiles, ReadFile, WriteFile
from crews.tools.ignore import default_rules
from crews.tools.search import Search
from crews.tools.shell import RunCommand
from crews.tools.tree import walk
from crews.tools.workspace import Workspace
from tests.support.memory import MIB, peak
from tests.support.sandboxes import sandbox_of

GIB = 1 << 30


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("needle\n", encoding="utf-8")
    return make_workspace(source, tmp_path / "run", 10)


def sparse(path: Path, size: int) -> None:
    """A file of that size which takes no room."""
    path.touch()
    os.truncate(path, size)


def told(tool: Tool[Any], workspace: Workspace, sandbox: str = "", /, **given: object) -> str:
    """What the model is told."""
    found = sandbox_of(sandbox) if sandbox else None
    context = ToolContext(workspace, found, agent="a", thread="/", call="/:0.0", writable=True)
    args: Args = tool.args.model_validate(given)
    try:
        tool.preview(args, context)
        return asyncio.run(tool.run(args, context)).text
    except ToolError as error:
        return str(error)


def test_a_file_of_gigabytes_is_refused_unread(workspace: Workspace) -> None:
    sparse(workspace.root / "large", 20 * GIB)
    began = time.monotonic()
    with peak() as memory:
        assert "larger than" in told(ReadFile(), workspace, path="large")
        assert "larger than" in told(EditFile(), workspace, path="large", old="a", new="b")
        assert told(Search(), workspace, pattern="needle") == "a.txt:1: needle"
        assert told(ListFiles(), workspace) == "a.txt\nlarge"
        for look in (workspace.tree_hash, workspace.changes):
            with pytest.raises(ToolError, match="have grown by more than"):
                look()
        with pytest.raises(WorkspaceError, match="have grown by more than"):
            change_set(workspace)
    assert memory.grown < 30 * MIB
    assert time.monotonic() - began < 5  # other processes count: nobody else is to read it either


def test_a_file_that_still_counts_is_hashed_and_shown_in_little_memory(
    workspace: Workspace,
) -> None:
    sparse(workspace.root / "large", GIB // 4)
    with peak() as memory:
        changes = change_set(workspace)
        assert "Binary files" in changes.diff
        assert workspace.changes()[0].after == changes.file_changes[0].after
        assert told(DeleteFile(), workspace, path="large") == "deleted large"
    assert memory.grown < 30 * MIB


@pytest.mark.parametrize("sandbox", ["bubblewrap", "none"])
def test_what_a_command_adds_beyond_the_bounds_is_taken_back(
    workspace: Workspace, sandbox: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "MOST_BYTES", 300 * MIB)
    monkeypatch.setattr(growth, "MOST_FILES", 30)
    command = "echo 1 > a.txt; truncate -s 100M one two three; sleep 0.02; truncate -s 200M four"
    text = told(RunCommand(), workspace, sandbox, command=command)
    assert "removed `four`: the workspace may grow by" in text
    command = "mkdir -p d/e; for n in $(seq 50); do mkdir d/e/$n; done"
    assert "the workspace may grow by 30 files" in told(
        RunCommand(), workspace, sandbox, command=command
    )
    assert {p.name for p in workspace.root.iterdir()} >= {"a.txt", "one", "two", "three"}
    assert workspace.read_text("a.txt") == "1\n"
    assert sum(1 for _ in workspace.root.rglob("*")) == 31
    assert told(RunCommand(), workspace, sandbox, command="echo fine") == "exit code: 0\nfine"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 files, and one nested 500 folders deep."""
    folder = tmp_path_factory.mktemp("crowd")
    for n in range(20):
        (folder / f"d{n}").mkdir()
        for m in range(1000):
            os.close(os.open(folder / f"d{n}" / str(m), os.O_CREAT))
    at = os.open(folder, os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("bottom", os.O_CREAT, dir_fd=at))
    os.close(at)
    return folder


def test_very_many_files_are_walked_in_bounded_memory(
    crowd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped: dict[str, str] = {}
    began = time.process_time()
    with peak() as memory:
        found = walk(crowd, default_rules(), skipped=skipped)
    assert len(found) == 20_000
    (reason,) = skipped.values()
    assert "nested deeper than 200 folders" in reason
    assert memory.grown < 20_000 * 2048
    assert time.process_time() - began < 3
    monkeypatch.setattr(tree, "MOST_FILES", 5000)
    with peak() as memory, pytest.raises(ToolError, match="holds more than 5,000 files"):
        walk(crowd, default_rules(), skipped=skipped)
    assert memory.grown < 10_000 * 2048


def test_a_walk_has_an_end_in_time(crowd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "WALK_SECONDS", 0.0)
    with pytest.raises(ToolError, match="cannot be looked through within"):
        walk(crowd, default_rules(), start="d1")


def test_a_model_is_told_of_too_many_files_and_can_look_at_fewer(crowd: Path) -> None:
    workspace = Workspace(crowd, crowd)
    assert "nested deeper" in told(ListFiles(), workspace)
    assert "nested deeper" in told(Search(), workspace, pattern="x")
    assert told(ListFiles(), workspace, path="d3", limit=1).startswith("d3/0\n(999 more files")


def test_no_path_is_written_that_could_not_be_walked(workspace: Workspace) -> None:
    for depth, said in ((199, "created"), (200, "more than 200 folders")):
        path = "d/" * depth + "f"
        assert said in told(WriteFile(), workspace, path=path, content="x")
    assert len(workspace.deltas()) == 1


def test_too_many_files_are_not_copied_and_the_user_is_told_why(
    crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST_FILES", 5000)
    with pytest.raises(WorkspaceError, match="holds more than 5,000 files") as refused:
        make_workspace(crowd, tmp_path / "run", 10)
    assert ".gitignore" in refused.value.hint


@pytest.mark.parametrize("line", ["*{}*a*{}", "{}"])
def test_rules_without_end_leave_out_nothing(workspace: Workspace, line: str) -> None:
    workspace.write_text(".gitignore", "\n".join(line.format(n, n) for n in range(60_000)))
    began = time.process_time()
    with peak() as memory:
        assert told(ListFiles(), workspace) == ".gitignore\na.txt"
    assert memory.grown < 30 * MIB
    assert time.process_time() - began < 20  # not a pattern for each line
