"""Where may a symbolic link lead?"""

from __future__ import annotations

from crews.tools.paths import is_usable


def stays_inside(path: str, target: str) -> bool:
    """Does a link at `path` with this target stay beneath the root, judged by its text alone?"""
    if target.startswith("/") or not is_usable(target):
        return False
    depth = path.count("/")
    for part in target.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return False
    return True
