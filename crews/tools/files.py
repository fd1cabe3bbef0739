"""How does an agent look at, write and change the files of its workspace?"""

from __future__ import annotations

import asyncio
from typing import Annotated, ClassVar

from pydantic import Field

from crews.safety.action import FileChange
from crews.safety.known import Declared
from crews.tools.base import Args, Preview, Tool, ToolContext, ToolError, ToolResult, at_most
from crews.tools.evidence import digests
from crews.tools.paths import READ_LIMIT, NotText, clean, clean_file
from crews.tools.tree import Unwalkable
from crews.tools.workspace import ChangedSince, Workspace, encode

_FEW = 200
"""Files that are looked through within a millisecond."""
LINE_CAP = 2000
"""Characters of one line that are shown."""


class ListFilesArgs(Args):
    """What to list."""

    path: str = "."
    pattern: Annotated[str, Field(description="glob")] = ""
    limit: Annotated[int, Field(ge=1), at_most(2000)] = 200


class ListFiles(Tool[ListFilesArgs]):
    """Names of files, sorted."""

    name: ClassVar[str] = "list_files"
    description: ClassVar[str] = "List the files beneath a folder; not what .gitignore names."
    effect = "read"
    inner = True
    declared = Declared({"path": "target", "pattern": "content", "limit": "content"}, "workspace")
    args = ListFilesArgs
    repeatable: ClassVar[bool] = True

    def preview(self, args: ListFilesArgs, context: ToolContext) -> Preview:
        """The folder."""
        del context
        return Preview(paths=(clean(args.path),))

    async def run(self, args: ListFilesArgs, context: ToolContext) -> ToolResult:
        """One path a line."""
        found = _few(args, context.workspace)
        if found is None:
            found = await asyncio.to_thread(context.workspace.list, args.path, args.pattern)
        if not found:
            return ToolResult("no files")
        shown = "\n".join(found[: args.limit])
        if (more := len(found) - args.limit) > 0:
            shown += f"\n({more} more files; narrow the path or the pattern)"
        return ToolResult(shown)


def _few(args: ListFilesArgs, workspace: Workspace) -> tuple[str, ...] | None:
    """The files, if that is sooner done than handed to a thread."""
    if args.pattern:  # how long it takes to look for one is another's choice
        return None
    try:
        return workspace.list(args.path, most=_FEW)
    except Unwalkable:
        return None


class ReadFileArgs(Args):
    """Which lines of which file."""

    path: str
    start: Annotated[int, Field(ge=1)] = 1
    lines: Annotated[int, Field(ge=1), at_most(5000)] = 500


class ReadFile(Tool[ReadFileArgs]):
    """A file's text with line numbers."""

    name: ClassVar[str] = "read_file"
    description: ClassVar[str] = (
        "Read a text file, or `lines` from line `start`. A number and a tab are put before each line."
    )
    effect = "read"
    inner = True
    declared = Declared({"path": "target", "start": "content", "lines": "content"}, "workspace")
    args = ReadFileArgs
    repeatable: ClassVar[bool] = True

    def preview(self, args: ReadFileArgs, context: ToolContext) -> Preview:
        """The file."""
        del context
        return Preview(paths=(clean_file(args.path),))

    async def run(self, args: ReadFileArgs, context: ToolContext) -> ToolResult:
        """The lines asked for, and how to see the others."""
        text = context.workspace.read_text(args.path)  # sooner done than handed to a thread
        return ToolResult(numbered(text, args.start, args.lines, clean_file(args.path)))


def numbered(text: str, start: int, most: int, path: str) -> str:
    """Lines `start` and following, numbered, with a note where there are others."""
    every = text.split("\n")
    if every[-1] == "":
        every.pop()
    if not every:
        return f"(`{path}` is empty)"
    if start > len(every):
        raise ToolError(f"`{path}` has {len(every)} lines; line {start} is beyond its end")
    chosen = every[start - 1 : start - 1 + most]
    shown = [
        f"{start + n:>6}\t{clipped(line.removesuffix(chr(13)))}" for n, line in enumerate(chosen)
    ]
    end = start + len(chosen) - 1
    if start > 1 or end < len(every):
        on = f"; go on with start={end + 1}" if end < len(every) else ""
        shown.append(f"(lines {start}-{end} of {len(every)}{on})")
    if is_crlf(text):
        shown.append("(lines end with CRLF; it is kept when you write or edit)")
    return "\n".join(shown)


def clipped(line: str) -> str:
    """A line as shown: what is beyond `LINE_CAP` is counted, not shown."""
    more = len(line) - LINE_CAP
    return line if more <= 0 else f"{line[:LINE_CAP]} [{more} more characters]"


def is_crlf(text: str) -> bool:
    """Does every line end with CRLF, and is there one?"""
    ends = text.count("\n")
    return ends > 0 and text.count("\r\n") == ends


def with_ends_of(text: str, old: str) -> str:
    """A text with CRLF line ends if the old one has them and the new one has only line feeds."""
    return text.replace("\n", "\r\n") if is_crlf(old) and "\r" not in text else text


class WriteFileArgs(Args):
    """A file's whole new text."""

    path: str
    content: str


class WriteFile(Tool[WriteFileArgs]):
    """Create a file, or replace all of it."""

    name: ClassVar[str] = "write_file"
    description: ClassVar[str] = (
        "Create a text file or replace all of it; edit_file changes a part."
    )
    effect = "write"
    declared = Declared({"path": "target", "content": "content"}, "workspace")
    args = WriteFileArgs
    repeatable: ClassVar[bool] = True  # the same content again is the same file

    def preview(self, args: WriteFileArgs, context: ToolContext) -> Preview:
        """The file before and after."""
        return _previewed(_written(args, context.workspace))

    async def run(self, args: WriteFileArgs, context: ToolContext) -> ToolResult:
        """Write it."""

        def work() -> ToolResult:
            change = _written(args, context.workspace)
            return _write(context, change, "created" if change.before is None else "replaced")

        return await asyncio.to_thread(work)


class EditFileArgs(Args):
    """A text and what is to stand in its place."""

    path: str
    old: Annotated[
        str,
        Field(
            min_length=1,
            description="exact text, with indentation, without line numbers",
        ),
    ]
    new: str
    replace_all: bool = False


class EditFile(Tool[EditFileArgs]):
    """Replace an exact text in a file."""

    name: ClassVar[str] = "edit_file"
    description: ClassVar[str] = (
        "Replace a text that occurs exactly once in a file, or with `replace_all` everywhere."
    )
    effect = "write"
    declared = Declared(
        {"path": "target", "old": "content", "new": "content", "replace_all": "content"},
        "workspace",
    )
    args = EditFileArgs

    def preview(self, args: EditFileArgs, context: ToolContext) -> Preview:
        """The file before and after."""
        return _previewed(_changed(args, context.workspace))

    async def run(self, args: EditFileArgs, context: ToolContext) -> ToolResult:
        """Replace it."""
        return await asyncio.to_thread(
            lambda: _write(context, _changed(args, context.workspace), "edited")
        )


class DeleteFileArgs(Args):
    """Which file."""

    path: str


class DeleteFile(Tool[DeleteFileArgs]):
    """Delete one file."""

    name: ClassVar[str] = "delete_file"
    description: ClassVar[str] = "Delete one file."
    effect = "write"
    declared = Declared({"path": "target"}, "workspace")
    args = DeleteFileArgs

    def preview(self, args: DeleteFileArgs, context: ToolContext) -> Preview:
        """The file before."""
        return _previewed(_deleted(args, context.workspace))

    async def run(self, args: DeleteFileArgs, context: ToolContext) -> ToolResult:
        """Delete it."""

        def work() -> ToolResult:
            change = _deleted(args, context.workspace)
            _as_judged(context, change)
            return ToolResult(f"deleted {change.path}")

        return await asyncio.to_thread(work)


def _previewed(change: FileChange) -> Preview:
    return Preview(paths=(change.path,), changes=(change,))


def _written(args: WriteFileArgs, workspace: Workspace) -> FileChange:
    """What `write_file` would do; nothing is written here."""
    path = clean_file(args.path)
    before = workspace.describe(path)
    try:
        old = workspace.read_text(path) if before is not None else ""
    except NotText:
        old = ""
    return FileChange(path, before, _fit(with_ends_of(args.content, old), path))


def _changed(args: EditFileArgs, workspace: Workspace) -> FileChange:
    """What `edit_file` would do; nothing is written here."""
    path = clean_file(args.path)
    before = workspace.read_text(path)
    old, new = with_ends_of(args.old, before), with_ends_of(args.new, before)
    if old == new:
        raise ToolError("old and new are the same text")
    places = _places(before, old)
    if not places:
        raise ToolError(f"the text does not occur in `{path}`; {_nearly(before, args.old)}")
    if len(places) > 1 and not args.replace_all:
        shown = ", ".join(str(line) for line in places[:10]) + (", ..." if len(places) > 10 else "")
        raise ToolError(
            f"the text occurs {len(places)} times in `{path}`, at lines {shown}; "
            "give more of the text around it, or set replace_all"
        )
    # Known before it is made: a thousand places and a text of megabytes would be gigabytes.
    _check_size(len(before) + len(places) * (len(new) - len(old)), path)
    return FileChange(path, before, _fit(before.replace(old, new), path))


def _deleted(args: DeleteFileArgs, workspace: Workspace) -> FileChange:
    """What `delete_file` would do; nothing is deleted here."""
    path = clean_file(args.path)
    if (before := workspace.describe(path)) is None:
        raise ToolError(f"there is no file `{path}`")
    return FileChange(path, before, None)


def _places(text: str, part: str) -> list[int]:
    """The lines at which a part begins, from 1."""
    found: list[int] = []
    at, line, last = text.find(part), 1, 0
    while at >= 0:
        line += text.count("\n", last, at)
        found.append(line)
        last, at = at, text.find(part, at + len(part))
    return found


def _nearly(text: str, old: str) -> str:
    """Where the first line of the text is found without regard to the blanks around it."""
    first = next((line.strip() for line in old.split("\n") if line.strip()), "")
    lines = [n for n, line in enumerate(text.split("\n"), 1) if first and line.strip() == first]
    if not lines:
        return "read the file and copy the text exactly"
    shown = ", ".join(str(n) for n in lines[:5])
    return (
        f"its first line is like line {shown}, but blanks or what follows differ; copy it exactly"
    )


def _fit(text: str, path: str) -> str:
    if "\0" in text:
        raise ToolError("the text holds a NUL character; only text files can be written")
    _check_size(len(encode(text)), path)
    return text


def _check_size(size: int, path: str) -> None:
    if size > READ_LIMIT:
        raise ToolError(f"the text of `{path}` would be larger than {READ_LIMIT:,} bytes")


def _as_judged(context: ToolContext, change: FileChange) -> None:
    """Make the change if it is the one that was judged, of the file that it was judged on.

    Another agent may have written the file since: what policy or a human saw would not be what
    happens.
    """
    if context.judged and digests((change,)) != context.judged:
        raise ChangedSince(
            f"`{change.path}` has changed since this call was judged, so nothing was done; "
            "read it again"
        )
    context.workspace.carry_out(change)


def _write(context: ToolContext, change: FileChange, done: str) -> ToolResult:
    workspace, after = context.workspace, change.after or ""
    _as_judged(context, change)
    count = after.count("\n") + (not after.endswith("\n") and after != "")
    note = ""
    if change.before is None and workspace.left_out(change.path):
        note = (
            "; it matches .gitignore (or a folder of caches), so it is not part of the change set"
        )
    return ToolResult(f"{done} {change.path} ({count} lines{note})")
