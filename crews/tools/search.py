"""Where in the workspace does a text or a pattern occur?

Python decides what matches and how it is shown. Where `rg` is installed it only says, for plain
patterns, in which files it is worth looking; so the answer is the same with it and without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, TypeAdapter

from crews.safety.known import Declared
from crews.tools.base import Args, Preview, Tool, ToolContext, ToolError, ToolResult, at_most
from crews.tools.files import clipped
from crews.tools.paths import clean
from crews.tools.workspace import Workspace

LONGEST_LINE = 10_000
"""Characters; longer lines are not searched."""
CPU_SECONDS = 10
WALL_SECONDS = 60.0
LARGEST_FILE = 2 * 1024 * 1024
"""Bytes; larger files are not searched."""

NOTHING = (
    f"no matches (not searched: what .gitignore names, files over {LARGEST_FILE >> 20} MiB, lines over "
    f"{LONGEST_LINE:,} characters)"
)

_CHOICES = 8  # each may double the time that Python takes for a line
_RG_FILES = 2000  # files of one call of rg: well below the longest command line
_MATCHER = Path(__file__).with_name("matcher.py")
_Answer = TypeAdapter(tuple[list[tuple[str, int, bool, str]], bool, str])


class SearchArgs(Args):
    """What to look for, and where."""

    pattern: Annotated[str, Field(min_length=1, max_length=1000)]
    path: str = "."
    glob: str = ""
    literal: bool = False
    """The pattern is plain text."""
    ignore_case: bool = False
    context: Annotated[int, Field(ge=0, le=10)] = 0
    limit: Annotated[int, Field(ge=1), at_most(1000)] = 100


class Search(Tool[SearchArgs]):
    """Lines that match, with their places."""

    name: ClassVar[str] = "search"
    description: ClassVar[str] = (
        "Find lines of text files by a Python regular expression, or by `literal` text."
    )
    effect = "read"
    inner = True
    declared = Declared(
        {
            "path": "target",
            "pattern": "content",
            "glob": "content",
            "literal": "content",
            "ignore_case": "content",
        },
        "workspace",
    )
    args = SearchArgs
    repeatable: ClassVar[bool] = True

    def preview(self, args: SearchArgs, context: ToolContext) -> Preview:
        """The folder that is searched."""
        del context
        searchable(args)
        return Preview(paths=(clean(args.path),))

    async def run(self, args: SearchArgs, context: ToolContext) -> ToolResult:
        """Search, sorted by path and line."""
        return ToolResult(await asyncio.to_thread(found, args, context.workspace))


def found(args: SearchArgs, workspace: Workspace) -> str:
    """The whole answer. Raises ToolError for a pattern that is wrong or takes too long."""
    pattern = searchable(args)
    files = workspace.list(args.path, args.glob, largest=LARGEST_FILE)
    wide = widened(pattern, ignore_case=args.ignore_case)
    if wide is not None and (rg := shutil.which("rg")):
        files = _candidates(rg, wide, args.ignore_case, workspace.root, files)
    lines, more = _matched(args, pattern, _texts(workspace, files))
    return _rendered(lines, more, args)


def searchable(args: SearchArgs) -> str:
    """The pattern as a regular expression, if it may be one: only the matcher tries, whose time is bounded.

    Raises:
        ToolError: It cannot be looked for, whatever it means.
    """
    if "\n" in args.pattern or "\r" in args.pattern:
        raise ToolError("the pattern holds a line end; lines are searched one by one")
    try:
        args.pattern.encode()
    except UnicodeEncodeError:
        raise ToolError("the pattern is not valid Unicode") from None
    return re.escape(args.pattern) if args.literal else args.pattern


_TOKEN = re.compile(
    r"""(?P<plain>[^\\.^$*+?{}\[\]()|]) | \\(?P<escaped>[^\w<>]) | (?P<any>\.|\\[wdsWDS]) |
    (?P<edge>\\b|\^) | (?P<end>\$) | (?P<set>\[\^?[\w\ .,:;/+*$@!?%-]+\]) |
    (?P<other>\(\?:|\((?!\?)|\)|\||[*+?]\??)""",
    re.VERBOSE,
)


def widened(pattern: str, *, ignore_case: bool) -> str | None:
    """A pattern for rg that matches every line that this one matches; None: rather not.

    Python and rg differ in what a letter, a digit, a blank or a word is, and in how case folds.
    Where they do, any character will do. Only patterns without nested repetition are taken: for the
    others time could run out in one of the two and not in the other.
    """
    out: list[str] = []
    at = repeats = choices = 0
    while at < len(pattern):
        if not (token := _TOKEN.match(pattern, at)):
            return None
        kind, text = token.lastgroup, token[0]
        repeats += kind == "other" and text[0] in "*+"
        choices += kind == "other" and text[0] in "?|"
        if (
            kind == "other"
            and text[0] in "*+?"
            and pattern[token.end() : token.end() + 1] in tuple("*+?{")
        ):
            return None
        out.append(_wide(str(kind), text, token[str(kind)], ignore_case))
        at = token.end()
    return "".join(out) if repeats <= 1 and choices <= _CHOICES else None


def _wide(kind: str, text: str, inner: str, ignore_case: bool) -> str:
    if kind in ("plain", "escaped"):
        uncertain = ignore_case and (not inner.isascii() or inner in "iIkKsS")
        bare = not inner.isascii() or inner.isspace()  # rg knows no escape of these
        return "." if uncertain else inner if bare else re.escape(inner)
    if kind in ("any", "set"):
        return "."
    return {"edge": "", "end": r"\r?$"}.get(kind, text)


def _candidates(
    rg: str, pattern: str, ignore_case: bool, root: Path, files: Sequence[str]
) -> Sequence[str]:
    """The files that rg finds worth a look; all of them where rg fails."""
    kept: list[str] = []
    flags = [
        "--no-config",
        "--files-with-matches",
        "--null",
        "--text",
        "--encoding=none",
        "--no-messages",
    ]
    case = "--ignore-case" if ignore_case else "--case-sensitive"
    for at in range(0, len(files), _RG_FILES):
        some = files[at : at + _RG_FILES]
        command = [rg, *flags, case, "-e", pattern, "--", *(f"./{path}" for path in some)]
        try:
            done = subprocess.run(  # noqa: S603
                command,
                cwd=root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=WALL_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return files
        if done.returncode not in (0, 1):
            return files
        kept += [name.removeprefix(b"./").decode() for name in done.stdout.split(b"\0") if name]
    return sorted(kept)


def _texts(workspace: Workspace, files: Iterable[str]) -> Iterator[tuple[str, str]]:
    for path in files:
        with contextlib.suppress(ToolError):  # binary, too large, a link, or gone: not searched
            yield path, workspace.read_text(path, LARGEST_FILE)


def _matched(
    args: SearchArgs, pattern: str, texts: Iterable[tuple[str, str]]
) -> tuple[list[tuple[str, int, bool, str]], bool]:
    head = [pattern, args.ignore_case, args.context, args.limit, LONGEST_LINE, CPU_SECONDS]
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-I", "-S", "-X", "utf8", str(_MATCHER)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={},
    )  # fmt: skip
    clock = threading.Timer(WALL_SECONDS, process.kill)
    clock.start()
    try:
        with process:
            _feed(process, head, texts)
            answer = process.stdout.read() if process.stdout else b""
    finally:
        clock.cancel()
    if process.returncode != 0:
        raise ToolError(
            f"the search did not end within {CPU_SECONDS} s, or needed too much memory; give a shorter or simpler "
            "pattern (no repetition inside a repetition), or a narrower path or glob"
        )
    lines, more, wrong = _Answer.validate_json(answer)
    if wrong:
        raise ToolError(
            f"the pattern is no regular expression: {wrong}; set literal for plain text"
        )
    return lines, more


def _feed(
    process: subprocess.Popen[bytes], head: list[str | int], texts: Iterable[tuple[str, str]]
) -> None:
    """Write until there is no more, or the matcher has enough and hangs up."""
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(head).encode() + b"\n")
        for path, text in texts:
            process.stdin.write(json.dumps([path, text]).encode() + b"\n")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _rendered(lines: list[tuple[str, int, bool, str]], more: bool, args: SearchArgs) -> str:
    if not lines:
        return NOTHING
    shown = [
        (f"{path}:{number}: " if matched else f"{path}-{number}- ") + clipped(text)
        if number
        else "--"
        for path, number, matched, text in lines
    ]
    if shown[0] == "--":
        shown.pop(0)
    if more:
        shown.append(
            f"(only the first {args.limit} matching lines; narrow the pattern, path or glob)"
        )
    return "\n".join(shown)
