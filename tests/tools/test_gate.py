"""Does a call happen only where it may, exactly once, and from wherever a dead owner left it?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from crews.errors import Fenced, ModelAuthError, StopRun, TapeMismatch, Waiting
from crews.records import audit, inbox
from crews.records.inbox import Question
from crews.records.journal import Journal
from crews.records.rows import CallRow, Decision, ReviewRow
from crews.records.runs import claim
from crews.records.store import Store, open_store
from crews.safety.action import Standing
from crews.safety.redact import Redactor
from crews.teams.spec import Effect, Match, PolicySpec, Rule, Ruling
from crews.tools.base import (
    Args,
    NeedsReview,
    Preview,
    Tool,
    ToolContext,
    ToolError,
    ToolResult,
)
from crews.tools.copying import make_workspace
from crews.tools.files import EditFile, ReadFile, WriteFile
from crews.tools.gate import AnyTool, Gate, Seat
from crews.tools.results import RESULT_LIMIT, ReadResult
from crews.tools.workspace import Workspace
from tests.records import builders

SECRET = "wr0ng-h0rse-battery"


class Words(Args):
    """What the tools of these tests take."""

    text: str = ""
    times: int = 1


Act = Callable[[Words, ToolContext], str]


class Probe(Tool[Words]):
    """A tool that does what the test says, and counts."""

    args = Words
    description = "for tests"

    def __init__(self, act: Act, changes: str = "") -> None:
        self._act = act
        self._command = changes
        self.runs: list[str] = []
        self.decisions: list[str] = []

    def preview(self, args: Words, context: ToolContext) -> Preview:
        """The text, as a command."""
        del context
        if args.text == "impossible":
            raise ToolError("that can never work")
        if args.text == "unclear":
            raise RuntimeError("no idea")
        return Preview(command=args.text)

    async def run(self, args: Words, context: ToolContext) -> ToolResult:
        """Count, then act."""
        self.runs.append(context.call)
        await asyncio.sleep(0)
        return ToolResult(self._act(args, context))

    async def decided(self, args: Words, context: ToolContext, review: ReviewRow) -> ToolResult:
        """Go on with what the human said."""
        del args, context
        self.decisions.append(review.decision)
        if review.answer == "again":
            raise NeedsReview(builders.question("question", address=review.address))
        return ToolResult(f"heard: {review.answer}")


def said(args: Words, context: ToolContext) -> str:
    del context
    return args.text


def probe(effect: Effect = "read", act: Act = said, **values: Any) -> Probe:
    """A tool `probe` of that effect; `values` are its class variables."""
    kind = type("OneProbe", (Probe,), {"name": "probe", "effect": effect, **values})
    return kind(act)


def rule(ruling: Ruling, effect: Effect = "read", **rest: Any) -> Rule:
    return Rule(
        name=f"{ruling}-it", when=Match(effect=(effect,)), ruling=ruling, reason="so", **rest
    )


@dataclass(slots=True)
class Bench:
    """A gate over a real journal and a real workspace."""

    store: Store
    journal: Journal
    workspace: Workspace
    policy: PolicySpec = PolicySpec()
    team_hash: str = "team"
    write_paths: tuple[str, ...] = ("**",)
    autonomy: int = 2
    told: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def gate(self) -> Gate:
        async def open_review(question: Question, call: dict[str, Any]) -> ReviewRow:
            return inbox.open_review(self.journal, question, **call)

        def on_call(call: CallRow, agent: str, text: str) -> None:
            self.told.append((call.state, text))
            assert agent == "ann"

        return Gate(
            journal=self.journal,
            policy=self.policy,
            team_hash=self.team_hash,
            redactor=Redactor({"PASSWORD": SECRET}),
            open_review=open_review,
            on_call=on_call,
        )

    def seat(self, *tools: AnyTool) -> Seat:
        granted = {t.name: t for t in tools}

        def standing() -> Standing:
            return Standing(
                autonomy=self.autonomy,
                granted_tools=frozenset(granted),
                write_paths=self.write_paths,
                sandbox="bubblewrap",
            )

        context = ToolContext(
            workspace=self.workspace, sandbox=None, agent="ann", thread="/", call=""
        )
        return Seat("ann", "worker", granted, standing, context)

    def propose(self, tool: str, /, **arguments: Any) -> CallRow:
        """Record a turn with this one call."""
        number = len(self.journal.turns("/"))
        call = builders.call(
            self.journal, turn=number, tool=tool, arguments=json.dumps(arguments), effect="write"
        )
        self.journal.record_turn(builders.turn(self.journal, number=number), [call])
        return call

    def settle(self, call: CallRow, *tools: AnyTool) -> CallRow:
        """Take the call to its end; what is returned is what is in the journal."""
        row = asyncio.run(self.gate().settle(call, self.seat(*tools)))
        assert row == self.now(call)
        return row

    def waits(self, call: CallRow, *tools: AnyTool) -> ReviewRow:
        """The review for which the call waits."""
        with pytest.raises(Waiting):
            self.settle(call, *tools)
        row = self.now(call)
        review = inbox.get_review(self.store, row.review)
        assert review.state == "open"
        assert review.address == call.address
        return review

    def decide(self, review: ReviewRow, decision: Decision, **more: Any) -> None:
        inbox.decide(self.store, review.id, decision, by="eve", **more)

    def now(self, call: CallRow) -> CallRow:
        row = self.journal.call(call.path, call.turn, call.place)
        assert row is not None
        return row

    def taken_over(self) -> Bench:
        """The same run in the hands of the next owner."""
        run = self.journal.run
        journal = Journal(self.store, run, claim(self.store, run))
        return Bench(self.store, journal, self.workspace, self.policy)

    def kinds(self) -> list[str]:
        """What the audit log says of calls, oldest first."""
        rows = audit.entries(self.store, self.journal.run)
        return [r.kind for r in rows if '"call"' in r.body or r.kind.startswith("review")]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("one\n", encoding="utf-8")
    workspace = make_workspace(source, tmp_path / "run", 10)
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        journal = builders.owned(store)
        builders.thread(journal)
        yield Bench(store, journal, workspace)


def ruled(bench: Bench, *rules: Rule) -> Bench:
    return replace(bench, policy=PolicySpec(rules=rules))


# -- allow, deny, and what cannot be judged -------------------------------------------------------


def test_what_is_allowed_runs_once_and_every_step_is_on_record(bench: Bench) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe", text="hello"), tool)
    assert (row.state, row.result, row.is_error, row.ruling) == ("done", "hello", False, "allow")
    assert tool.runs == [row.address]
    assert row.started_at is not None and row.ended_at is not None
    assert bench.kinds() == ["verdict", "effect_started", "effect_ended"]
    assert [s for s, _ in bench.told] == ["started", "done"]


def test_a_finished_call_is_not_touched_again(bench: Bench) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe"), tool)
    assert bench.settle(row, tool) == row
    assert bench.taken_over().settle(row, tool) == row
    assert len(tool.runs) == 1


def test_started_is_committed_before_the_effect(bench: Bench) -> None:
    call = bench.propose("probe")
    seen: list[str] = []

    def look(args: Words, context: ToolContext) -> str:
        del args, context
        seen.append(bench.now(call).state)
        return ""

    bench.settle(call, probe(act=look))
    assert seen == ["started"]


def test_what_policy_denies_does_not_run(bench: Bench) -> None:
    tool = probe()
    row = ruled(bench, rule("deny")).settle(bench.propose("probe"), tool)
    assert (row.state, row.ruling, row.rule, row.is_error) == ("denied", "deny", "deny-it", True)
    assert "deny-it" in row.result
    assert tool.runs == []
    assert bench.kinds() == ["verdict", "refused"]


def test_a_tool_that_was_not_granted_does_not_exist(bench: Bench) -> None:
    row = bench.settle(bench.propose("other"), probe())
    assert (row.state, row.rule) == ("denied", "not-granted")
    assert "Yours are: probe" in row.result


@pytest.mark.parametrize(
    ("arguments", "place"),
    [({"text": 5}, "text"), ({"words": "x"}, "words"), ({"times": "often"}, "times")],
)
def test_arguments_that_are_not_right_are_explained(
    bench: Bench, arguments: dict[str, Any], place: str
) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe", **arguments), tool)
    assert row.state == "failed"
    assert f"- {place}: " in row.result
    assert tool.runs == []


def test_what_can_never_work_is_not_even_asked_about(bench: Bench) -> None:
    row = ruled(bench, rule("ask")).settle(bench.propose("probe", text="impossible"), probe())
    assert (row.state, row.result) == ("failed", "that can never work")


def test_what_cannot_be_known_beforehand_is_denied(bench: Bench) -> None:
    tool = probe()
    row = bench.settle(bench.propose("probe", text="unclear"), tool)
    assert (row.state, tool.runs) == ("denied", [])


def test_an_error_of_the_judge_is_a_denial(bench: Bench) -> None:
    tool = probe()
    call = bench.propose("probe")

    def standing() -> Standing:
        raise LookupError("the run's row is gone")

    seat = replace(bench.seat(tool), standing=standing)
    row = asyncio.run(bench.gate().settle(call, seat))
    assert (row.state, row.rule, tool.runs) == ("denied", "judge-error", [])


def test_a_tool_that_breaks_is_told_to_the_model(bench: Bench) -> None:
    def fail(args: Words, context: ToolContext) -> str:
        del context
        raise ToolError("not there") if args.text == "kindly" else ZeroDivisionError("oh")

    kindly = bench.settle(bench.propose("probe", text="kindly"), probe(act=fail))
    assert (kindly.state, kindly.result, kindly.is_error) == ("failed", "not there", True)
    badly = bench.settle(bench.propose("probe", text="badly"), probe(act=fail))
    assert (badly.state, badly.result) == ("failed", "The tool broke: ZeroDivisionError: oh")


@pytest.mark.parametrize("error", [ModelAuthError("no key"), TapeMismatch("another request")])
def test_what_no_agent_can_act_on_stops_the_run_and_the_call_keeps_its_place(
    bench: Bench, error: Exception
) -> None:
    """A delegation is a call too: its model's refused key is nothing to tell the supervisor."""
    broken: list[Exception] = [error]

    def work(args: Words, context: ToolContext) -> str:
        del args, context
        if broken:
            raise broken.pop()
        return "handed over"

    tool, call = probe(act=work), bench.propose("probe")
    with pytest.raises(type(error)):
        bench.settle(call, tool)
    assert bench.now(call).state == "started"
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, len(tool.runs)) == ("done", "handed over", 2)


# -- asking ---------------------------------------------------------------------------------------


def asking(bench: Bench) -> Bench:
    return ruled(bench, rule("ask"))


def test_what_policy_asks_about_waits_without_running(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ship")
    review = bench.waits(call, tool)
    assert (review.kind, review.rule, review.agent) == ("action", "ask-it", "ann")
    assert review.about["command"] == "ship"
    row = bench.now(call)
    assert (row.state, row.ruling) == ("waiting", "ask")
    with pytest.raises(Waiting):
        bench.taken_over().settle(row, tool)
    assert tool.runs == []
    assert len(inbox.list_reviews(bench.store, state=None)) == 1


def test_approved_it_runs(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ship")
    bench.decide(bench.waits(call, tool), "approve")
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, len(tool.runs)) == ("done", "ship", 1)


def test_rejected_it_does_not_and_the_agent_is_told_why(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "reject", answer="not on a Friday")
    row = bench.settle(bench.now(call), tool)
    assert row.state == "denied"
    assert "<human>not on a Friday</human>" in row.result
    assert tool.runs == []


def test_edited_it_runs_as_the_human_wrote_it(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ship")
    bench.decide(bench.waits(call, tool), "edit", edit={"text": "ship --dry-run"})
    row = bench.settle(bench.now(call), tool)
    assert (row.state, row.result) == ("done", "ship --dry-run")
    assert row.args == {"text": "ship --dry-run"}


def test_an_edit_is_judged_again(bench: Bench) -> None:
    never = Rule(name="never", when=Match(content=("regex:rm -rf",)), ruling="deny", reason="no")
    tool, bench = probe(), ruled(bench, rule("ask"), never)
    call = bench.propose("probe", text="ls")
    bench.decide(bench.waits(call, tool), "edit", edit={"text": "rm -rf /"})
    row = bench.settle(bench.now(call), tool)
    assert (row.state, row.rule, tool.runs) == ("denied", "never", [])


def test_an_edit_that_does_not_fit_the_tool_is_explained(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe", text="ls")
    bench.decide(bench.waits(call, tool), "edit", edit={"txt": "x"})
    row = bench.settle(bench.now(call), tool)
    assert (row.state, tool.runs) == ("failed", [])


def test_stop_ends_the_run(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "stop")
    with pytest.raises(StopRun, match="stopped by eve"):
        bench.settle(bench.now(call), tool)
    assert tool.runs == []


def test_an_approval_is_void_when_what_it_was_about_has_changed(bench: Bench) -> None:
    bench = ruled(bench, rule("ask", "write"))
    tool = EditFile()
    call = bench.propose("edit_file", path="a.txt", old="one", new="two")
    review = bench.waits(call, tool)
    bench.decide(review, "approve")
    bench.workspace.write_text("a.txt", "one and more\n")
    again = bench.waits(bench.now(call), tool)
    assert inbox.get_review(bench.store, review.id).state == "void"
    assert again.id != review.id
    assert again.content_hash != review.content_hash
    bench.decide(again, "approve")
    assert bench.settle(bench.now(call), tool).state == "done"
    assert bench.workspace.read_text("a.txt") == "two and more\n"


def test_an_approval_is_void_when_the_team_has_changed(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    review = bench.waits(call, tool)
    bench.decide(review, "approve")
    other = replace(bench, team_hash="another")
    assert other.waits(bench.now(call), tool).id != review.id
    assert tool.runs == []


def test_what_policy_refuses_meanwhile_no_approval_lets_through(bench: Bench) -> None:
    tool, bench = probe(), asking(bench)
    call = bench.propose("probe")
    bench.decide(bench.waits(call, tool), "approve")
    row = ruled(bench, rule("deny")).settle(bench.now(call), tool)
    assert (row.state, tool.runs) == ("denied", [])


def test_a_tool_can_ask_its_own_question_and_go_on_with_the_answer(bench: Bench) -> None:
    def ask(args: Words, context: ToolContext) -> str:
        raise NeedsReview(builders.question("question", address=context.call, title=args.text))

    tool = probe(act=ask)
    call = bench.propose("probe", text="left or right?")
    review = bench.waits(call, tool)
    assert review.title == "left or right?"
    bench.decide(review, "answer", answer="again")
    second = bench.waits(bench.now(call), tool)
    bench.decide(second, "answer", answer="left")
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result) == ("done", "heard: left")
    assert (len(tool.runs), tool.decisions) == (1, ["answer", "answer"])


def test_what_is_put_with_the_change_set_goes_on_now(bench: Bench) -> None:
    bench = ruled(bench, rule("ask", "write", at="change_set"))
    row = bench.settle(bench.propose("write_file", path="b.txt", content="b\n"), WriteFile())
    assert (row.state, row.ruling, row.review) == ("done", "ask", "")
    assert bench.workspace.read_text("b.txt") == "b\n"


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
