"""Is a call that was refused again and again refused at once, and only that one?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crews.records.rows import CallRow
from crews.tools.base import ToolContext, ToolError
from crews.tools.judging import refusals
from tests.records import builders
from tests.tools.bench import Bench, Probe, Words, laid_out, probe, rule, ruled


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


def refuse(args: Words, context: ToolContext) -> str:
    del context
    if args.text == "fine":
        return "done"
    raise ToolError("not like that")


def again(bench: Bench, tool: Probe, count: int = 1, **arguments: Any) -> CallRow:
    """Make the same call so many times; the last one."""
    rows = [bench.settle(bench.propose("probe", **arguments), tool) for _ in range(count)]
    return rows[-1]


def test_the_fourth_time_nobody_looks(bench: Bench) -> None:
    tool = probe(act=refuse)
    assert again(bench, tool, 3, text="x").result == "not like that"
    row = again(bench, tool, text="x")
    assert (row.state, row.rule, row.ruling) == ("denied", "repeated", "deny")
    assert "refused 3 times in a row" in row.result
    assert "refused 4 times in a row" in again(bench, tool, text="x").result
    assert len(tool.runs) == 3


def test_a_denial_counts_as_a_failure_does(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("deny")), probe()
    again(bench, tool, 3, text="x")
    assert again(bench, tool, text="x").rule == "repeated"


def test_a_human_is_not_asked_a_fourth_time(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("ask")), probe()
    for _ in range(3):
        call = bench.propose("probe", text="x")
        bench.decide(bench.waits(call, tool), "reject", answer="no")
        bench.settle(bench.now(call), tool)
    assert again(bench, tool, text="x").rule == "repeated"


@pytest.mark.parametrize("between", [{"text": "fine"}, {"text": "y"}, {"text": "x", "times": 2}])
def test_any_other_call_begins_the_count_anew(bench: Bench, between: dict[str, Any]) -> None:
    """It may have changed what the refusal was about."""
    tool = probe(act=refuse)
    again(bench, tool, 3, text="x")
    again(bench, tool, **between)
    assert again(bench, tool, text="x").result == "not like that"


def test_what_works_is_never_refused(bench: Bench) -> None:
    assert again(bench, probe(act=refuse), 6, text="fine").result == "done"


def test_another_thread_s_refusals_do_not_count(bench: Bench) -> None:
    again(bench, probe(act=refuse), 3, text="x")
    builders.thread(bench.journal, "/0.0")
    other = builders.call(bench.journal, "/0.0", tool="probe", arguments='{"text": "x"}')
    bench.journal.record_turn(builders.turn(bench.journal, "/0.0"), [other])
    assert refusals(bench.journal, other) == 0


def test_calls_of_one_turn_count_in_their_order(bench: Bench) -> None:
    values: dict[str, Any] = {"tool": "probe", "arguments": '{"text":"x"}'}
    calls = [builders.call(bench.journal, place=n, state="failed", **values) for n in range(4)]
    bench.journal.record_turn(builders.turn(bench.journal), calls)
    assert [refusals(bench.journal, call) for call in calls] == [0, 1, 2, 3]


def test_what_a_limit_kept_back_was_never_looked_at(bench: Bench) -> None:
    """Once the limit has been extended the call is worth a look."""
    values: dict[str, Any] = {"tool": "probe", "arguments": '{"text":"x"}', "rule": "limit"}
    calls = [builders.call(bench.journal, place=n, state="denied", **values) for n in range(4)]
    bench.journal.record_turn(builders.turn(bench.journal), calls)
    assert again(bench, probe(), text="x").state == "done"
