"""What of a command's output is kept, and how does it become text that is safe to show?"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ENDLESS = 50
"""A command that writes this many times what is kept is not read any further."""
_SEQUENCE = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|\x9b[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\\\|\x9c)?"  # OSC, DCS, ...: titles, links
    "|\x1b[ -/]*[0-~]?"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Output:
    """The first and the last half of what a command writes, however much it is."""

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        self.total += len(chunk)
        room = self._half - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[max(0, room) :]
        if len(self._tail) > 2 * self._half:  # not at every piece: each cut copies
            del self._tail[: -self._half]

    @property
    def truncated(self) -> bool:
        """Is something left out?"""
        return self.total > 2 * self._half

    @property
    def endless(self) -> bool:
        """Has it written so much that nobody will ever want it?"""
        return self.total > _ENDLESS * 2 * self._half

    def text(self, names: Mapping[str, str] | None = None) -> str:
        """What is kept, as plain text; each key of `names` (a host's path) becomes its value."""
        head = bytes(self._head).decode(errors="replace")
        tail = bytes(self._tail[-self._half :]).decode(errors="replace")
        if not self.truncated:  # decoded as one: a character may lie across both
            return renamed(plain(bytes(self._head + self._tail).decode(errors="replace")), names)
        left_out = self.total - 2 * self._half
        head, tail = (renamed(plain(part), names) for part in (head, tail))
        for path in names or ():
            head, tail = _without_end(head, path), _without_start(tail, path)
        return f"{head}\n[... {left_out:,} bytes left out ...]\n{tail}"


def plain(text: str) -> str:
    """Text without terminal sequences and control characters, lines ended by newlines."""
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return _CONTROL.sub("", text.replace("\r", "\n"))


def renamed(text: str, names: Mapping[str, str] | None) -> str:
    """Put the command's names in place of the host's, the longest first."""
    for path in sorted(names or {}, key=len, reverse=True):
        text = text.replace(path, (names or {})[path])
    return text


def _without_end(text: str, path: str) -> str:
    """Cut off the end of a text that is the beginning of `path`, whose rest was left out."""
    for size in range(min(len(path) - 1, len(text)), 1, -1):
        if text.endswith(path[:size]):
            return text[:-size]
    return text


def _without_start(text: str, path: str) -> str:
    for size in range(1, len(path) - 1):
        if text.startswith(path[size:]):
            return text[len(path) - size :]
    return text
