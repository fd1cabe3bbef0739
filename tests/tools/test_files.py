"""Do the file tools do what they say, show beforehand what they will do, and say what is wrong?"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from crews.safety.action import FileChange
from crews.tools.base import Args, Preview, Tool, ToolContext, ToolError
from crews.tools.copying import make_workspace
from crews.tools.evidence import digests
from crews.tools.files import (
    DeleteFile,
    DeleteFileArgs,
    EditFile,
    EditFileArgs,
    ListFiles,
    ListFilesArgs,
    ReadFile,
    ReadFileArgs,
    WriteFile,
    WriteFileArgs,
)
from crews.tools.workspace import ChangedSince

FILES = {
    "a.py": b"one\ntwo\nthree\n",
    "crlf.txt": b"one\r\ntwo\r\n",
    "latin": b"caf\xe9\n",
    "bin": b"\0\1",
    "d/e.md": b"# e\n",
    "empty": b"",
    ".gitignore": b"out/\n",
}


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    source = tmp_path / "source"
    for path, data in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    workspace = make_workspace(source, tmp_path / "run", 10)
    return ToolContext(workspace, None, agent="coder", thread="/", call="/:0.0")


def _run(tool: Tool[Any], args: Args, context: ToolContext) -> str:
    """Preview, then run, as the gate does; what was previewed must be what happened."""
    previewed: Preview = tool.preview(args, context)
    text = asyncio.run(tool.run(args, context)).text
    for change in previewed.changes:
        if change.after is None:
            assert not context.workspace.exists(change.path)
        else:
            assert context.workspace.read_text(change.path) == change.after
    return text


def test_list(context: ToolContext) -> None:
    context.workspace.write_text("out/x", "")
    assert _run(ListFiles(), ListFilesArgs(), context).split("\n") == sorted(FILES)
    assert _run(ListFiles(), ListFilesArgs(path="/workspace/d"), context) == "d/e.md"
    assert _run(ListFiles(), ListFilesArgs(pattern="*.py"), context) == "a.py"
    assert _run(ListFiles(), ListFilesArgs(pattern="*.rs"), context) == "no files"
    shown = _run(ListFiles(), ListFilesArgs(limit=2), context)
    assert shown == ".gitignore\na.py\n(5 more files; narrow the path or the pattern)"


def test_who_asks_for_more_than_is_shown_at_once_gets_what_is() -> None:
    assert ListFilesArgs(limit=10**9).limit == 2000
    assert ReadFileArgs(path="a.py", lines=10**9).lines == 5000
    with pytest.raises(ValidationError):
        ReadFileArgs(path="a.py", lines=0)


def test_read_numbers_the_lines_and_says_where_there_are_more(context: ToolContext) -> None:
    assert _run(ReadFile(), ReadFileArgs(path="a.py"), context) == (
        "     1\tone\n     2\ttwo\n     3\tthree"
    )
    assert _run(ReadFile(), ReadFileArgs(path="a.py", start=2, lines=1), context) == (
        "     2\ttwo\n(lines 2-2 of 3; go on with start=3)"
    )
    assert "CRLF" in _run(ReadFile(), ReadFileArgs(path="crlf.txt"), context)
    assert "\r" not in _run(ReadFile(), ReadFileArgs(path="crlf.txt"), context)
    assert _run(ReadFile(), ReadFileArgs(path="empty"), context) == "(`empty` is empty)"
    context.workspace.write_text("long", "x" * 5000)
    assert _run(ReadFile(), ReadFileArgs(path="long"), context).endswith("[3000 more characters]")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("latin", "not UTF-8"),
        ("bin", "binary"),
        ("nope", "there is no `nope`"),
        ("d", "is a folder"),
        ("../run/manifest.json", "climbs"),
        ("/etc/passwd", "absolute"),
        (".git/config", "protected"),
    ],
)
def test_what_cannot_be_read_says_why(context: ToolContext, path: str, why: str) -> None:
    with pytest.raises(ToolError, match=why):
        _run(ReadFile(), ReadFileArgs(path=path), context)


def test_reading_beyond_the_end_says_how_long_the_file_is(context: ToolContext) -> None:
    with pytest.raises(ToolError, match="has 3 lines"):
        _run(ReadFile(), ReadFileArgs(path="a.py", start=4), context)


def test_write_creates_and_replaces(context: ToolContext) -> None:
    made = _run(WriteFile(), WriteFileArgs(path="n/new.py", content="x\ny"), context)
    assert made == "created n/new.py (2 lines)"
    tool, args = WriteFile(), WriteFileArgs(path="a.py", content="1\n")
    preview = tool.preview(args, context)
    assert preview.paths == ("a.py",)
    assert preview.changes == (FileChange("a.py", "one\ntwo\nthree\n", "1\n"),)
    assert context.workspace.read_text("a.py") == "one\ntwo\nthree\n", "a preview writes nothing"
    assert _run(tool, args, context) == "replaced a.py (1 lines)"


def test_write_says_when_a_file_will_not_be_in_the_change_set(context: ToolContext) -> None:
    shown = _run(WriteFile(), WriteFileArgs(path="out/x", content=""), context)
    assert "not part of the change set" in shown
    assert context.workspace.changes() == ()


def test_line_ends_are_kept(context: ToolContext) -> None:
    _run(WriteFile(), WriteFileArgs(path="crlf.txt", content="1\n2\n"), context)
    assert context.workspace.read_text("crlf.txt") == "1\r\n2\r\n"
    _run(EditFile(), EditFileArgs(path="crlf.txt", old="1\n2", new="3\n4\n5"), context)
    assert context.workspace.read_text("crlf.txt") == "3\r\n4\r\n5\r\n"


def test_a_binary_file_is_previewed_by_its_hash(context: ToolContext) -> None:
    preview = WriteFile().preview(WriteFileArgs(path="bin", content="text"), context)
    assert preview.changes[0].before is not None
    assert preview.changes[0].before.startswith("binary file, 2 bytes, sha256 ")


@pytest.mark.parametrize(
    "content", ["a\0b", "\ud800", "x" * (8 * 1024 * 1024 + 1)], ids=str.__len__
)
def test_what_is_no_text_is_not_written(context: ToolContext, content: str) -> None:
    with pytest.raises(ToolError):
        WriteFile().preview(WriteFileArgs.model_construct(path="a.py", content=content), context)


def test_edit_replaces_exactly_one_place(context: ToolContext) -> None:
    shown = _run(EditFile(), EditFileArgs(path="a.py", old="two\n", new=""), context)
    assert shown == "edited a.py (2 lines)"
    assert context.workspace.read_text("a.py") == "one\nthree\n"


def test_edit_says_how_often_and_where_a_text_occurs(context: ToolContext) -> None:
    context.workspace.write_text("r", "x\ny\nx x\n")
    with pytest.raises(ToolError, match=r"occurs 3 times in `r`, at lines 1, 3, 3;"):
        EditFile().preview(EditFileArgs(path="r", old="x", new="z"), context)
    _run(EditFile(), EditFileArgs(path="r", old="x", new="z", replace_all=True), context)
    assert context.workspace.read_text("r") == "z\ny\nz z\n"


def test_edit_says_where_it_nearly_matches(context: ToolContext) -> None:
    context.workspace.write_text("r", "if x:\n\treturn 1\n")
    with pytest.raises(ToolError, match="its first line is like line 2"):
        EditFile().preview(EditFileArgs(path="r", old="    return 1", new="z"), context)
    with pytest.raises(ToolError, match="copy the text exactly"):
        EditFile().preview(EditFileArgs(path="r", old="nothing", new="z"), context)
    with pytest.raises(ToolError, match="same text"):
        EditFile().preview(EditFileArgs(path="r", old="if", new="if"), context)
    with pytest.raises(ValidationError):
        EditFileArgs(path="r", old="", new="z")


def test_delete(context: ToolContext) -> None:
    preview = DeleteFile().preview(DeleteFileArgs(path="a.py"), context)
    assert preview.changes == (FileChange("a.py", "one\ntwo\nthree\n", None),)
    assert _run(DeleteFile(), DeleteFileArgs(path="a.py"), context) == "deleted a.py"
    for path in ("a.py", "d"):
        with pytest.raises(ToolError, match="there is no file"):
            DeleteFile().preview(DeleteFileArgs(path=path), context)


def test_a_link_out_is_neither_read_nor_written_nor_edited(
    context: ToolContext, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret")
    (context.workspace.root / "l").symlink_to(tmp_path / "secret")
    calls: list[tuple[Tool[Any], Args]] = [
        (ReadFile(), ReadFileArgs(path="l")),
        (WriteFile(), WriteFileArgs(path="l", content="x")),
        (EditFile(), EditFileArgs(path="l", old="secret", new="x")),
    ]
    for tool, args in calls:
        with pytest.raises(ToolError):
            asyncio.run(tool.run(args, context))
    assert (tmp_path / "secret").read_text() == "secret"


def test_effects_are_declared() -> None:
    tools: tuple[Tool[Any], ...] = (ListFiles(), ReadFile(), WriteFile(), EditFile(), DeleteFile())
    assert [tool.effect for tool in tools] == ["read", "read", "write", "write", "write"]


# -- what is written is what was judged -----------------------------------------------------------


def _overtaken(tool: Tool[Any], args: Args, context: ToolContext, theirs: str | None) -> str:
    """Judge the call, let another agent write the file, then run it; why it was refused."""
    changes = tool.preview(args, context).changes
    path = changes[0].path
    if theirs is None:
        context.workspace.delete(path)
    else:
        context.workspace.write_text(path, theirs)
    with pytest.raises(ToolError) as refused:
        asyncio.run(tool.run(args, replace(context, judged=digests(changes))))
    assert context.workspace.describe(path) == theirs
    return str(refused.value)


@pytest.mark.parametrize("theirs", ["one\ntwo\nthree\nfour\n", None])
@pytest.mark.parametrize(
    ("tool", "args"),
    [
        (WriteFile(), WriteFileArgs(path="a.py", content="mine\n")),
        (EditFile(), EditFileArgs(path="a.py", old="two", new="2")),
        (DeleteFile(), DeleteFileArgs(path="a.py")),
    ],
)
def test_a_file_that_changed_after_it_was_judged_is_left_alone(
    context: ToolContext, tool: Tool[Any], args: Args, theirs: str | None
) -> None:
    why = _overtaken(tool, args, context, theirs)
    assert "read it again" in why or "there is no" in why


def test_a_file_that_came_after_the_call_was_judged_is_left_alone(context: ToolContext) -> None:
    args = WriteFileArgs(path="new.py", content="mine\n")
    assert "read it again" in _overtaken(WriteFile(), args, context, "theirs\n")


def test_of_many_who_judged_the_same_file_one_writes(context: ToolContext) -> None:
    workspace, done = context.workspace, Counter[bool]()
    workspace.write_text("counter", "0")

    def count() -> None:
        for _ in range(25):
            before = workspace.read_text("counter")
            with contextlib.suppress(ChangedSince):
                workspace.carry_out(FileChange("counter", before, str(int(before) + 1)))
                done[True] += 1  # one more, under the GIL
                continue
            done[False] += 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert workspace.read_text("counter") == str(done[True])
    assert done[True] + done[False] == 100
    assert done[False] > 0, "nobody was ever too late: the test shows nothing"
