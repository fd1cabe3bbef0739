"""Does a process that may have lost its run, or is to end, leave every call for its next owner to begin?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crews.errors import Fenced, Waiting
from crews.records import inbox
from crews.records.rows import CallRow
from crews.teams.spec import Effect
from crews.tools.base import NeedsReview, ToolContext
from tests.records import builders
from tests.tools.bench import Bench, Words, laid_out, probe, rule, ruled

EFFECTS: tuple[Effect, ...] = ("execute", "network", "external")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


def no() -> bool:
    return False


def yes() -> bool:
    return True


def asks_itself(args: Words, context: ToolContext) -> str:
    del args
    raise NeedsReview(builders.question("question", address=context.call))


# -- a lease that cannot be proved ----------------------------------------------------------------


@pytest.mark.parametrize("effect", EFFECTS)
def test_without_a_lease_no_effect_begins(bench: Bench, effect: Effect) -> None:
    bench, tool = ruled(bench, rule("allow", effect)), probe(effect)
    call = bench.propose("probe")
    with pytest.raises(Fenced):
        replace(bench, may_act=no).settle(call, tool)
    assert (bench.now(call).state, tool.runs) == ("proposed", [])
    assert bench.taken_over().settle(bench.now(call), tool).state == "done"


def test_a_read_does_no_harm_without_a_lease(bench: Bench) -> None:
    tool = probe()
    assert replace(bench, may_act=no).settle(bench.propose("probe"), tool).state == "done"


def test_the_lease_is_asked_for_right_before_the_effect(bench: Bench) -> None:
    """A process that is stopped after it wrote `started` wakes up, and does nothing."""
    bench, tool = ruled(bench, rule("allow", "external")), probe("external")
    call = bench.propose("probe")

    def slept() -> bool:
        return bench.now(call).state != "started"

    with pytest.raises(Fenced):
        replace(bench, may_act=slept).settle(call, tool)
    assert (bench.now(call).state, tool.runs) == ("started", [])
    assert bench.taken_over().waits(bench.now(call), tool).kind == "unknown"


def test_an_approved_effect_needs_the_lease_too(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("ask", "external")), probe("external")
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "approve")
    with pytest.raises(Fenced):
        replace(bench, may_act=no).settle(bench.now(call), tool)
    assert (bench.now(call).state, tool.runs) == ("waiting", [])
    assert bench.settle(bench.now(call), tool).state == "done"


def test_so_does_what_a_tool_does_with_an_answer(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("allow", "external")), probe("external", asks_itself)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "answer", answer="yes")
    with pytest.raises(Fenced):
        replace(bench, may_act=no).settle(bench.now(call), tool)
    assert tool.decisions == []
    assert bench.settle(bench.now(call), tool).result == "heard: yes"


# -- a process that is to end ---------------------------------------------------------------------


def left(bench: Bench, call: CallRow, state: str) -> None:
    with pytest.raises(Waiting):
        replace(bench, draining=yes).settle(bench.now(call), probe())
    assert bench.now(call).state == state


def test_what_has_not_begun_is_left_to_the_next_process(bench: Bench) -> None:
    call = bench.propose("probe", text="x")
    left(bench, call, "proposed")
    assert bench.kinds() == []
    assert bench.taken_over().settle(bench.now(call), probe()).result == "x"


def test_so_is_what_was_approved_meanwhile(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("ask")), probe()
    call = bench.propose("probe", text="x")
    bench.decide(bench.waits(call, tool), "approve")
    left(bench, call, "waiting")
    assert bench.taken_over().settle(bench.now(call), tool).result == "x"


def test_so_is_what_a_dead_process_had_begun(bench: Bench) -> None:
    call = bench.propose("probe", text="x")
    tool = probe()
    bench.dies_in(call, tool)
    successor = bench.taken_over()
    left(successor, call, "started")
    assert bench.kinds() == ["verdict", "effect_started"]
    assert successor.settle(bench.now(call), tool).result == "x"


def test_what_has_begun_goes_on_to_its_end(bench: Bench) -> None:
    ending: list[str] = []

    def act(args: Words, context: ToolContext) -> str:
        del context
        ending.append("now")
        return args.text

    tool, call = probe(act=act), bench.propose("probe", text="x")
    row = replace(bench, draining=lambda: bool(ending)).settle(call, tool)
    assert (row.state, row.result) == ("done", "x")


def test_nobody_is_asked_by_a_process_that_ends(bench: Bench) -> None:
    bench = ruled(bench, rule("ask"))
    left(bench, bench.propose("probe"), "proposed")
    assert inbox.list_reviews(bench.store, state=None) == ()
