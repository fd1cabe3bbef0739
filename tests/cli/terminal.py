"""How does a test sit at a terminal? A real pseudo-terminal with a real process on it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

SECONDS = 30.0
"""How long a test waits for something to appear; generous, for several tests share few cores."""


class Terminal:
    """A process whose input and output are one terminal of 100 by 40 characters."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str] = {}) -> None:
        self._ours, theirs = pty.openpty()
        usual = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
        usual.pop("CI", None)
        usual.pop("NO_COLOR", None)
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**usual, **environment},
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""
        self._read_to = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def expect(self, text: str, seconds: float = SECONDS) -> str:
        """Wait until the text appears after what was expected before; returns everything up to it."""
        end = time.monotonic() + seconds
        while (found := self.text.find(text, self._read_to)) < 0:
            if not self._more(end - time.monotonic()):
                raise AssertionError(f"{text!r} did not appear in:\n{self.text}")
        before = self.text[self._read_to : found]
        self._read_to = found + len(text)
        return before

    def send(self, keys: str) -> None:
        """Press keys."""
        os.write(self._ours, keys.encode())

    def ended(self, seconds: float = SECONDS) -> int:
        """Wait for the end; returns the exit code."""
        end = time.monotonic() + seconds
        while self._more(end - time.monotonic()):
            pass
        return self.process.wait(max(0.1, end - time.monotonic()))

    def echoes(self) -> bool:
        """Does the terminal show what is typed, and take Ctrl-C for a signal?"""
        flags = termios.tcgetattr(self._ours)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ISIG)

    @property
    def text(self) -> str:
        """Everything that was written, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>]|\r", "", self.seen)

    def _more(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, seconds))
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the process is gone
            return False
        self.seen += data.decode("utf-8", "replace")
        return bool(data)
