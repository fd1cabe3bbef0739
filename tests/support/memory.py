"""How much memory did this process need at most while something was done?"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 1024 * 1024
_SELF = Path("/proc/self")


@dataclass(slots=True)
class Peak:
    """Filled when the work is over."""

    grown: int = 0
    """Bytes beyond what the process had before."""


@contextmanager
def peak() -> Generator[Peak]:
    """Measure the highest resident memory, as the kernel keeps it."""
    found = Peak()
    gc.collect()
    try:
        (_SELF / "clear_refs").write_text("5")  # the mark begins anew: man 5 proc
    except OSError:
        pytest.skip("the kernel keeps no mark of the highest memory")
    before = _line("VmRSS")
    try:
        yield found
    finally:
        found.grown = _line("VmHWM") - before


def _line(name: str) -> int:
    rows = (_SELF / "status").read_text("ascii").splitlines()
    row = next(row for row in rows if row.startswith(f"{name}:"))
    return int(row.split()[1]) * 1024
