"""Does a call go on from wherever a dead owner left it, and is its result kept and shown as it should be?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crews.errors import Fenced, Waiting
from crews.records import audit, inbox
from crews.records.rows import CallRow
from crews.teams.spec import Effect
from crews.tools.base import (
    ToolContext,
    ToolResult,
)
from crews.tools.files import EditFile, ReadFile, WriteFile
from crews.tools.gate import AnyTool
from crews.tools.results import RESULT_LIMIT, ReadResult
from tests.tools.bench import SECRET, Bench, Probe, Words, laid_out, probe, rule, ruled, said


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


# -- after a crash --------------------------------------------------------------------------------


def interrupted(bench: Bench, call: CallRow, tool: AnyTool) -> CallRow:
    """Let the owner die in the middle of the call's effect."""

    class Died(BaseException):
        pass

    async def killed(self: Any, args: Any, context: Any) -> ToolResult:
        del self, args, context
        raise Died

    whole = type(tool).run
    type(tool).run = killed  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with pytest.raises(Died):
            bench.settle(call, tool)
    finally:
        type(tool).run = whole  # pyright: ignore[reportAttributeAccessIssue]
    row = bench.now(call)
    assert row.state == "started"
    return row


@pytest.mark.parametrize(("effect", "values"), [("read", {}), ("network", {"repeatable": True})])
def test_a_read_and_what_can_be_repeated_run_again(
    bench: Bench, effect: Effect, values: dict[str, Any]
) -> None:
    bench = ruled(bench, rule("allow", effect))
    tool = probe(effect, **values)
    row = interrupted(bench, bench.propose("probe", text="x"), tool)
    done = bench.taken_over().settle(row, tool)
    assert (done.state, done.result, tool.runs) == ("done", "x", [row.address])
    assert "effect_restarted" in bench.kinds()


def test_a_write_that_happened_is_not_done_twice(bench: Bench) -> None:
    tool = WriteFile()
    row = interrupted(bench, bench.propose("write_file", path="a.txt", content="two\n"), tool)
    bench.workspace.write_text("a.txt", "two\n")  # it had happened
    done = bench.taken_over().settle(row, tool)
    assert (done.state, done.is_error) == ("done", False)
    assert "interrupted" in done.result


def test_a_write_that_did_not_happen_is_done(bench: Bench) -> None:
    tool = WriteFile()
    row = interrupted(bench, bench.propose("write_file", path="a.txt", content="two\n"), tool)
    done = bench.taken_over().settle(row, tool)
    assert done.state == "done"
    assert bench.workspace.read_text("a.txt") == "two\n"


def test_a_write_that_left_something_else_is_unknown(bench: Bench) -> None:
    tool = EditFile()
    row = interrupted(bench, bench.propose("edit_file", path="a.txt", old="one", new="two"), tool)
    bench.workspace.write_text("a.txt", "tw")
    review = bench.taken_over().waits(row, tool)
    assert review.kind == "unknown"


def test_a_write_behind_a_link_is_unknown(bench: Bench) -> None:
    tool = EditFile()
    bench.workspace.write_text("d/a.txt", "one\n")
    row = interrupted(bench, bench.propose("edit_file", path="d/a.txt", old="one", new="two"), tool)
    (bench.workspace.root / "d").rename(bench.workspace.root / "e")
    (bench.workspace.root / "d").symlink_to("e")
    assert bench.taken_over().waits(row, tool).kind == "unknown"


@pytest.mark.parametrize("effect", ["execute", "network", "external"])
def test_whether_anything_else_happened_a_human_must_say(bench: Bench, effect: Effect) -> None:
    bench = ruled(bench, rule("allow", effect))
    tool = probe(effect)
    row = interrupted(bench, bench.propose("probe", text="pay"), tool)
    successor = bench.taken_over()
    review = successor.waits(row, tool)
    assert (review.kind, review.rule) == ("unknown", "unknown-outcome")
    assert review.about["arguments"] == {"text": "pay"}
    assert bench.now(row).state == "unknown"
    with pytest.raises(Waiting):
        bench.taken_over().settle(bench.now(row), tool)
    assert tool.runs == []
    assert len(inbox.list_reviews(bench.store)) == 1


@pytest.mark.parametrize(("answer", "runs"), [("done", 0), ("not done", 1)])
def test_it_goes_on_as_the_human_says(bench: Bench, answer: str, runs: int) -> None:
    bench = ruled(bench, rule("allow", "execute"))
    tool = probe("execute")
    row = interrupted(bench, bench.propose("probe", text="pay"), tool)
    successor = bench.taken_over()
    successor.decide(successor.waits(row, tool), "answer", answer=answer)
    done = successor.settle(bench.now(row), tool)
    assert (done.state, len(tool.runs)) == ("done", runs)
    assert ("confirmed" in done.result) == (answer == "done")


def test_whoever_lost_the_run_starts_nothing(bench: Bench) -> None:
    tool, call = probe(), bench.propose("probe")
    bench.taken_over()
    with pytest.raises(Fenced):
        bench.settle(call, tool)
    assert tool.runs == []


# -- results --------------------------------------------------------------------------------------


def test_a_long_result_is_clipped_and_can_be_read_on(bench: Bench) -> None:
    whole = "".join(f"{n}\n" for n in range(9000))
    long = bench.settle(bench.propose("probe", text=whole), probe())
    assert len(long.result) < RESULT_LIMIT + 100
    assert long.result.startswith(whole[:RESULT_LIMIT])
    assert f"read_result call=0.0 offset={RESULT_LIMIT}" in long.result
    assert long.whole_result == whole

    def lookup(thread: str, turn: int, place: int) -> str | None:
        found = bench.journal.call(thread, turn, place)
        return None if found is None else found.whole_result

    read = bench.propose("read_result", call="0.0", offset=RESULT_LIMIT)
    more = bench.settle(read, ReadResult(lookup))
    assert more.result.startswith(whole[RESULT_LIMIT : RESULT_LIMIT + 1000])


def test_a_short_result_is_kept_once(bench: Bench) -> None:
    row = bench.settle(bench.propose("probe", text="x" * RESULT_LIMIT), probe())
    assert row.whole_result is None


def test_secrets_go_neither_into_results_nor_into_the_audit_log(bench: Bench) -> None:
    tool = probe(act=lambda args, _: f"the password is {SECRET}")
    row = bench.settle(bench.propose("probe", text=SECRET), tool)
    assert row.result == "the password is [redacted:PASSWORD]"
    log = audit.entries(bench.store, bench.journal.run)
    assert not any(SECRET in e.body for e in log)
    assert not any(SECRET in text for _, text in bench.told)
    assert row.args == {"text": SECRET}  # the call itself is what was asked for


@pytest.mark.parametrize("text", ["name \udcff.txt", "half \ud83d", "nul \0 byte"])
def test_what_is_no_text_can_still_be_kept_and_shown(bench: Bench, text: str) -> None:
    row = bench.settle(bench.propose("probe"), probe(act=lambda args, _: text))
    assert row.state == "done"
    row.result.encode()
    assert row.result.startswith(text.partition(" ")[0])
    assert "\0" not in row.result


def test_two_agents_reads_run_at_once(bench: Bench) -> None:
    """The gate holds no lock of its own while a tool runs."""
    order: list[str] = []

    class Slow(Probe):
        name = "probe"
        effect = "read"

        async def run(self, args: Words, context: ToolContext) -> ToolResult:
            order.append(f"in {args.text}")
            await asyncio.sleep(0.02)
            order.append(f"out {args.text}")
            return ToolResult("")

    seat, gate = bench.seat(Slow(said)), bench.gate()
    calls = [bench.propose("probe", text=name) for name in ("a", "b")]

    async def both() -> None:
        await asyncio.gather(*(gate.settle(call, seat) for call in calls))

    asyncio.run(both())
    assert order == ["in a", "in b", "out a", "out b"]


def test_a_write_outside_what_the_agent_may_write_is_denied(bench: Bench) -> None:
    narrow = replace(bench, write_paths=("docs/**",))
    row = narrow.settle(bench.propose("write_file", path="a.txt", content="x"), WriteFile())
    assert row.state == "denied"
    assert bench.workspace.read_text("a.txt") == "one\n"
    assert narrow.settle(bench.propose("read_file", path="a.txt"), ReadFile()).state == "done"
