"""Does a run look right while it goes on, drawn, as lines and as JSON?"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from inline_snapshot import snapshot
from rich.console import Console

from crews.cli.board import Board
from crews.cli.live import Drawn, JsonLines, Lines, tree
from crews.records.events import Event, EventKind
from crews.records.runs import get_run, list_threads
from crews.records.store import open_store
from tests.support.written import begun, worked


def event(kind: EventKind, **values: Any) -> Event:
    return Event(kind=kind, run="RUN", at=100.0, **values)


def drawn(board: Board) -> str:
    console = Console(file=io.StringIO(), width=100, markup=False, emoji=False, highlight=False)
    console.print(tree(board))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def a_board(folder: Path) -> Board:
    with open_store(f"sqlite:///{folder / 'crews.db'}") as store:
        board = Board(get_run(store, begun(store).id))
    board.run = "RUN"
    return board


DELEGATION = (
    event("thread_started", thread="/", agent="lead", text="Make it faster"),
    event("turn_started", thread="/", agent="lead", turn=0),
    event("turn_ended", thread="/", agent="lead", turn=0, tokens=1_000, money=2_000_000,
          run_tokens=1_000, run_money=2_000_000),
    event("call_started", thread="/", agent="lead", turn=0, place=0, tool="delegate"),
    event("thread_started", thread="/0.0", agent="coder", text="Change app.py"),
    event("turn_ended", thread="/0.0", agent="coder", turn=0, tokens=500, money=None,
          run_tokens=1_500, run_money=2_000_000),
    event("call_started", thread="/0.0", agent="coder", turn=0, place=0, tool="read_file"),
)  # fmt: skip


def test_a_delegation_stands_below_its_agent(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    for one in DELEGATION:
        board.note(one)
    assert "\n" + drawn(board) == snapshot("""\

run RUN Make it faster
└── ● lead delegate  1 turn, 1,000 tokens, $0.0020  Make it faster
    └── ● coder read_file  1 turn, 500 tokens, unknown  Change app.py
1,500 tokens of 50,000, $0.0020 + unknown of $2.00
""")


def test_what_waits_and_what_ended_is_seen(tmp_path: Path) -> None:
    board = a_board(tmp_path)
    opened = event("review_opened", thread="/0.0", agent="coder", review="RUN-1", text="Ship?")
    for one in (*DELEGATION, opened):
        board.note(one)
    assert "◐ coder" in drawn(board)
    assert "review RUN-1 waits: Ship?" in drawn(board)
    board.note(event("review_decided", thread="/0.0", agent="coder", review="RUN-1"))
    board.note(event("thread_ended", thread="/0.0", agent="coder", state="failed"))
    assert "✗ coder failed" in drawn(board)
    assert "waits" not in drawn(board)


def test_a_resumed_run_begins_with_what_it_has(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        run = worked(store)
        board = Board(get_run(store, run.id), list_threads(store, run.id))
    text = drawn(board)
    assert "✓ coder" in text
    assert "3,300 tokens of 50,000, $0.0030 + unknown of $2.00" in text


def test_nothing_in_an_event_acts_on_the_terminal(tmp_path: Path) -> None:
    evil = "\x1b[2J[bold]x[/bold]\u202e"
    board = a_board(tmp_path)
    board.note(event("thread_started", thread="/", agent=evil, text=evil))
    board.note(event("call_started", thread="/", agent=evil, turn=0, place=0, tool=evil))
    board.note(event("warning", text=evil))
    board.note(event("review_opened", thread="/", review=evil, text=evil))
    text = drawn(board)
    assert not set(text) & {"\x1b", "\u202e"}
    assert text.count("[bold]x[/bold]") >= 4
    out = io.StringIO()
    for kind in ("thread_started", "call_started", "review_opened", "warning", "run_ended"):
        Lines(out).listen(event(kind, thread=evil, agent=evil, tool=evil, review=evil, text=evil,
                                state=evil))  # fmt: skip
    assert not set(out.getvalue()) & {"\x1b", "\u202e"}


def test_one_line_an_event() -> None:
    out = io.StringIO()
    lines = Lines(out)
    lines._since = 88.0  # pyright: ignore[reportPrivateUsage]
    for one in (*DELEGATION, event("run_ended", state="completed")):
        lines.listen(one)
    assert "\n" + out.getvalue() == snapshot("""\

     12 s  lead               begins: Make it faster
     12 s  lead               answered (1,000 tokens, $0.0020)
     12 s  lead               delegate
     12 s  coder 0.0          begins: Change app.py
     12 s  coder 0.0          answered (500 tokens, unknown)
     12 s  coder 0.0          read_file
     12 s  run RUN            completed
""")


def test_one_object_an_event_with_the_first_turn_and_place() -> None:
    out = io.StringIO()
    for one in DELEGATION:
        JsonLines(out).listen(one)
    found = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {f["type"] for f in found} == {"event"}
    assert (found[2]["cost_usd"], found[2]["run_cost_usd"]) == (0.002, 0.002)
    assert found[3] == {
        "type": "event", "kind": "call_started", "run_id": "RUN", "at": "1970-01-01T00:01:40+00:00",
        "thread": "/", "agent": "lead", "turn": 0, "place": 0, "tool": "delegate",
    }  # fmt: skip
    assert found[5]["cost_usd"] is None


def test_the_tree_leaves_the_terminal_while_somebody_else_has_it(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with Drawn(a_board(tmp_path), console) as face, face.paused():
        before = len(out.getvalue())
        face.listen(event("warning", text="not now"))
        assert len(out.getvalue()) == before
    assert "not now" in out.getvalue()
