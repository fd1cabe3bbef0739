"""Which workspace path is meant, whatever way it is spelt, and which globs cover it?"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

import pathspec

EVERYTHING = "**"
_GLOB_MARKS = "*?["
_GIT_NAMES = frozenset({".git", "git~1"})
"""The folder itself and its short name on Windows file systems."""


@lru_cache(maxsize=4_096)
def clean(path: str) -> str:
    """The path with `.`, `..` and doubled slashes resolved as far as possible; `` is the root."""
    plain = posixpath.normpath(path) if path else ""
    return "" if plain == "." else plain


def escapes(path: str) -> bool:
    """Does the path leave the workspace, or can it not be a workspace path at all?"""
    plain = clean(path)
    return "\0" in path or plain.startswith("/") or plain == ".." or plain.startswith("../")


@lru_cache(maxsize=4_096)
def folded(path: str) -> str:
    """The path as the most forgiving file system reads it: two spellings of one file fold alike.

    Covers case, compatibility forms, code points that are ignored (Unicode `Cf`), trailing dots and
    spaces, alternate data streams and backslashes; HFS+ and NTFS resolve each of these.
    """
    parts = clean(path.replace("\\", "/")).split("/")
    return "/".join(_folded_name(part) for part in parts)


def _folded_name(name: str) -> str:
    plain = name.casefold() if name.isascii() else _compatible(name)
    stem = plain.split(":", 1)[0] if not plain.startswith(":") else plain
    return stem.rstrip(". ") or plain


def _compatible(name: str) -> str:
    visible = "".join(c for c in name if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", visible).casefold()


def in_git(path: str) -> bool:
    """Is the path a `.git` folder or file, or inside one, at any depth?"""
    return any(part in _GIT_NAMES for part in folded(path).split("/"))


def meets(protected: str, path: str) -> bool:
    """Is the path the protected one, inside it, or a folder that holds it? Globs are allowed."""
    guard, asked = folded(protected), folded(path)
    if not asked or not guard or asked == guard:
        return True
    if asked.startswith(guard + "/") or guard.startswith(asked + "/"):
        return True
    return any(mark in guard for mark in _GLOB_MARKS) and _decided((guard,), asked)


def covered(globs: Iterable[str], path: str, *, loosely: bool = False) -> bool:
    """Does one of the gitwildmatch globs cover the path? A later `!glob` takes away again.

    Args:
        globs: Patterns as in `.gitignore`; the last one that matches decides.
        path: A workspace-relative POSIX path.
        loosely: Also try the folded spellings, for rules that restrict.

    Raises:
        ValueError: A glob is none.
    """
    patterns = tuple(globs)
    plain = clean(path)
    if not plain:
        return EVERYTHING in patterns
    if _decided(patterns, plain):
        return True
    if not loosely:
        return False
    forgiving, loose = folded(path), _without_case(patterns)
    if (forgiving, loose) == (plain, patterns):
        return False  # just looked at
    return _decided(loose, forgiving)


def _decided(globs: tuple[str, ...], path: str) -> bool:
    """What the last of the globs that matches says of a cleaned path; no: none does."""
    relative = path.removeprefix("/")
    for matches, includes in _last_first(globs):
        if matches(relative) is not None:
            return includes
    return False


@lru_cache(maxsize=512)
def _without_case(globs: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(glob.casefold() for glob in globs)


@lru_cache(maxsize=512)
def _last_first(globs: tuple[str, ...]) -> tuple[tuple[Callable[[str], object], bool], ...]:
    """How each glob looks for a path, and whether it takes it in or out; the last one first."""
    # The backend is named: a verdict must not depend on which regex library is installed.
    spec = pathspec.PathSpec.from_lines("gitignore", globs, backend="simple")
    return tuple(
        (pattern.match_file, pattern.include)
        for pattern in reversed(list(spec.patterns))
        if pattern.include is not None
    )


def contained(inner: str, outer: str) -> bool:
    """Does every path that `inner` covers lie in `outer`? False also where it is hard to see.

    Equal globs, `**`, and a folder (`src`, `src/`, `src/**`) around what starts with `src/`.
    """
    if inner == outer or outer == EVERYTHING:
        return True
    folder = _rooted_folder(outer)
    rest = inner.removeprefix("/")
    return bool(folder) and ".." not in rest.split("/") and rest.startswith(folder + "/")


def _rooted_folder(glob: str) -> str:
    """`src/a` for `src/a/**` and `/src/**`; `` where the glob is no rooted folder."""
    if not glob.endswith("/**"):
        return ""
    folder = glob[: -len("/**")].removeprefix("/")
    return "" if any(mark in folder for mark in _GLOB_MARKS + "!\\") else folder
