"""Which paths are left out of copies, listings and change sets?"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
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

RULES_FILE = ".gitignore"
"""Holds a folder's own rules."""
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
    by_default: bool = False
    """Is what `DEFAULT_EXCLUDES` names left out, where no rule speaks?"""

    def within(self, root: Path, folder: str) -> Ignore:
        """The rules inside `folder`; its `.gitignore`, if any, is read beneath `root`."""
        spec = _spec_in(root, folder)
        return self if spec is None else self.below(folder, spec)

    def below(self, folder: str, spec: GitIgnoreSpec) -> Ignore:
        """The rules inside `folder`, whose own are these."""
        return replace(self, rules=(*self.rules, (_prefix(folder), spec)))

    def ignores(self, path: str) -> bool:
        """Is this path left out, with a slash behind it where it is a folder's? Those above are not looked at."""
        left_out = self.by_default and _by_default(path)
        for prefix, spec in self.rules:
            said = spec.check_file(path[len(prefix) :]).include
            left_out = left_out if said is None else said
        return left_out

    def among(self, folder: str) -> Callable[[str], bool]:
        """`ignores` for the names in one folder, each with a slash behind it where it is a folder's."""
        prefix = _prefix(folder)
        if self.rules or not self.by_default or _by_default(prefix):
            return lambda name: self.ignores(prefix + name)
        return _is_excluded


class KeptRules:
    """The `.gitignore` files of a folder that nobody writes to: each is read once."""

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        """`paths` are those of all files beneath `root`."""
        self._root = root
        own = (path for path in paths if path.endswith(RULES_FILE))
        self._folders = {
            folder or "."
            for folder, _, name in (p.rpartition("/") for p in own)
            if name == RULES_FILE
        }
        self._read: dict[str, GitIgnoreSpec] = {}

    def within(self, above: Ignore, folder: str) -> Ignore:
        """The rules inside `folder`, where those above it are these."""
        if folder not in self._folders:
            return above
        spec = self._read.get(folder) or _spec_in(self._root, folder)
        if spec is None:
            return above
        self._read[folder] = spec
        return above.below(folder, spec)


def _prefix(folder: str) -> str:
    return "" if folder == "." else folder + "/"


def _spec_in(root: Path, folder: str) -> GitIgnoreSpec | None:
    """A folder's own rules, if it has any; a file of them that nobody would write by hand counts for none."""
    try:
        data = read_bytes(root, _prefix(folder) + RULES_FILE, _RULES_LIMIT)
    except ToolError:
        return None
    lines = tuple(data.decode(errors="replace").replace("\r\n", "\n").split("\n"))
    return None if len(lines) > _MOST_RULES else _spec(lines)


def no_rules() -> Ignore:
    """Nothing is left out."""
    return Ignore()


def default_rules() -> Ignore:
    """`DEFAULT_EXCLUDES`, at every depth."""
    return Ignore(by_default=True)


def _by_default(path: str) -> bool:
    """Each of `DEFAULT_EXCLUDES` speaks of one name, at any depth; of a folder, with a slash behind it."""
    *folders, name = path.split("/")
    return any(_is_excluded(folder + "/") for folder in folders) or _is_excluded(name)


@functools.lru_cache(maxsize=8192)
def _is_excluded(name: str) -> bool:
    return bool(name) and _spec(DEFAULT_EXCLUDES).check_file(name).include is True


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
        return _compiled(tame)
    except ValueError:
        return _compiled(_valid(tame))


def _compiled(lines: Sequence[str]) -> GitIgnoreSpec:
    """The rules as one, or one after the other where they are more than RE2 takes at once."""
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        raise
    except Exception:  # noqa: BLE001 - RE2 has an error of its own for what it cannot take
        return GitIgnoreSpec.from_lines(lines, backend="simple")


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
