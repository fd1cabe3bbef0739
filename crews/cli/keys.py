"""Which key does the human press? Nothing that was typed earlier can count as an answer."""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import termios
from collections.abc import Callable, Generator

LEAVE = "leave"
"""Ctrl-C, Ctrl-D, Escape, the end of input, or `cancel`."""
OVER = "over"
"""What the key was to answer needs no answer any more."""
_LOOK = 1.0
"""Seconds between two looks at whether it is over."""
_ENTER, _ERASE, _KILL = frozenset("\r\n"), frozenset("\x7f\b"), "\x15"


class Keys:
    """A terminal's keys. After `cancel`, which any thread may call, who reads gets `LEAVE`."""

    def __init__(self, terminal: int = 0) -> None:
        self._terminal = terminal
        self._wake, self._waker = os.pipe()
        self._usual = termios.tcgetattr(terminal)

    def cancel(self) -> None:
        """Make every reader leave, now and from now on."""
        os.write(self._waker, b"x")

    def close(self) -> None:
        """Nobody reads any more."""
        os.close(self._wake)
        os.close(self._waker)

    @contextlib.contextmanager
    def raw(self) -> Generator[None]:
        """Keys come one by one, unseen, and Ctrl-C is a key; what was typed before is forgotten."""
        mode = termios.tcgetattr(self._terminal)
        mode[0] &= ~termios.IXON
        mode[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._terminal, termios.TCSAFLUSH, mode)
        try:
            yield
        finally:
            self._restore()

    @contextlib.contextmanager
    def cooked(self) -> Generator[None]:
        """Inside `raw`: the terminal as another program wants to find it."""
        before = termios.tcgetattr(self._terminal)
        self._restore()
        try:
            yield
        finally:
            termios.tcsetattr(self._terminal, termios.TCSAFLUSH, before)

    def forget(self) -> None:
        """Drop what was typed or pasted and not read yet."""
        termios.tcflush(self._terminal, termios.TCIFLUSH)

    def key(self, over: Callable[[], bool] = lambda: False) -> str:
        """The next key: a character, `LEAVE`, or `OVER`. Arrows and function keys are passed over."""
        while True:
            while not self._waiting(_LOOK):
                if over():
                    return OVER
            char = self._character()
            if char == "\x1b" and self._ready(0.05):
                self._skip_sequence()
                continue
            return LEAVE if char in {"", "\x03", "\x04", "\x1b"} else char

    def line(self, echo: Callable[[str], object]) -> str | None:
        """A line of text; None if the human left. `echo` shows what is typed."""
        typed = ""
        while (char := self.key()) != LEAVE:
            if char in _ENTER:
                self.forget()  # what was pasted behind the line's end
                echo("\n")
                return typed
            kept = _edited(typed, char)
            echo("\b \b" * (len(typed) - len(kept)) + kept[len(typed) :])
            typed = kept
        echo("\n")
        return None

    def _restore(self) -> None:
        termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._usual)

    def _ready(self, seconds: float | None) -> bool:
        found, _, _ = select.select([self._terminal], [], [], seconds)
        return bool(found)

    def _waiting(self, seconds: float) -> bool:
        """Is there a key to read, or the word to leave?"""
        found, _, _ = select.select([self._terminal, self._wake], [], [], seconds)
        return bool(found)

    def _skip_sequence(self) -> None:
        first = os.read(self._terminal, 1)
        if first not in {b"[", b"O"}:
            return
        while self._ready(0.05):
            if 0x40 <= os.read(self._terminal, 1)[0] <= 0x7E:
                return

    def _character(self) -> str:
        """One character; empty at the end of input."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            found, _, _ = select.select([self._terminal, self._wake], [], [])
            if self._wake in found:
                return ""
            try:
                data = os.read(self._terminal, 1)
            except OSError:  # the terminal is gone
                return ""
            if not data:
                return ""
            if char := decoder.decode(data):
                return char


def _edited(typed: str, char: str) -> str:
    if char in _ERASE:
        return typed[:-1]
    if char == _KILL:
        return ""
    return typed + char if char.isprintable() else typed
