"""Does a call go on from wherever a dead owner left it, and is its result kept and shown as it should be?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crews.errors import Fenced, StopRun, Waiting
from crews.records import audit, inbox
from crews.records.questions import ReviewRow
from crews.teams.spec import Effect
from crews.tools.base import NeedsReview, ToolContext, ToolResult
from crews.tools.files import EditFile, ReadFile, WriteFile
from crews.tools.results import RESULT_LIMIT, ReadResult
from crews.tools.seat import idempotency_key
from tests.records import builders
from tests.tools.bench import SECRET, Bench, Probe, Words, laid_out, probe, rule, ruled, said


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


# -- after a crash --------------------------------------------------------------------------------


@pytest.mark.parametrize(("effect", "values"), [("read", {}), ("network", {"repeatable": True})])
def test_a_read_and_what_can_be_repeated_run_again(
    bench: Bench, effect: Effect, values: dict[str, Any]
) -> None:
    bench = ruled(bench, rule("allow", effect))
    tool = probe(effect, **values)
    row = bench.dies_in(bench.propose("probe", text="x"), tool)
    done = bench.taken_over().settle(row, tool)
    assert (done.state, done.result, tool.runs) == ("done", "x", [row.address])
    assert "effect_restarted" in bench.kinds()


def test_a_write_that_happened_is_not_done_twice(bench: Bench) -> None:
    tool = WriteFile()
    row = bench.dies_in(bench.propose("write_file", path="a.txt", content="two\n"), tool)
    bench.workspace.write_text("a.txt", "two\n")  # it had happened
    done = bench.taken_over().settle(row, tool)
    assert (done.state, done.is_error) == ("done", False)
    assert "interrupted" in done.result


def test_a_write_that_did_not_happen_is_done(bench: Bench) -> None:
    tool = WriteFile()
    row = bench.dies_in(bench.propose("write_file", path="a.txt", content="two\n"), tool)
    done = bench.taken_over().settle(row, tool)
    assert done.state == "done"
    assert bench.workspace.read_text("a.txt") == "two\n"


def test_a_write_that_left_something_else_is_unknown(bench: Bench) -> None:
    tool = EditFile()
    row = bench.dies_in(bench.propose("edit_file", path="a.txt", old="one", new="two"), tool)
    bench.workspace.write_text("a.txt", "tw")
    review = bench.taken_over().waits(row, tool)
    assert review.kind == "unknown"


def test_a_write_behind_a_link_is_unknown(bench: Bench) -> None:
    tool = EditFile()
    bench.workspace.write_text("d/a.txt", "one\n")
    row = bench.dies_in(bench.propose("edit_file", path="d/a.txt", old="one", new="two"), tool)
    (bench.workspace.root / "d").rename(bench.workspace.root / "e")
    (bench.workspace.root / "d").symlink_to("e")
    assert bench.taken_over().waits(row, tool).kind == "unknown"


@pytest.mark.parametrize("effect", ["execute", "network", "external"])
def test_whether_anything_else_happened_a_human_must_say(bench: Bench, effect: Effect) -> None:
    bench = ruled(bench, rule("allow", effect))
    tool = probe(effect)
    row = bench.dies_in(bench.propose("probe", text="pay"), tool)
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
    row = bench.dies_in(bench.propose("probe", text="pay"), tool)
    successor = bench.taken_over()
    successor.decide(successor.waits(row, tool), "answer", answer=answer)
    done = successor.settle(bench.now(row), tool)
    assert (done.state, len(tool.runs)) == ("done", runs)
    assert ("confirmed" in done.result) == (answer == "done")


@pytest.mark.parametrize("after", [False, True])
def test_a_keyed_call_is_made_again_under_its_key(bench: Bench, after: bool) -> None:
    keys: list[str] = []

    def pay(args: Words, context: ToolContext) -> str:
        keys.append(context.key)
        return args.text

    bench = ruled(bench, rule("allow", "external"))
    tool = probe("external", pay, keyed=True)
    first = bench.propose("probe", text="pay")
    row = bench.dies_in(first, tool, after=after)
    successor = bench.taken_over()
    again = successor.dies_in(row, tool, after=after)
    done = bench.taken_over().settle(again, tool)
    assert (done.state, done.result, done.review) == ("done", "pay", "")
    assert keys == [idempotency_key(first)] * (3 if after else 1)
    started = [e.body for e in audit.entries(bench.store, first.run) if e.kind == "effect_started"]
    assert [json.loads(body)["key"] for body in started] == keys[:1]


def test_every_call_has_a_key_of_its_own(bench: Bench) -> None:
    row = builders.call(bench.journal)
    others = [
        replace(row, run="another"), replace(row, path="/0.0"), replace(row, turn=1),
        replace(row, place=1), replace(row, turn=11), replace(row, turn=1, place=1),
    ]  # fmt: skip
    keys = {idempotency_key(r) for r in (row, *others)}
    assert len(keys) == 7
    assert all(len(key) == 64 for key in keys)
    # What a call is asked to do, and how it stands, changes nothing.
    assert idempotency_key(replace(row, arguments="{}", epoch=9, use_id="u")) in keys


def test_what_can_be_repeated_is_not_where_a_write_was_overtaken(bench: Bench) -> None:
    class Again(EditFile):
        repeatable = True
        keyed = True

    tool = Again()
    call = bench.propose("edit_file", path="a.txt", old="one", new="two")
    row = bench.dies_in(call, tool)
    bench.workspace.write_text("a.txt", "tw")
    assert bench.taken_over().waits(row, tool).kind == "unknown"


def test_the_question_shows_what_was_really_about_to_happen(bench: Bench) -> None:
    """With the arguments that a human wrote, and on what they act."""
    bench = ruled(bench, rule("ask", "external", role="ops"), rule("ask", "external"))
    tool = probe("external")
    call = bench.propose("probe", text="deploy")
    bench.decide(bench.waits(call, tool), "edit", edit={"text": "deploy --canary"})
    row = bench.dies_in(bench.now(call), tool)
    review = bench.taken_over().waits(row, tool)
    assert "deploy --canary" in review.title
    about = review.about
    assert about["arguments"] == {"text": "deploy --canary"}
    assert (about["command"], about["effect"]) == ("deploy --canary", "external")
    assert about["started_at"] == row.started_at
    # `not done` lets it happen: whoever had to be asked before has to be asked now.
    assert review.role == "ops"
    assert about["rules"] == ["unknown-outcome", "ask-it", "ask-it", "default-external"]


def test_a_question_can_be_asked_of_a_tool_that_is_gone(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("allow", "external")), probe("external")
    row = bench.dies_in(bench.propose("probe", text="pay"), tool)
    successor = bench.taken_over()
    review = successor.waits(row)
    assert review.about["arguments"] == {"text": "pay"}
    successor.decide(review, "answer", answer="not done")
    ended = successor.settle(bench.now(row))
    assert (ended.state, tool.runs) == ("denied", [])


def test_stop_ends_the_run_where_nobody_knows(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("allow", "external")), probe("external")
    row = bench.dies_in(bench.propose("probe", text="pay"), tool)
    successor = bench.taken_over()
    successor.decide(successor.waits(row, tool), "stop")
    with pytest.raises(StopRun):
        successor.settle(bench.now(row), tool)
    assert tool.runs == []


def test_interrupted_again_a_human_is_asked_again(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("allow", "external")), probe("external")
    row = bench.dies_in(bench.propose("probe", text="pay"), tool)
    second = bench.taken_over()
    first = second.waits(row, tool)
    second.decide(first, "answer", answer="not done")
    row = second.dies_in(bench.now(row), tool, after=True)
    third = bench.taken_over()
    review = third.waits(row, tool)
    assert review.id != first.id
    third.decide(review, "answer", answer="done")
    assert third.settle(bench.now(row), tool).state == "done"
    assert len(tool.runs) == 1


def test_what_a_tool_does_with_an_answer_happens_once(bench: Bench) -> None:
    """An effect that follows a tool's own question is an effect as any other."""

    class Died(BaseException):
        pass

    class Sends(Probe):
        name = "probe"
        effect = "external"

        async def run(self, args: Words, context: ToolContext) -> ToolResult:
            raise NeedsReview(builders.question("question", address=context.call))

        async def decided(self, args: Words, context: ToolContext, review: ReviewRow) -> ToolResult:
            self.decisions.append(review.answer)
            raise Died

    bench, tool = ruled(bench, rule("allow", "external")), Sends(said)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "answer", answer="to bob")
    with pytest.raises(Died):
        bench.settle(bench.now(call), tool)
    assert bench.now(call).state == "started"
    assert bench.taken_over().waits(bench.now(call), tool).kind == "unknown"
    assert tool.decisions == ["to bob"]


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
