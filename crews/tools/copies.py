"""How are the files of one folder copied twice, and what is known of them then?"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import sys
from collections.abc import Collection, Generator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from crews.tools.base import ToolError
from crews.tools.opening import pieces
from crews.tools.paths import file_in, link_target, opened_folder
from crews.tools.seen import Mark, mark_of
from crews.tools.tree import Found, Mode, mode_of

_FICLONE = 0x40049409  # linux/fs.h: share the extents of another file


class CopiedFile(BaseModel):
    """One file as it was when it was copied."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    mode: Mode
    size: int | None = None
    """Bytes; None: whoever copied it did not say."""


class Copying:
    """Two copies of one folder being made."""

    def __init__(self, source: Path, base: Path, root: Path) -> None:
        self._source = source
        self._sides = base, root
        self._unshared: set[int] = set()
        """Devices whose files cannot share what they hold with the copies."""
        self.files: dict[str, CopiedFile] = {}
        self.marks: dict[str, Mark] = {}
        """Of what was written into `root`."""
        self.skipped: dict[str, str] = {}

    def copy(self, folder: str, files: Collection[Found]) -> None:
        """These files of one folder."""
        base, root = self._sides
        with (
            opened_folder(base, folder, create=True) as kept,
            opened_folder(root, folder, create=True) as worked_in,
        ):
            try:
                with opened_folder(self._source, folder) as original:
                    for one in files:
                        self._try(one, original, (kept, worked_in))
            except ToolError as error:
                self.skipped |= {one.path: str(error) for one in files}

    def _try(self, one: Found, original: int, sides: tuple[int, int]) -> None:
        try:
            self.files[one.path] = self._copied(one, original, sides)
        except ToolError as error:
            self.skipped[one.path] = str(error)

    def _copied(self, one: Found, original: int, sides: tuple[int, int]) -> CopiedFile:
        name = one.path.rpartition("/")[2]
        if stat.S_ISLNK(one.status.st_mode):
            target = link_target(self._source, one.path)
            for side in sides:
                os.symlink(target, name, dir_fd=side)
            raw = os.fsencode(target)
            digest = hashlib.sha256(raw).hexdigest()
            return CopiedFile(sha256=digest, mode="120000", size=len(raw))
        with (
            file_in(original, one.path) as (read, status),
            _made(sides[0], name, status) as kept,
            _made(sides[1], name, status) as worked_in,
        ):
            digest, size = self._filled(read, status, kept, worked_in)
            self.marks[one.path] = mark_of(os.fstat(worked_in))
        return CopiedFile(sha256=digest, mode=mode_of(status), size=size)

    def _filled(
        self, original: int, status: os.stat_result, kept: int, worked_in: int
    ) -> tuple[str, int]:
        """Fill both with what the original holds; its SHA-256 and size."""
        shares = self._cloned(original, kept, status.st_dev)
        if shares and self._cloned(kept, worked_in, status.st_dev):
            return _written(kept, status.st_size, ())
        digest, size = _written(original, status.st_size, (kept, worked_in))
        if shares:
            os.ftruncate(kept, size)  # it may have been longer when it was shared
        return digest, size

    def _cloned(self, original: int, made: int, device: int) -> bool:
        """Share the content where the file system can (btrfs, XFS, bcachefs)."""
        if sys.platform != "linux" or device in self._unshared:
            return False
        try:
            fcntl.ioctl(made, _FICLONE, original)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV):
                self._unshared.add(device)
            return False
        return True


@contextlib.contextmanager
def _made(folder: int, name: str, like: os.stat_result) -> Generator[int]:
    """A new, empty file with the same permissions; its owner can read it in any case."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    made = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        os.fchmod(made, stat.S_IMODE(like.st_mode) & 0o777 | stat.S_IRUSR)
        yield made
    finally:
        os.close(made)


def _written(original: int, expected: int, targets: tuple[int, ...]) -> tuple[str, int]:
    """Write the same bytes into each; their SHA-256, and how many they are."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces(original, expected):
        digest.update(piece)
        for made in targets:
            left = memoryview(piece)
            while left:
                left = left[os.pwrite(made, left, size + len(piece) - len(left)) :]
        size += len(piece)
    return digest.hexdigest(), size
