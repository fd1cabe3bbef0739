"""Which files of a folder does git count as the user's own: tracked, or new and not ignored?

The folder is not trusted: its `.git/config` can name programs that git runs. Hooks, the file system
monitor and every transport are switched off.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from crews.tools.ignore import default_rules

_SAFE = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.untrackedCache=false",
    "-c", "safe.bareRepository=explicit",
)  # fmt: skip
_TIMEOUT = 120.0  # seconds
_KEPT = ("PATH", "HOME", "XDG_CONFIG_HOME", "LANG", "SYSTEMROOT")


def git_files(folder: Path) -> list[str] | None:
    """Paths relative to `folder`; None where git is missing, refuses, or knows of no file here.

    A new file that `DEFAULT_EXCLUDES` names is left out, a tracked one is not. A nested repository
    is given by its folder's name.
    """
    if not _is_work_tree(folder):
        return None
    tracked = _listed(folder, "--cached")
    new = _listed(folder, "--others", "--exclude-standard")
    if tracked is None or new is None or not (tracked or new):
        return None
    rules = default_rules()
    return sorted({*tracked, *(path for path in new if not rules.ignores(path))})


def _is_work_tree(folder: Path) -> bool:
    """Is the folder in the tree that git would list? `core.worktree` can point anywhere."""
    if not any(os.path.lexists(above / ".git") for above in (folder, *folder.parents)):
        return False  # git would only find the same: to start it costs more than to copy a small folder
    top = _answer(folder, "rev-parse", "--show-toplevel")
    if top is None:
        return False
    return folder.resolve().is_relative_to(Path(os.fsdecode(top.removesuffix(b"\n"))).resolve())


def _listed(folder: Path, *which: str) -> list[str] | None:
    names = _answer(folder, "ls-files", "-z", *which)
    if names is None:
        return None
    return [os.fsdecode(name).rstrip("/") for name in names.split(b"\0") if name]


def _answer(folder: Path, *words: str) -> bytes | None:
    """What git says; None where it cannot be run or refuses."""
    try:
        done = git(folder, *words)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def git(
    folder: Path, *words: str, given: bytes = b"", timeout: float = _TIMEOUT
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder that is not trusted; `given` is its standard input.

    Raises:
        OSError: there is no git.
        subprocess.TimeoutExpired: it took longer than `timeout` seconds.
    """
    return subprocess.run(  # noqa: S603
        ["git", *_SAFE, "-C", str(folder), *words],  # noqa: S607
        env=_environment(),
        input=given,
        capture_output=True,
        timeout=timeout,
        check=False,
    )


def _environment() -> dict[str, str]:
    """Without the caller's GIT_* variables, which could point at another repository."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return kept | {
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
