"""Is a look, of which only the agent learns, written down once and as a whole, and judged like any other call?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from crews.errors import Fenced
from crews.tools.base import NeedsReview, ToolContext, ToolError, ToolResult
from crews.tools.files import ReadFile
from tests.records import builders
from tests.tools.bench import Bench, Words, laid_out, probe, rule, ruled

WHOLE = ["verdict", "effect_started", "effect_ended"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


def test_its_beginning_and_its_end_are_one_step(bench: Bench) -> None:
    call = bench.propose("probe", text="x")
    seen: list[tuple[str, list[str]]] = []

    def look(args: Words, context: ToolContext) -> str:
        assert context.call == call.address
        seen.append((bench.now(call).state, bench.kinds()))
        return args.text

    row = bench.settle(call, probe(act=look, inner=True))
    assert seen == [("proposed", [])]
    assert (row.state, row.result, row.ruling) == ("done", "x", "allow")
    assert row.started_at is not None and row.ended_at is not None
    assert row.started_at <= row.ended_at
    assert bench.kinds() == WHOLE
    assert [state for state, _ in bench.told] == ["started", "done"]


def test_a_look_in_whose_middle_its_owner_died_is_made_again(bench: Bench) -> None:
    call, tool = bench.propose("read_file", path="a.txt"), ReadFile()

    async def killed(*_: object) -> ToolResult:
        raise KeyboardInterrupt

    with mock.patch.object(tool, "run", killed), pytest.raises(KeyboardInterrupt):
        bench.settle(call, tool)
    assert (bench.now(call).state, bench.kinds()) == ("proposed", [])
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, bench.kinds()) == ("done", "     1\tone", WHOLE)


def test_what_a_look_saw_is_not_kept_by_who_lost_the_run(bench: Bench) -> None:
    call = bench.propose("probe")

    def lose(args: Words, context: ToolContext) -> str:
        del args, context
        bench.taken_over()
        return "seen"

    with pytest.raises(Fenced):
        bench.settle(call, probe(act=lose, inner=True))
    after = bench.taken_over()
    assert (after.now(call).state, after.kinds()) == ("proposed", [])


def test_a_look_that_policy_denies_is_not_made(bench: Bench) -> None:
    tool, bench = probe(inner=True), ruled(bench, rule("deny"))
    row = bench.settle(bench.propose("probe"), tool)
    assert (row.state, tool.runs) == ("denied", [])


def test_a_look_that_policy_asks_about_waits(bench: Bench) -> None:
    tool, bench = probe(inner=True), ruled(bench, rule("ask"))
    call = bench.propose("probe", text="x")
    bench.decide(bench.waits(call, tool), "approve")
    assert tool.runs == []
    row = bench.settle(bench.now(call), tool)
    assert (row.state, row.result) == ("done", "x")


def test_a_look_that_fails_is_told(bench: Bench) -> None:
    def fail(args: Words, context: ToolContext) -> str:
        del args, context
        raise ToolError("there is no `b.txt`")

    row = bench.settle(bench.propose("probe"), probe(act=fail, inner=True))
    assert (row.state, row.is_error, row.result) == ("failed", True, "there is no `b.txt`")
    assert bench.kinds() == WHOLE


def test_a_look_that_asks_a_human_has_begun(bench: Bench) -> None:
    def ask(args: Words, context: ToolContext) -> str:
        raise NeedsReview(builders.question("question", address=context.call, title=args.text))

    tool, call = probe(act=ask, inner=True), bench.propose("probe", text="left or right?")
    review = bench.waits(call, tool)
    assert bench.kinds() == ["verdict", "effect_started", "review_opened"]
    bench.decide(review, "answer", answer="left")
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, len(tool.runs)) == ("done", "heard: left", 1)


def test_what_has_an_effect_is_no_look_whatever_it_says(bench: Bench) -> None:
    bench = replace(ruled(bench, rule("allow", "network")))
    call = bench.propose("probe")
    seen: list[str] = []

    def act(args: Words, context: ToolContext) -> str:
        del args, context
        seen.append(bench.now(call).state)
        return ""

    bench.settle(call, probe("network", act=act, inner=True))
    assert seen == ["started"]
