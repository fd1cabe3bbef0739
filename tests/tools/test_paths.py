"""Does any path that a model can think of leave the workspace?"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from crews.tools import beneath, opening, paths
from crews.tools.base import ToolError
from crews.tools.links import stays_inside

HOSTILE = [
    "..",
    "../secret",
    "a/../../secret",
    "a/b/../../../secret",
    "./../secret",
    "/etc/passwd",
    "//etc/passwd",
    "/workspace/../etc/passwd",
    "/workspace/../../etc/passwd",
    "/workspacex/a",
    "/proc/self/root/etc/passwd",
    "~/x",
    "~",
    "C:/Windows",
    "c:",
    "..\\secret",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x1b[2Jb",
    "a\x7f",
    "a\u2028b",
    "\ud800",
    "x" * 256,
    "é" * 200,
    "a/" * 2500 + "b",
    ".git",
    ".git/config",
    "a/.git/hooks/pre-commit",
    ".GIT/config",
    ".Git",
    ".g\u200cit/config",
    ".gi\u00adt",
    "\ufeff.git",
    ".git\ufe0f",
    "．git/config",
    ".ｇｉｔ",
    ".git ",
    ".git.",
    ".git. . ",
    ".git/",
    ".git::$INDEX_ALLOCATION/config",
    ".git:stream",
    "git~1/config",
    "GIT~2",
    ".hg/hgrc",
    ".svn/x",
    ".crews-tmp-abc",
]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_a_hostile_path_is_refused_with_a_text_that_holds_no_raw_control_characters(
    path: str,
) -> None:
    with pytest.raises(ToolError) as refused:
        paths.clean(path)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("path", "means"),
    [
        ("a.py", "a.py"),
        ("./a//b/./c.py", "a/b/c.py"),
        ("/workspace/a.py", "a.py"),
        ("/workspace", "."),
        ("/workspace/", "."),
        ("", "."),
        (".gitignore", ".gitignore"),
        (".github/workflows/ci.yml", ".github/workflows/ci.yml"),
        ("a b/ü.txt", "a b/ü.txt"),
        ("digit~1x", "digit~1x"),
        ("...", "..."),
    ],
)
def test_a_plain_path_is_made_relative(path: str, means: str) -> None:
    assert paths.clean(path) == means


def test_the_workspace_itself_is_no_file() -> None:
    with pytest.raises(ToolError, match="path of a file"):
        paths.clean_file("/workspace/")


@pytest.fixture(params=["openat2", "walk"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root beside a secret, once with the system call and once without it."""
    if request.param == "walk":
        monkeypatch.setattr(opening, "open_folder", beneath.walk_down)
    (tmp_path / "secret").write_text("secret")
    made = tmp_path / "root"
    (made / "a").mkdir(parents=True)
    (made / "a/f").write_text("fine")
    return made


def test_links_are_followed_nowhere(root: Path) -> None:
    (root / "up").symlink_to("..")
    (root / "file").symlink_to("../secret")
    (root / "inner").symlink_to("a")
    (root / "a/magic").symlink_to("/proc/self/root")
    for path in ("up/secret", "file", "inner/f", f"a/magic{root.parent}/secret"):
        with pytest.raises(opening.ThroughLink):
            paths.read_bytes(root, path)
        with pytest.raises(ToolError):
            paths.write_bytes(root, path, b"overwritten")
    with pytest.raises(opening.ThroughLink):
        paths.remove(root, "up/secret")
    assert (root.parent / "secret").read_text() == "secret"
    assert (root / "file").is_symlink()


def test_dots_are_refused_even_below_clean(root: Path) -> None:
    with pytest.raises(ToolError):
        paths.read_bytes(root, "a/../../secret")
    with pytest.raises(ToolError):
        paths.write_bytes(root, "../new", b"")
    assert not (root.parent / "new").exists()


def test_only_regular_files_are_read(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listening:
        here = Path.cwd()
        os.chdir(root)  # the name of a socket is at most 108 bytes
        try:
            listening.bind("socket")
        finally:
            os.chdir(here)
    for path in ("fifo", "socket", "a"):
        with pytest.raises(ToolError, match="folder|not a regular"):
            paths.read_bytes(root, path)
        with pytest.raises(ToolError):
            paths.write_bytes(root, path, b"x")
    assert stat.S_ISFIFO((root / "fifo").stat().st_mode)


def test_a_huge_sparse_file_is_refused_without_being_read(root: Path) -> None:
    with (root / "big").open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(ToolError, match="larger than"):
        paths.read_bytes(root, "big")


def test_the_limit_is_exact(root: Path) -> None:
    (root / "ten").write_bytes(b"0123456789")
    assert paths.read_bytes(root, "ten", 10) == b"0123456789"
    with pytest.raises(ToolError, match="larger than 9 bytes"):
        paths.read_bytes(root, "ten", 9)


def test_what_is_missing_is_told_apart(root: Path) -> None:
    for path in ("no", "no/such", "a/f/below"):
        with pytest.raises(paths.FileAbsent):
            paths.read_bytes(root, path)
    assert paths.status_of(root, "a/f/below") is None


def test_no_error_names_a_path_of_the_host(root: Path) -> None:
    (root / "l").symlink_to("/etc")
    for path in ("no", "l/passwd", "a", "a/f/g", "n" * 300):
        with pytest.raises(ToolError) as refused:
            paths.read_bytes(root, path)
        assert str(root.parent) not in str(refused.value)


def test_a_write_keeps_the_mode_and_replaces_a_hard_link(root: Path) -> None:
    (root / "script").write_text("old")
    (root / "script").chmod(0o750)
    os.link(root.parent / "secret", root / "linked")
    paths.write_bytes(root, "script", b"new")
    paths.write_bytes(root, "linked", b"new")
    paths.write_bytes(root, "n/m/new", b"new")
    assert stat.S_IMODE((root / "script").stat().st_mode) == 0o750
    assert (root.parent / "secret").read_text() == "secret"
    assert (root / "n/m/new").read_bytes() == b"new"
    assert not list(root.glob(f"{paths.TEMP_PREFIX}*"))


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(root: Path) -> None:
    with pytest.raises(ToolError):
        paths.write_bytes(root, "a/f/below", b"x")
    with pytest.raises(ToolError):
        paths.write_bytes(root, "a", b"x")
    assert (root / "a/f").read_text() == "fine"
    assert [path.name for path in root.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("data", "why"), [(b"a\0b", "binary"), (b"caf\xe9", "not UTF-8"), (b"\xff\xfea\x00", "binary")]
)
def test_what_is_not_utf8_text_is_said_to_be_so(data: bytes, why: str) -> None:
    with pytest.raises(paths.NotText, match=why):
        paths.decode(data, "f")


@pytest.mark.parametrize(
    ("path", "target", "inside"),
    [
        ("l", "a", True),
        ("d/l", "../a", True),
        ("d/l", "../../a", False),
        ("l", "..", False),
        ("l", "a/../..", False),
        ("l", "/etc/passwd", False),
        ("l", ".git/config", False),
    ],
)
def test_where_a_link_leads_is_judged_by_its_text(path: str, target: str, inside: bool) -> None:
    assert stays_inside(path, target) is inside


def _swapping(folder: Path, spare: Path, outside: Path, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            folder.rename(spare)
            folder.symlink_to(outside)
            folder.unlink()
            spare.rename(folder)
        except OSError:  # a writer has made the folder anew in the gap
            while spare.exists():
                shutil.rmtree(folder, ignore_errors=True)
                with contextlib.suppress(OSError):
                    spare.rename(folder)


@contextlib.contextmanager
def swapped(root: Path) -> Generator[Path]:
    """`root/a` is swapped for a link to a folder outside, over and over; that folder."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("LEAK")
    stop = threading.Event()
    swapper = threading.Thread(target=_swapping, args=(root / "a", root / "spare", outside, stop))
    swapper.start()
    try:
        yield outside
    finally:
        stop.set()
        swapper.join()


def _attempts(least: int, enough: Callable[[], bool]) -> Iterator[int]:
    """So many, and more where what the test is about was not met yet; for 20 s at most."""
    until = time.monotonic() + 20
    number = 0
    while number < least or (not enough() and time.monotonic() < until):
        yield number
        number += 1


def test_a_folder_swapped_for_a_link_in_a_loop_leaks_nothing(root: Path) -> None:
    seen: Counter[bytes] = Counter()
    with swapped(root):
        for _ in _attempts(5000, lambda: len(seen) > 1):
            try:
                seen[paths.read_bytes(root, "a/f")] += 1
            except ToolError:
                seen[b"refused"] += 1
    assert set(seen) == {b"fine", b"refused"}


def test_the_usual_check_leaks_in_the_same_race(tmp_path: Path) -> None:
    """The control: were it not so, the test above would show nothing."""
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/f").write_text("fine")
    leaked: list[str] = []
    with swapped(root):
        for _ in _attempts(1, lambda: bool(leaked)):
            with contextlib.suppress(OSError):
                inside = (root / "a/f").resolve().is_relative_to(root)
                if inside and (text := (root / "a/f").read_text()) != "fine":
                    leaked.append(text)
    assert leaked


def test_a_write_into_a_swapped_folder_never_lands_outside(root: Path) -> None:
    done: Counter[str] = Counter()
    with swapped(root) as outside:
        for number in _attempts(2000, lambda: len(done) > 1):
            try:
                paths.write_bytes(root, f"a/n{number % 7}", b"x", flush=False)
                done["written"] += 1
            except ToolError:
                done["refused"] += 1
    assert [entry.name for entry in outside.iterdir()] == ["f"]
    assert (outside / "f").read_text() == "LEAK"
    assert set(done) == {"written", "refused"}


def test_a_device_is_not_read_or_written(root: Path) -> None:
    for name, mode in (("null", stat.S_IFCHR), ("block", stat.S_IFBLK)):
        try:
            os.mknod(root / name, mode | 0o666, os.makedev(1, 3))
        except PermissionError:  # not root: no device can come here in the first place
            (root / name).symlink_to("/dev/null")
        with pytest.raises(ToolError):
            paths.read_bytes(root, name)
        with pytest.raises(ToolError):
            paths.write_bytes(root, name, b"x")


def test_the_kernel_that_has_openat2_is_asked(tmp_path: Path) -> None:
    """Where it has not, or a filter refuses it, the walk takes its place (both are tested above)."""
    version = tuple(int(part) for part in os.uname().release.split(".")[:2])
    assert (beneath._openat2() is not None) is (version >= (5, 6))  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "a").symlink_to("/")
    top = os.open(tmp_path, os.O_RDONLY)
    try:
        for one in (beneath.open_folder, beneath.walk_down):
            with pytest.raises(OSError, match="symbolic links"):
                one(top, ["a", "etc"])
    finally:
        os.close(top)
