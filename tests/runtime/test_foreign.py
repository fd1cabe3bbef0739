"""Does a CrewAI tool come behind the gate as what it says it is, and get its key where it wants one?"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from crews.errors import UsageError
from crews.runtime import crew
from crews.safety.bounds import LARGEST_RESULT, LONGEST_SECRET
from crews.tools.base import ToolContext, ToolError
from crews.tools.copying import make_workspace
from crews.tools.gate import AnyTool
from crews.tools.seat import idempotency_key
from tests.support.memory import MIB, peak
from tests.tools.bench import Bench, laid_out, rule, ruled

HERE = "tests.runtime.crewai_tools"


def loaded(name: str) -> AnyTool:
    from crews.runtime.foreign import load_foreign

    return load_foreign(f"{HERE}:{name}", Path("storage"))


def paid() -> list[tuple[str, str]]:
    crew.quiet(Path("storage"))
    from tests.runtime import crewai_tools

    return crewai_tools.PAID


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    paid().clear()
    with laid_out(tmp_path) as made:
        yield made


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    workspace = make_workspace(None, tmp_path / "run", 10)
    return ToolContext(workspace, None, agent="ann", thread="/", call="/:0.0", key="k" * 64)


def run(tool: AnyTool, context: ToolContext, **arguments: object) -> str:
    args = tool.args.model_validate(arguments)
    return asyncio.run(tool.run(args, context)).text


def test_a_tool_that_says_nothing_is_external_and_has_no_key(context: ToolContext) -> None:
    tool = loaded("Plain")
    assert (tool.name, tool.description) == ("plain_thing", "Does a thing.")
    assert (tool.effect, tool.keyed, tool.repeatable) == ("external", False, False)
    assert run(tool, context, thing="it") == "did it"
    with pytest.raises(ToolError, match="OSError: no such thing"):
        run(tool, context, thing="broken")


@pytest.mark.parametrize(
    ("name", "effect"),
    [("Look", "read"), ("Ask", "network"), ("Pay", "external"), ("reader", "read")],
)
def test_a_tool_is_what_it_declares(name: str, effect: str) -> None:
    assert loaded(name).effect == effect


def test_the_key_is_no_argument_of_the_model_s(context: ToolContext) -> None:
    tool = loaded("Pay")
    assert tool.keyed
    schema = tool.args.model_json_schema()
    assert list(schema["properties"]) == ["amount"]
    assert schema["properties"]["amount"]["description"] == "in dollars"
    assert run(tool, context, amount="5") == "paid 5"
    assert paid()[-1] == ("5", "k" * 64)
    for wrong in ({"amount": "5", "request": "my own key"}, {"amount": "123456789"}):
        with pytest.raises(ValueError, match=r"extra_forbidden|string_too_long"):
            tool.args.model_validate(wrong)


def test_a_key_may_have_a_default(context: ToolContext) -> None:
    assert run(loaded("Ask"), context) == "all 64"


def test_a_failure_that_the_tool_reports_is_one(context: ToolContext) -> None:
    with pytest.raises(ToolError, match="no money"):
        run(loaded("Pay"), context, amount="999")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("writer", "crews_effect = 'write'"),
        ("runner", "crews_effect = 'execute'"),
        ("strange", r"crews_effect = \['read'\]"),
        ("keyless", "has no such argument"),
        ("listed", "has no such argument"),
        ("counting", "takes no key as `number`"),
        ("short", "takes no key as `amount`"),
        ("Vague", "cannot be described"),
        ("no_tool", "is no CrewAI tool"),
        ("missing", "cannot be loaded"),
    ],
)
def test_what_it_cannot_be_is_refused(name: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        loaded(name)
    assert HERE in refused.value.what
    assert refused.value.hint


def test_loading_it_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREWAI_DISABLE_TELEMETRY", raising=False)
    loaded("Plain")
    assert os.environ["CREWAI_DISABLE_TELEMETRY"] == "true"


def test_behind_the_gate_a_payment_is_asked_about_and_has_its_own_key(bench: Bench) -> None:
    tool = loaded("Pay")
    call = bench.propose("pay", amount="7")
    review = bench.waits(call, tool)
    assert (review.rule, review.about["arguments"]) == ("default-external", {"amount": "7"})
    assert paid() == []
    bench.decide(review, "approve")
    assert bench.taken_over().settle(bench.now(call), tool).result == "paid 7"
    assert paid() == [("7", idempotency_key(call))]


def test_an_interrupted_payment_is_made_again_under_the_same_key(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("allow", "external")), loaded("Pay")
    call = bench.propose("pay", amount="7")
    bench.dies_in(call, tool, after=True)
    row = bench.taken_over().settle(bench.now(call), tool)
    assert (row.state, row.result, row.review) == ("done", "paid 7", "")
    assert paid() == [("7", idempotency_key(call))] * 2


def test_an_interrupted_call_without_a_key_is_not_made_again(bench: Bench) -> None:
    bench, tool = ruled(bench, rule("allow", "external")), loaded("Plain")
    call = bench.propose("plain_thing", thing="it")
    bench.dies_in(call, tool, after=True)
    review = bench.taken_over().waits(bench.now(call), tool)
    assert (review.kind, review.about["arguments"]) == ("unknown", {"thing": "it"})


def test_a_tool_that_never_answers_is_given_up(context: ToolContext) -> None:
    from crews.runtime.foreign import load_foreign

    tool = load_foreign(f"{HERE}:Sleeper", Path("storage"), seconds=0.2)
    with pytest.raises(ToolError, match=r"no answer after 0.2 s.*not known"):
        run(tool, context)


def test_data_is_told_as_json_so_that_its_fields_can_be_declared(context: ToolContext) -> None:
    told = json.loads(run(loaded("Record"), context, name="Ann"))
    assert told == {"name": "Ann", "iban": "DE89370400440532", "at": "2026-01-02"}


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("wide", "more than 500,000 values"),
        ("shared", "more than 500,000 values"),
        ("deep", "deeper than 200 levels"),
        ("number", "number of more than"),
    ],
)
def test_data_without_measure_is_not_spelt_out(context: ToolContext, what: str, why: str) -> None:
    tool = loaded("Flood")
    with peak() as memory, pytest.raises(ToolError, match=f"{why}.*; ask for less at a time"):
        run(tool, context, what=what)
    assert memory.grown < 50 * MIB


def test_a_text_of_megabytes_is_cut_before_it_is_looked_at(context: ToolContext) -> None:
    assert len(run(loaded("Flood"), context, what="text")) == LARGEST_RESULT + LONGEST_SECRET
    assert run(loaded("Flood"), context, what="nested") == "[" * 100 + '"x"' + "]" * 100
