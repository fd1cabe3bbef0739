"""Which paths are left out of copies, listings and change sets?"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from crews.tools.base import ToolError
from crews.tools.paths import TEMP_PREFIX, read_bytes

DEFAULT_EXCLUDES: tuple[str, ...] = (
    ".git",
    ".hg",
    ".svn",
    ".jj",
    f"{TEMP_PREFIX}*",
    ".venv/",
    "venv/",
    "node_modules/",
    "__pycache__/",
    "*.py[cod]",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".nox/",
    "*.egg-info/",
    ".DS_Store",
)
"""What tools leave behind and anybody can make again; gitwildmatch."""

_RULES_LIMIT = 1024 * 1024
_MOST_RULES = 5000
"""Lines of a file of rules: each may be tried for every file."""
# A glob is matched by backtracking where no linear engine is installed: few stars keep the worst
# case small.
_STARS_IN_NAME = 4
_STARS = 8


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of the folders above, then a folder's own; the last that speaks wins."""

    rules: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    def within(self, root: Path, folder: str) -> Ignore:
        """The rules inside `folder`; its `.gitignore`, if any, is read beneath `root`.

        One that is larger than anybody would write by hand leaves out nothing.
        """
        prefix = "" if folder == "." else folder + "/"
        try:
            text = read_bytes(root, prefix + ".gitignore", _RULES_LIMIT).decode(errors="replace")
        except ToolError:
            return self
        lines = tuple(text.replace("\r\n", "\n").split("\n"))
        if len(lines) > _MOST_RULES:
            return self
        return Ignore((*self.rules, (prefix, _spec(lines))))

    def ignores(self, path: str, *, folder: bool = False) -> bool:
        """Is this path left out? The folders above it are not looked at."""
        left_out = False
        for prefix, spec in self.rules:
            said = spec.check_file(path[len(prefix) :] + ("/" if folder else "")).include
            left_out = left_out if said is None else said
        return left_out


def no_rules() -> Ignore:
    """Nothing is left out."""
    return Ignore()


def default_rules() -> Ignore:
    """`DEFAULT_EXCLUDES`, at every depth."""
    return Ignore((("", _spec(DEFAULT_EXCLUDES)),))


def glob(pattern: str) -> GitIgnoreSpec:
    """A gitwildmatch pattern that a model gave, over workspace-relative paths. Raises ToolError."""
    if not _is_tame(pattern):
        raise ToolError(f"the glob has too many stars: {pattern[:80]!r}")
    if pattern.startswith(("!", "#")):
        raise ToolError("a glob cannot start with ! or #")
    try:
        return GitIgnoreSpec.from_lines([pattern])
    except ValueError:
        raise ToolError(f"this is not a glob: {pattern[:80]!r}") from None


def _is_tame(line: str) -> bool:
    runs = [len(re.findall(r"\*+", name)) for name in line.split("/")]
    return max(runs) <= _STARS_IN_NAME and sum(runs) <= _STARS and len(line) <= 4096


@functools.lru_cache(maxsize=256)
def _spec(lines: tuple[str, ...]) -> GitIgnoreSpec:
    tame = [line for line in lines if _is_tame(line)]
    try:
        return GitIgnoreSpec.from_lines(tame)
    except ValueError:
        return GitIgnoreSpec.from_lines(_valid(tame))


def _valid(lines: Sequence[str]) -> list[str]:
    """Like git: a line that is no pattern is passed over, the others hold."""
    kept: list[str] = []
    for line in lines:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        kept.append(line)
    return kept
