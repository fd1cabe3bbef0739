"""What happens when the model does not answer, or answers badly? The run waits, asks again, or ends in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

import crews
from crews.errors import (
    EXIT_FAILED,
    EXIT_KEY,
    KeyMissing,
    ModelAuthError,
)
from tests.stories.players import (
    LOOK,
    READING,
    agent,
    hand_over,
    stubborn,
    team,
    worked,
    write,
)
from tests.stories.scenes import (
    staged,
    tree,
)
from tests.support.messages_api import Reply, Request, failure
from tests.support.reply import Fault, Text
from tests.support.scripts import Script, agent_of, call, last_results, reply, text

ONE = {"a.txt": "one\n"}


class Flaky:
    """A model that fails so many times for one agent, and then works."""

    def __init__(self, script: Script, name: str, failures: Sequence[Reply]) -> None:
        self._script, self._name, self._failures = script, name, list(failures)

    def __call__(self, request: Request) -> Reply:
        """Fail, or answer."""
        if agent_of(request) == self._name and self._failures:
            return self._failures.pop(0)
        return self._script(request)


BUSY = failure(529, "Overloaded", retry_after=0.01)
LOOKS = worked(LOOK, hand_over())


def test_an_outage_waits_for_a_human_and_goes_on() -> None:
    fallback = agent("coder", READING, fallback=("claude-haiku-5-5",))
    model = Flaky(LOOKS, "coder", [BUSY] * 10)
    with staged(model, team(fallback)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("waiting", 3)
        review = stage.open_review("model")
        assert "claude-sonnet-5-5" in review.reason and "claude-haiku-5-5" in review.reason
        assert {r.model for r in stage.requests("coder")} == {
            "claude-sonnet-5-5",
            "claude-haiku-5-5",
        }
        boss = len(stage.requests("boss"))
        result = stage.go_on("approve")
        assert (result.status, result.exit_code) == ("completed", 0)
        # What had been paid for was not bought again.
        assert len(stage.requests("boss")) == boss + 1
        assert result.usage.turns == 5


def test_a_fallback_answers_where_the_first_model_does_not() -> None:
    fallback = agent("coder", READING, fallback=("claude-haiku-5-5",))

    def model(request: Request) -> Reply:
        down = agent_of(request) == "coder" and request.model == "claude-sonnet-5-5"
        return BUSY if down else LOOKS(request)

    with staged(model, team(fallback)) as stage:
        result = stage.run()
        assert (result.status, result.reviews) == ("completed", ())
        assert "claude-haiku-5-5" in stage.shown()


def test_stopping_at_an_outage_ends_the_run_even_if_the_model_is_back() -> None:
    with staged(Flaky(LOOKS, "coder", [failure(400)])) as stage:
        stage.run()
        sent = len(stage.server.requests)
        result = stage.go_on("stop")
        assert (result.status, result.exit_code) == ("stopped", EXIT_FAILED)
        assert len(stage.server.requests) == sent


def test_an_outage_that_goes_on_is_asked_about_again() -> None:
    with staged(Flaky(LOOKS, "coder", [failure(400)] * 2)) as stage:
        stage.run()
        assert stage.go_on("approve").status == "waiting"
        assert stage.go_on("approve").exit_code == 0
        assert len(stage.reviews("model")) == 2


def test_a_refused_key() -> None:
    def strict(request: Request) -> Reply:
        key = f"{request.headers.get('x-api-key')} {request.headers.get('authorization')}"
        return LOOKS(request) if "good" in key else failure(401, "invalid x-api-key")

    with staged(strict, key="bad") as stage:
        with pytest.raises(ModelAuthError, match="refused the key") as refused:
            stage.run()
        assert refused.value.exit_code == EXIT_KEY
        assert "bad" not in str(refused.value).split()
        assert (stage.row.status, stage.row.exit_code) == ("failed", EXIT_KEY)
        assert stage.cli("resume", stage.id, "--no-input")[0] == EXIT_KEY
        good = stage.settings.model_copy(update={"api_key": SecretStr("good")})
        result = crews.resume(stage.id, settings=good)
        assert (result.status, result.exit_code) == ("completed", 0)


def test_no_key_at_all() -> None:
    with staged(LOOKS) as stage:
        nothing = stage.settings.model_copy(update={"api_key": None, "base_url": None})
        with pytest.raises(KeyMissing) as missing:
            crews.kickoff("x", team=stage.team, settings=nothing)
        assert missing.value.exit_code == EXIT_KEY
        assert "ANTHROPIC_API_KEY" in missing.value.hint


@pytest.mark.parametrize(
    "fault", ["hang_up", "cut", "truncated", "garbled", "error_event", "bad_input"]
)
def test_an_answer_that_breaks_off_is_asked_for_again(fault: Fault) -> None:
    broken = replace(write(), fault=fault)
    with staged(Flaky(worked(write(), hand_over()), "coder", [broken])) as stage:
        result = stage.run()
        assert (result.status, result.reviews) == ("completed", ())
        assert len(stage.requests("coder")) == 3
        assert stage.call("write_file").state == "done"  # and only once


def test_a_call_that_was_cut_off_does_not_happen() -> None:
    heard: list[str] = []

    def hear(request: Request) -> Reply:
        heard.extend(r.text for r in last_results(request))
        return hand_over()

    cut = replace(
        reply(call("list_files"), call("write_file", path="a.txt", content="tw")),
        stop_reason="max_tokens",
    )
    with staged(worked(cut, hear)) as stage:
        assert stage.run().exit_code == 0
        assert not stage.calls("write_file")
        assert stage.call("list_files").state == "done"
        assert "cut off at the length limit" in heard[1]
        assert tree(stage.workspace) == ONE


def test_a_model_that_never_calls_a_tool_is_ended() -> None:
    chatty = agent("coder", READING, max_iter=3)
    answers = [reply(text("I am working on it."))] * 9
    script = stubborn("coder", answers, worked())
    with staged(script, team(chatty)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("completed", 0)
        assert len(stage.requests("coder")) == 5
        (coder,) = stage.threads("coder")
        assert "it made no hand-over of its own" in coder.flagged
        assert "I am working on it." in stage.call("delegate").result


@pytest.mark.parametrize("said", [(Text("I cannot help with that."),), ()])
@pytest.mark.parametrize("why", ["refusal", "end_turn"])
def test_a_model_that_refuses_or_says_nothing_ends_in_order(said: Any, why: Any) -> None:
    short = agent("coder", READING, max_iter=2)
    silent = Reply(said, stop_reason=why)
    with staged(stubborn("coder", [silent] * 9, worked()), team(short)) as stage:
        result = stage.run()
        assert (result.status, result.exit_code, result.reviews) == ("completed", 0, ())
        assert "it made no hand-over of its own" in stage.threads("coder")[0].flagged


def test_a_supervisor_that_never_finishes_is_a_failure() -> None:
    script = stubborn("boss", [LOOK] * 9, worked())
    with staged(script, team(agent("boss", READING, "supervisor", max_iter=3))) as stage:
        result = stage.run()
        assert (result.status, result.exit_code) == ("failed", EXIT_FAILED)
        assert "ended by the engine" in result.report
