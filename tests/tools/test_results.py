"""Can a model read on where a result was clipped, in its own thread alone?"""

from __future__ import annotations

import asyncio

import pytest

from crews.records.rows import CallRow
from crews.safety.bounds import LARGEST_RESULT
from crews.safety.redact import Redactor
from crews.tools.base import ToolContext, ToolError
from crews.tools.copying import make_workspace
from crews.tools.results import (
    PIECE,
    RESULT_LIMIT,
    ReadResult,
    ReadResultArgs,
    clip,
    plain,
    shortened,
)

WHOLE = "".join(f"{n:07},\n" for n in range(4000))
KEPT = {("/1.0", 3, 2): WHOLE, ("/1.0", 4, 0): "short"}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ToolContext:
    workspace = make_workspace(None, tmp_path_factory.mktemp("run") / "r", 10)
    return ToolContext(
        workspace=workspace, sandbox=None, agent="ann", thread="/1.0", call="/1.0:5.0"
    )


def read(context: ToolContext, call: str, offset: int = 0) -> str:
    def lookup(thread: str, turn: int, place: int) -> str | None:
        return KEPT.get((thread, turn, place))

    args = ReadResultArgs(call=call, offset=offset)
    return asyncio.run(ReadResult(lookup).run(args, context)).text


def test_the_pieces_together_are_the_whole(context: ToolContext) -> None:
    offset, pieces = 0, list[str]()
    while True:
        piece, _, more = read(context, "3.2", offset).partition("\n[")
        pieces.append(piece)
        if not more:
            break
        left, _, rest = more.partition(" more characters: offset=")
        offset = int(rest.rstrip("]"))
        assert len("".join(pieces)) == offset
        assert int(left) == len(WHOLE) - offset
    assert "".join(pieces) == WHOLE
    assert max(map(len, pieces)) == PIECE


def test_a_result_that_was_not_clipped_can_be_read_too(context: ToolContext) -> None:
    assert read(context, "4.0") == "short"
    assert read(context, "4.0", 2) == "ort"


def test_beyond_the_end_there_is_nothing(context: ToolContext) -> None:
    assert read(context, "4.0", 5) == "[nothing there]"
    assert read(context, "3.2", 10**9) == "[nothing there]"


@pytest.mark.parametrize("call", ["", "3", "3.", "a.b", "-1.0", "²·1", "².0", "/1.0:3.2"])
def test_what_is_no_call_is_explained(context: ToolContext, call: str) -> None:
    with pytest.raises(ToolError, match=r"TURN\.INDEX"):
        read(context, call)


def test_other_calls_and_other_threads_are_not_there(context: ToolContext) -> None:
    with pytest.raises(ToolError, match=r"no call 9\.0"):
        read(context, "9.0")


def test_a_result_is_clipped_at_the_limit_and_says_how_to_read_on() -> None:
    call = _call(7, 1)
    assert clip("x" * RESULT_LIMIT, call) == ("x" * RESULT_LIMIT, None)
    shown, whole = clip("x" * (RESULT_LIMIT + 1), call)
    assert whole == "x" * (RESULT_LIMIT + 1)
    assert shown.endswith(f"\n[1 more characters: read_result call=7.1 offset={RESULT_LIMIT}]")
    assert shown.startswith("x" * RESULT_LIMIT + "\n")


def test_text_that_cannot_be_kept_is_escaped_and_all_other_is_left() -> None:
    assert plain("né – 語 \t\n") == "né – 語 \t\n"
    assert plain("a\udcffb\0c\ud83d") == "a\\udcffb\\x00c\\ud83d"


def _call(turn: int, place: int) -> CallRow:
    return CallRow(
        run="r", path="/1.0", turn=turn, place=place, use_id="u", tool="t", arguments="{}",
        effect="read", ruling="", rule="", reason="", findings="[]", state="started", result="",
        whole_result=None, is_error=False, review="", epoch=1, expected="", started_at=None,
        ended_at=None,
    )  # fmt: skip


def test_a_result_without_end_is_cleaned_and_cut() -> None:
    secret = "kX93-Lq0_zzT"
    text = "a" * (LARGEST_RESULT - 5) + secret + "b" * 5_000_000

    kept = shortened(text, Redactor({"A": secret}).known)

    assert secret[:6] not in kept
    assert len(kept) < LARGEST_RESULT + 100
    assert kept.endswith("more characters were not kept: ask for less at a time]")
    assert shortened("short", str) == "short"
