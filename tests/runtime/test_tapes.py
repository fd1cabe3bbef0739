"""Does a recorded run play again without a model, to the same end, and only while nothing has changed?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import crews
from crews.errors import KeyMissing, TapeMismatch, UsageError
from crews.outcome import Answer, Result
from crews.records.questions import ReviewRow
from crews.records.tape import load_tape
from crews.runtime.models import ModelAnswer, ModelRequest, OnRetry
from crews.runtime.tapes import Player, Recorder
from crews.safety.redact import Redactor
from crews.settings import Settings
from tests.stories.players import delivery, write
from tests.stories.scenes import Stage, staged
from tests.support.scripts import call, reply, text, thinking

SECRET = "tr0ub4dor-and-three"
READ = reply(thinking("What does it say?"), call("read_file", path="a.txt"))
COMMAND = reply(
    call("run_command", command="python3 -c 'import time; print(time.time_ns(), \"s\")'")
)


def approving(review: ReviewRow) -> Answer:
    return Answer("approve") if "approve" in review.choices else Answer("answer", "Go on.")


@contextmanager
def recorded(
    files: dict[str, str] | None = None, **options: Any
) -> Generator[tuple[Stage, Path, Result]]:
    """A stage, the tape of a run that was approved, and its result; the model is gone."""
    tape = Path("run.jsonl").resolve()
    with staged(delivery(READ, write(content="two\n")), files=files) as stage:
        result = stage.run(record=tape, ask=approving, apply=False, **options)
    assert result.status == "completed"
    yield stage, tape, result


def play(stage: Stage, tape: Path, home: str = "elsewhere", **options: Any) -> Result:
    """Play the tape in another home, where no model can be asked."""
    settings = Settings(home=Path(home).resolve())
    given: dict[str, Any] = {"team": stage.team, "workspace": stage.folder, "apply": False}
    given |= {"ask": approving, **options}
    return crews.kickoff("Make it so", tape=tape, settings=settings, **given)


def test_a_recorded_run_plays_again_without_a_model() -> None:
    with recorded() as (stage, tape, first):
        asked = len(stage.server.requests)
        again = play(stage, tape)
        assert len(stage.server.requests) == asked
    assert again.run_id != first.run_id
    assert (again.status, again.exit_code) == (first.status, first.exit_code)
    assert again.change_set.hash == first.change_set.hash
    assert again.change_set.diff == first.change_set.diff
    assert (again.usage.turns, again.usage.calls) == (first.usage.turns, first.usage.calls)
    assert (again.usage.tokens, again.cost) == (first.usage.tokens, first.cost)
    assert [r.content_hash for r in again.reviews] == [r.content_hash for r in first.reviews]


def test_a_replay_records_the_same_tape() -> None:
    with recorded() as (stage, tape, _):
        play(stage, tape, record="again.jsonl")
    first, second = load_tape(tape), load_tape(Path("again.jsonl"))

    def plain(entries: Any) -> list[Any]:
        return sorted(
            (e.model_copy(update={"seconds": 0.0}) for e in entries),
            key=lambda e: (e.thread, e.turn),
        )

    assert plain(first.entries) == plain(second.entries)


def test_another_file_is_a_difference_that_is_shown() -> None:
    with recorded({"a.txt": "one\n"}) as (stage, tape, _):
        (stage.folder / "a.txt").write_text("won\n", encoding="utf-8")
        with pytest.raises(TapeMismatch) as error:
            play(stage, tape)
    assert "one" in error.value.what
    assert "won" in error.value.what
    assert error.value.where.startswith("thread /1.0, turn 1")  # who read it, not who delegated


def test_another_goal_is_a_difference_that_is_shown() -> None:
    with recorded() as (stage, tape, _):
        settings = Settings(home=Path("elsewhere").resolve())
        with pytest.raises(TapeMismatch, match="Make it otherwise"):
            crews.kickoff(
                "Make it otherwise", team=stage.team, workspace=stage.folder, tape=tape,
                settings=settings,
            )  # fmt: skip


def test_another_prompt_is_named() -> None:
    with recorded() as (stage, tape, _):
        agents = tuple(
            a.model_copy(update={"backstory": "You are careless."}) if a.name == "coder" else a
            for a in stage.team.agents
        )
        with pytest.raises(TapeMismatch, match="system prompt or its tools are others") as error:
            play(stage, tape, team=stage.team.model_copy(update={"agents": agents}))
    assert "/1.0" in error.value.where


def test_a_mismatch_keeps_the_run_for_a_better_tape() -> None:
    with recorded({"a.txt": "one\n"}) as (stage, tape, _):
        whole = tape.read_text(encoding="utf-8")
        lines = whole.splitlines(keepends=True)
        tape.write_text("".join(lines[:-2]), encoding="utf-8")
        with pytest.raises(TapeMismatch, match="ends before this request"):
            play(stage, tape)
        tape.write_text(whole, encoding="utf-8")
        settings = Settings(home=Path("elsewhere").resolve())
        [run] = (settings.home / "runs").iterdir()
        assert crews.resume(run.name, settings=settings, ask=approving).status == "completed"


def test_the_words_of_a_human_may_differ() -> None:
    def refuse_once(words: str) -> Any:
        def decide(review: ReviewRow) -> Answer:
            return Answer("reject", words) if review.number == 1 else Answer("approve")

        return decide

    script = delivery(write())

    def brain(request: Any) -> Any:
        said = request.body.decode()
        if "You are boss" in request.system and "<human>" in said:
            return reply(call("finish", summary="Left.", confidence=0.5, deliver=False))
        return script(request)

    tape = Path("run.jsonl").resolve()
    with staged(brain) as stage:
        first = stage.run(record=tape, ask=refuse_once("Not like this."))
        again = play(stage, tape, ask=refuse_once("No, thank you."), apply=True)
    assert first.reviews[0].decision == "reject"
    assert (again.status, again.exit_code) == (first.status, first.exit_code)


def test_a_tape_needs_no_key_and_a_run_without_one_does() -> None:
    with recorded() as (stage, _, _), pytest.raises(KeyMissing):
        crews.kickoff("Go", team=stage.team, settings=Settings(home=Path("x").resolve()))


def test_no_secret_is_on_a_tape_and_it_plays_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", SECRET)
    tape = Path("run.jsonl").resolve()
    script = delivery(
        reply(text(f"The token is {SECRET}."), call("search", pattern=SECRET)),
        READ,
        write("b.txt", "done\n"),
        summary=f"I used {SECRET} and AKIAIOSFODNN7EXAMPLE.",
    )
    goal = f"Deploy with {SECRET}"
    with staged(script, files={"a.txt": f"token = '{SECRET}'\n"}) as stage:
        first = stage.run(goal, record=tape, ask=approving, apply=False)
        key = stage.settings.api_key
        assert key is not None
        content = tape.read_text(encoding="utf-8")
        assert SECRET not in content
        assert key.get_secret_value() not in content
        assert "[redacted:DEPLOY_TOKEN]" in content
        settings = Settings(home=Path("elsewhere").resolve())
        again = crews.kickoff(
            goal, team=stage.team, workspace=stage.folder, tape=tape, settings=settings,
            ask=approving, apply=False,
        )  # fmt: skip
    assert again.status == first.status == "completed"
    assert again.change_set.hash == first.change_set.hash


# -- the recorder on its own ----------------------------------------------------------------------

ASKED = ModelRequest(
    thread="/", turn=0, agent="ann", model="m", system="You are ann, Ann.", tools=(),
    messages=({"role": "user", "content": "Go on."},), max_tokens=100,
)  # fmt: skip


class Parrot:
    """A model that says how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def ask(self, request: ModelRequest, on_retry: OnRetry) -> ModelAnswer:
        del request, on_retry
        self.asked += 1
        block = {"type": "text", "text": f"answer {self.asked}"}
        return ModelAnswer((block,), "end_turn", "m", 1, 2, 3, 4, 5, 0.25)

    async def count(self, request: ModelRequest) -> int | None:
        return len(request.messages)


def unheard(text: str, *, billed: bool) -> None:
    """Nothing is tried again here."""
    raise AssertionError(text, billed)


def test_a_tape_knows_what_its_requests_read_and_a_recorder_asks_its_model() -> None:
    path = Path("tape.jsonl")
    recorder = Recorder(Parrot(), path, Redactor(), "")
    asyncio.run(recorder.ask(ASKED, unheard))
    assert asyncio.run(recorder.count(ASKED)) == len(ASKED.messages)
    assert asyncio.run(Player(path, Redactor()).count(ASKED)) == 1 + 3 + 4


def test_an_answer_comes_back_as_it_was() -> None:
    path = Path("folder/tape.jsonl")
    recorder = Recorder(Parrot(), path, Redactor(), "a note")
    answer = asyncio.run(recorder.ask(ASKED, unheard))
    assert load_tape(path).note == "a note"
    played = asyncio.run(Player(path, Redactor()).ask(ASKED, unheard))
    assert played == answer


def test_a_recorder_goes_on_with_a_tape_and_the_last_answer_counts() -> None:
    """After a crash between the tape and the journal the request is made again."""
    path, parrot = Path("tape.jsonl"), Parrot()
    for _ in range(2):
        asyncio.run(Recorder(parrot, path, Redactor(), "").ask(ASKED, unheard))
    assert len(load_tape(path).entries) == 2
    played = asyncio.run(Player(path, Redactor()).ask(ASKED, unheard))
    assert played.blocks[0]["text"] == "answer 2"


@pytest.mark.parametrize("name", ["notes.txt", "tape.yaml"])
def test_no_other_file_is_written_over(name: str) -> None:
    path = Path(name)
    content = "note: mine\nanswers: []\n"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError):
        Recorder(Parrot(), path, Redactor(), "")
    assert path.read_text(encoding="utf-8") == content


def test_a_replay_waits_where_the_tape_says_so() -> None:
    path = Path("tape.yaml")
    answer: dict[str, Any] = {"thread": "/", "turn": 0, "model": "m", "answer": [], "pause": 0.05}
    path.write_text(json.dumps({"note": "", "answers": [answer]}), encoding="utf-8")
    slept: list[float] = []

    async def clocked() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await Player(path, Redactor()).ask(ASKED, unheard)
        slept.append(loop.time() - began)

    asyncio.run(clocked())
    assert slept[0] >= 0.05
