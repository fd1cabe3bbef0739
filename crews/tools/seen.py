"""Which of a run's files are still those that were copied, without reading them?

`FOLDER/seen.json` holds what the system said of each file of the workspace when it had been copied. A file of which it
says the same now has not been written since, if the clock by which the file system marks changes had moved on before
anybody else could write there: only such files are noted. What is noted holds until the machine starts anew, because
after a crash a file may hold what was written without the mark of it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from crews.tools.tree import FileState, StateCache, key_of

_FILE = "seen.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Mark(NamedTuple):
    """What the system said of a file once it was written."""

    key: bytes
    time: int
    """Of its last change, in ns."""


class _Kept(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    boot: str
    """Which start of the machine it speaks of; empty: not known."""
    files: dict[str, str]
    """Path -> key, in hexadecimal."""


def mark_of(status: os.stat_result) -> Mark:
    """The mark of a file whose status this is."""
    return Mark(key_of(status), max(status.st_ctime_ns, status.st_mtime_ns))


def note(
    folder: Path, states: Mapping[str, FileState], marks: Mapping[str, Mark], now: int
) -> StateCache:
    """Keep what is known of the copied files.

    Args:
        folder: The run's folder.
        states: The state of each file.
        marks: The mark of each file that was written.
        now: A time at which nobody else could write there yet, in ns, by the clock that marks the changes.
    """
    file = folder / _FILE
    file.write_bytes(b"")
    if not _marks_changes(file):
        return {}
    known = {path: (mark.key, states[path]) for path, mark in marks.items() if mark.time < now}
    keys = {path: key.hex() for path, (key, _) in known.items()}
    file.write_bytes(_Kept(boot=_boot(), files=keys).model_dump_json().encode())
    return known


def _marks_changes(file: Path) -> bool:
    """Has the file system a time of change that nobody can set, beside the one that everybody can?"""
    os.utime(file, (1, 1))
    status = file.stat()
    return status.st_ctime_ns != status.st_mtime_ns


def noted(folder: Path, states: Mapping[str, FileState]) -> StateCache:
    """The states of copied files that need not be read as long as the system says the same of them."""
    try:
        kept = _Kept.model_validate_json((folder / _FILE).read_bytes())
        keys = {path: bytes.fromhex(key) for path, key in kept.files.items() if path in states}
    except (OSError, ValueError):
        return {}  # then they are read
    same = kept.boot != "" and kept.boot == _boot()
    return {path: (key, states[path]) for path, key in keys.items()} if same else {}


@functools.cache
def _boot() -> str:
    """Another text for each time that the machine was started; empty: not known."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""
