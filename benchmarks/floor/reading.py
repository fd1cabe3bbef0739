"""What do the tools of the systems beside this one do? As little as they can."""

from __future__ import annotations

import re
from pathlib import Path


def list_files(files: Path, path: str) -> str:
    """One path a line."""
    return "\n".join(sorted(f"{path}/{found.name}" for found in (files / path).iterdir()))


def read_file(files: Path, path: str) -> str:
    """Each line with its number."""
    lines = (files / path).read_text(encoding="utf-8").splitlines()
    return "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(lines, 1))


def search(files: Path, pattern: str) -> str:
    """Lines that match."""
    found = re.compile(pattern)
    return "\n".join(
        f"{path.name}:{line}"
        for path in sorted(files.rglob("*.md"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if found.search(line)
    )
