"""How does a run look while it goes on? A tree on a terminal, else lines or JSON, or nothing."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Generator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, TextIO

from crews.cli.output import json_line
from crews.plain import one_line
from crews.records.events import Event

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text
    from rich.tree import Tree

    from crews.cli.board import Board, Node


class Face(Protocol):
    """What watches a run."""

    def __enter__(self) -> Face: ...

    def __exit__(self, *_: object) -> None: ...

    def listen(self, event: Event) -> None:
        """Show one event."""
        ...

    def paused(self) -> AbstractContextManager[None]:
        """Leave the terminal to somebody else for a while."""
        ...


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def listen(self, event: Event) -> None:
        """Show one event."""

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Leave the terminal to somebody else for a while."""
        yield


class Lines(Silent):
    """One readable line for each event."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._since = time.time()

    def listen(self, event: Event) -> None:
        """Show one event."""
        if line := event_line(event, self._since):
            self._stream.write(line + "\n")
        self._stream.flush()


class JsonLines(Silent):
    """One JSON object for each event."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def listen(self, event: Event) -> None:
        """Show one event."""
        from crews.cli.shapes import event_shape

        self._stream.write(json_line(event_shape(event)) + "\n")
        self._stream.flush()


class Drawn(Silent):
    """A tree of agents that is drawn anew as events come in."""

    def __init__(self, board: Board, console: Console) -> None:
        from rich.live import Live

        self._board = board
        self._console = console
        self._live = Live(
            console=console,
            get_renderable=self._draw,
            refresh_per_second=8,
            transient=True,
        )

    def __enter__(self) -> Drawn:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._console.print(self._draw())

    def listen(self, event: Event) -> None:
        """Show one event."""
        self._board.note(event)

    @contextlib.contextmanager
    def paused(self) -> Generator[None]:
        """Leave the terminal to somebody else for a while."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start(refresh=True)

    def _draw(self) -> RenderableType:
        with self._board.lock:
            return tree(self._board)


def tree(board: Board) -> RenderableType:
    """The picture of a run for a terminal."""
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    top = Tree(Text.assemble((f"run {board.run} ", "bold"), board.goal), guide_style="dim")
    for node in board.below(None):
        _grow(top, node, board)
    lines = [_totals(board)]
    lines += [
        Text(f"review {one_line(key)} waits: {title}", style="yellow")
        for key, title in board.reviews.items()
    ]
    lines += [Text(board.notice, style="dim")] if board.notice else []
    return Group(top, *lines)


def _grow(tree: Tree, node: Node, board: Board) -> None:
    branch = tree.add(_label(node))
    for child in board.below(node.path):
        _grow(branch, child, board)


_MARKS = {
    "thinking": ("●", "cyan"), "working": ("●", "blue"), "waiting": ("◐", "yellow"),
    "done": ("✓", "green"), "failed": ("✗", "red"),
}  # fmt: skip


def _label(node: Node) -> Text:
    from rich.text import Text

    from crews.report.money import counted

    mark, style = _MARKS[node.state]
    used = f"{counted(node.turns, 'turn')}, {counted(node.tokens, 'token')}, {node.money}"
    return Text.assemble(
        (f"{mark} ", style), (node.agent, "bold"), f" {node.doing}  ", (used, "dim"),
        (f"  {node.task}", "dim italic"), no_wrap=True, overflow="ellipsis",
    )  # fmt: skip


def _totals(board: Board) -> Text:
    from rich.text import Text

    from crews.report.money import counted

    tokens = counted(board.tokens, "token")
    tokens += f" of {board.walls.tokens:,}" if board.walls.tokens else ""
    money = str(board.money)
    money += f" of ${board.walls.money}" if board.walls.money else ""
    return Text(f"{tokens}, {money}", style="bold")


def event_line(event: Event, since: float) -> str:
    """One event as a line for people; empty for what a reader can do without."""
    from crews.report.money import duration

    phrase = _phrase(event)
    if not phrase:
        return ""
    who = " ".join(p for p in (one_line(event.agent, 40), _place(event.thread)) if p)
    return f"{duration(event.at - since):>9}  {who or 'run ' + event.run:<18} {phrase}"


def _place(thread: str) -> str:
    """Where a delegation stands; the supervisor's own thread needs no place."""
    return one_line(thread.strip("/"), 40)


def _phrase(event: Event) -> str:
    text = one_line(event.text, 160)
    said = f": {text}" if text else ""
    match event.kind.partition("_")[0]:
        case "turn":
            return _turn(event, said)
        case "call":
            return _call(event, text)
        case "thread":
            return f"{'begins' if event.kind == 'thread_started' else 'hands over'}{said}"
        case "review":
            step = event.kind.removeprefix("review_")
            return f"review {one_line(event.review)} {step}{said}"
        case "run":
            step = event.state or event.kind.removeprefix("run_")
            return f"{one_line(step)}{said}"
        case _:
            return f"{event.kind.replace('_', ' ')}{said}"


def _turn(event: Event, said: str) -> str:
    if event.kind == "turn_started":
        return ""
    from crews.report.money import counted, of_turn

    spent = f"{counted(event.tokens, 'token')}, {of_turn(event.money)}"
    return f"answered ({spent}){said}"


def _call(event: Event, text: str) -> str:
    """A call when it starts, and its end if that was no success: a success shows in what comes next."""
    tool = one_line(event.tool)
    if event.kind == "call_started":
        return f"{tool} {text}".rstrip()
    return f"{tool} {event.state}: {text}" if event.state not in {"", "done"} else ""
