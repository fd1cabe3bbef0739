"""Does a search find what is there, in bounded time, and the same with and without ripgrep?"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crews.tools import matcher, search
from crews.tools.base import ToolContext, ToolError
from crews.tools.copying import make_workspace
from crews.tools.search import NOTHING, Search, SearchArgs, widened
from crews.tools.workspace import Workspace

FILES = {
    "a.py": b"def one():\n    return 1\n\n\ndef two():\n    return one() + 1\n",
    "crlf.txt": b"alpha\r\nbeta\r\ngamma\r\n",
    "d/b.py": "def drei():  # größe Straße\n    return 'K'\n".encode(),
    "d/c.md": b"one two three\nOne Two\nONE\n",
    "bin": b"one\0two",
    "latin": b"one caf\xe9\n",
    "long.js": b"one" + b"x" * 20_000 + b"\nshort one\n",
    "-dash": b"one\n",
    "sp ace": b"a b\n\ttab\n",
    ".gitignore": b"out/\n",
    ".hidden": b"one\n",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    source = tmp_path / "source"
    for path, data in FILES.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    made = make_workspace(source, tmp_path / "run", 10)
    made.write_text("out/x", "one\n")
    return made


def _search(workspace: Workspace, **given: str | int | bool) -> str:
    context = ToolContext(workspace, None, agent="a", thread="/", call="/:0.0")
    tool, args = Search(), SearchArgs.model_validate(given)
    tool.preview(args, context)
    return asyncio.run(tool.run(args, context)).text


def test_matches_are_sorted_by_path_and_line(workspace: Workspace) -> None:
    assert _search(workspace, pattern=r"\bone\b").split("\n") == [
        "-dash:1: one",
        ".hidden:1: one",
        "a.py:1: def one():",
        "a.py:6:     return one() + 1",
        "d/c.md:1: one two three",
        "long.js:2: short one",
    ]


def test_context_groups_and_limit(workspace: Workspace) -> None:
    assert _search(workspace, pattern="^def", path="a.py", context=1).split("\n") == [
        "a.py:1: def one():",
        "a.py-2-     return 1",
        "--",
        "a.py-4- ",
        "a.py:5: def two():",
        "a.py-6-     return one() + 1",
    ]
    assert _search(workspace, pattern="one", limit=1, path="d") == "d/c.md:1: one two three"
    assert _search(workspace, pattern="one", limit=1).split("\n") == [
        "-dash:1: one",
        "(only the first 1 matching lines; narrow the pattern, path or glob)",
    ]


def test_literal_case_glob_and_path(workspace: Workspace) -> None:
    assert _search(workspace, pattern="one()", literal=True).count("\n") == 1
    assert _search(workspace, pattern="ONE", ignore_case=True, path="/workspace/d").count("\n") == 2
    assert _search(workspace, pattern="one", glob="*.md") == "d/c.md:1: one two three"
    assert _search(workspace, pattern="STRASSE|GRÖSSE|größe", ignore_case=True).startswith(
        "d/b.py:1"
    )
    assert _search(workspace, pattern="beta$") == "crlf.txt:2: beta"
    assert _search(workspace, pattern="nothing at all") == NOTHING
    assert _search(workspace, pattern=r"(?<=def )drei") == "d/b.py:1: def drei():  # größe Straße"
    assert _search(workspace, pattern="one", path="out/x") == "out/x:1: one"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"pattern": "("}, "no regular expression"),
        ({"pattern": "a\nb"}, "line end"),
        ({"pattern": "a", "path": "../.."}, "climbs"),
        ({"pattern": "a", "path": ".git"}, "protected"),
        ({"pattern": "a", "path": "nope"}, "no `nope`"),
        ({"pattern": "a", "glob": "*a" * 20}, "too many stars"),
    ],
)
def test_what_cannot_be_searched_says_why(
    workspace: Workspace, given: dict[str, str], why: str
) -> None:
    with pytest.raises(ToolError, match=why):
        _search(workspace, **given)


def test_no_link_is_followed_and_no_host_path_is_shown(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("needle\n")
    (workspace.root / "l").symlink_to(tmp_path / "secret")
    (workspace.root / "dir").symlink_to(tmp_path)
    os.mkfifo(workspace.root / "fifo")
    assert _search(workspace, pattern="needle") == NOTHING
    with pytest.raises(ToolError) as refused:
        _search(workspace, pattern="needle", path="dir/secret")
    assert str(tmp_path) not in str(refused.value)


def test_a_pattern_that_explodes_is_stopped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CPU_SECONDS", 1)
    workspace.write_text("evil", "a" * 60 + "b\n")
    started = time.monotonic()
    with pytest.raises(ToolError, match="simpler pattern"):
        _search(workspace, pattern="(a+)+$")
    assert time.monotonic() - started < 30


def test_whether_a_pattern_is_one_is_found_out_where_its_time_is_bounded(
    workspace: Workspace,
) -> None:
    """To read a thousand characters can take seconds: neither judging nor the event loop waits for it."""
    context = ToolContext(workspace, None, agent="a", thread="/", call="/:0.0")
    args = SearchArgs(pattern="(")
    assert Search().preview(args, context).paths == (".",)
    with pytest.raises(ToolError, match="no regular expression: missing \\)"):
        asyncio.run(Search().run(args, context))


def test_a_search_that_needs_too_much_memory_is_stopped(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = Path(matcher.__file__).read_text(encoding="utf-8")
    assert source.count("MEMORY = 1 << 30") == 1
    small = tmp_path / "matcher.py"
    small.write_text(source.replace("MEMORY = 1 << 30", "MEMORY = 1 << 20"), encoding="utf-8")
    (workspace.root / "wide").write_text("needle\n" * 200_000, encoding="utf-8")
    assert _search(workspace, pattern="needle", limit=1).startswith("wide:1: needle")
    monkeypatch.setattr(search, "_MATCHER", small)
    with pytest.raises(ToolError, match="too much memory"):
        _search(workspace, pattern="(?=needle)")


def test_the_matcher_bounds_its_own_memory_and_time() -> None:
    program = [sys.executable, "-I", "-S", str(Path(matcher.__file__))]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(b'["a", false, 0, 1, 100, 7]\n')
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while resource.prlimit(process.pid, resource.RLIMIT_AS)[0] != matcher.MEMORY:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert resource.prlimit(process.pid, resource.RLIMIT_CPU) == (7, 7)


def test_a_large_workspace_is_searched_with_a_small_answer(workspace: Workspace) -> None:
    for number in range(300):
        (workspace.root / f"f{number:03}").write_text("needle here\n" * 2000)
    shown = _search(workspace, pattern="needle", limit=5)
    assert shown.split("\n")[:5] == [f"f000:{n}: needle here" for n in range(1, 6)]


PATTERNS: list[tuple[str, dict[str, bool]]] = [
    ("one", {}),
    ("one", {"ignore_case": True}),
    (r"\bone\b", {}),
    ("^def .*:$", {}),
    ("beta$", {}),
    (r"return\s", {}),
    (r"[a-z]+ß", {}),
    ("größe|GRÖSSE", {"ignore_case": True}),
    ("straße", {"ignore_case": True}),
    ("k", {"ignore_case": True}),
    ("caf.", {}),
    ("a b", {"literal": True}),
    ("\t", {"literal": True}),
    ("one()", {"literal": True}),
    ("(?i)ONE", {}),
    ("o?n?e?", {}),
    ("-", {}),
    ("x$", {}),
    (r"(one|two) (two|three)", {}),
    (r"o(?=ne)", {}),
    (r"\w{5}", {}),
    (r"[^o]ne", {}),
    (r"a\.b|#|&|~|-", {}),
    (".", {}),
]


@pytest.mark.skipif(shutil.which("rg") is None, reason="ripgrep is not installed")
@pytest.mark.parametrize(("pattern", "given"), PATTERNS)
def test_the_answer_is_the_same_with_and_without_ripgrep(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, pattern: str, given: dict[str, bool]
) -> None:
    with_rg = _search(workspace, pattern=pattern, context=1, **given)
    monkeypatch.setenv("PATH", "/nowhere")
    assert _search(workspace, pattern=pattern, context=1, **given) == with_rg


def _stand_in(folder: Path, body: str) -> None:
    """A program named rg, first on PATH."""
    folder.mkdir()
    program = folder / "rg"
    program.write_text(f"#!{sys.executable} -IS\nimport sys\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_ripgrep_only_narrows_the_files(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(tmp_path / "bin", "sys.stdout.write('./d/c.md\\0./a.py\\0./crlf.txt\\0')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert _search(workspace, pattern="one t") == "d/c.md:1: one two three"
    assert _search(workspace, pattern="(?i)one$").startswith("-dash:1: one"), "not asked here"


def test_where_ripgrep_fails_every_file_is_searched(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stand_in(tmp_path / "bin", "sys.exit(2)")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert _search(workspace, pattern="one t") == "d/c.md:1: one two three"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "a*a*b",
        "(?=a)b",
        r"(a)\1",
        "(?i)a",
        "a{2,}",
        "(?P<n>a)",
        r"\Aa",
        "a++",
        "a?+",
        "a?" * 30 + "a" * 30,
        "(a|a)" * 12,
        "[[:alpha:]]",
        "[a&&b]",
        r"\<a",
        r"\x41",
    ],
)
def test_what_ripgrep_reads_otherwise_or_python_slowly_is_not_given_to_it(pattern: str) -> None:
    assert widened(pattern, ignore_case=False) is None


_parts = st.sampled_from(
    [
        "a",
        "k",
        "I",
        "é",
        "ß",
        " ",
        "#",
        r"\.",
        r"\-",
        ".",
        r"\w",
        r"\D",
        r"\s",
        r"\b",
        "^",
        "$",
        "[a-k]",
    ]
    + ["[^a]", "(", "(?:", ")", "|", "?", "*", "+", "+?", "\t"]
)
_lines = st.text(alphabet="akKIiéß #.-\tſİ\u212a²", max_size=8)


@settings(max_examples=400, deadline=None)
@given(parts=st.lists(_parts, min_size=1, max_size=7), lines=st.lists(_lines), fold=st.booleans())
def test_what_ripgrep_is_asked_matches_every_line_that_python_would_show(
    parts: list[str], lines: list[str], fold: bool
) -> None:
    pattern = "".join(parts)
    try:
        wanted = re.compile(pattern, re.IGNORECASE if fold else 0)
        asked = widened(pattern, ignore_case=fold)
        wider = re.compile(asked or "", re.IGNORECASE | re.ASCII if fold else 0)
    except re.error:
        return  # no pattern, or one that ripgrep refuses too: every file is searched
    for line in lines:
        if wanted.search(line):
            assert wider.search(line)
