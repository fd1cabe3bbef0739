"""Which user does a command run as, and whose are the files that it may write?

As root, a command becomes a user that nothing else belongs to: modes of the host's files then hold
against it, and the kernel counts its processes (it counts none of root's, `man 2 getrlimit`). The
number follows from the workspace's path, so that two runs never share a user and a second command
finds the files that are its own.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools.folders import visit

_FIRST, _COUNT = (
    0x70000000,
    1 << 24,
)  # beyond every range that systemd, containers and subuid hand out
_FIRST_MAPPED, _COUNT_MAPPED = (
    40_000,
    20_000,
)  # where only 65,536 users are mapped (a rootless container)


def user_for(workspace: Path) -> int | None:
    """The user and group number to run as; None: we are not root and stay who we are."""
    if os.getuid() != 0:
        return None
    first, count = (_FIRST, _COUNT) if _all_mapped() else (_FIRST_MAPPED, _COUNT_MAPPED)
    return first + zlib.crc32(os.fsencode(workspace)) % count


def taken_over(workspace: Path) -> tuple[Path, int | None]:
    """The workspace by its real path, made to belong to the user that the command runs as."""
    real = found(workspace)
    uid = user_for(real)
    if uid is not None:
        give(real, uid)
    return real, uid


def found(workspace: Path) -> Path:
    """The workspace by its real path.

    Raises:
        SandboxUnavailable: it is no folder that can be opened.
    """
    try:
        real = workspace.resolve(strict=True)
        os.close(os.open(real, os.O_RDONLY | os.O_DIRECTORY))
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise SandboxUnavailable(f"the workspace cannot be opened: {reason}") from error
    return real


def _all_mapped() -> bool:
    try:
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    return any(int(line.split()[2]) > _FIRST + _COUNT for line in lines if line.strip())


def give(folder: Path, uid: int) -> None:
    """Make everything in it belong to `uid`, but for files with a second name; follow no link."""
    for visited in visit(folder):
        if os.fstat(visited.descriptor).st_uid != uid:
            os.fchown(visited.descriptor, uid, uid)
        for entry in visited.entries:
            with contextlib.suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid != uid and status.st_nlink == 1:
                    chown = (entry.name, uid, uid)
                    os.chown(*chown, dir_fd=visited.descriptor, follow_symlinks=False)


def reachable_by_others(*paths: Path) -> bool:
    """Can a user who owns nothing come to these folders, and enter them?"""
    every = dict.fromkeys(str(one) for path in paths for one in (path, *path.parents))
    return all(os.stat(one).st_mode & 0o001 for one in every)  # noqa: PTH116 - looked at for each command


def has_capability(number: int) -> bool:
    """Is it among this process' effective capabilities (`man 7 capabilities`)?"""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    held = next((line.split()[1] for line in lines if line.startswith("CapEff:")), "0")
    return bool(int(held, 16) >> number & 1)
