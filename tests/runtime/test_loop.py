"""Does a thread go on after answers that say nothing, errors of the endpoint, and growth?"""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from sqlalchemy import event as events
from sqlalchemy import select
from sqlalchemy.engine import Engine

from crews import Event
from crews.errors import ModelAuthError, StoreError
from crews.records.journal import Journal
from crews.records.store import open_store
from crews.records.tables import calls
from tests.stories.players import (
    CODER,
    LOOK,
    agent,
    delegate,
    finish,
    hand_over,
    plan,
    played,
    rule,
    step,
    team,
)
from tests.stories.scenes import Stage, staged
from tests.support.messages_api import Request, failure
from tests.support.reply import Reply, Text
from tests.support.scripts import Script, Step, agent_of, call, reply, turn_of

LEAD = [plan(step("work")), delegate("work"), finish(deliver=False)]


def story(*work: Step) -> Script:
    return played({"boss": LEAD, "coder": work})


@pytest.mark.parametrize("answer", [Reply(()), Reply((Text("\n"),)), Reply((Text("Hm."),))])
def test_an_answer_that_does_nothing_is_answered_and_the_thread_goes_on(answer: Reply) -> None:
    """The server refuses what the API refuses: empty messages, and blank text."""
    with staged(story(answer, LOOK, hand_over())) as stage:
        assert stage.run().status == "completed"
        [_, second, _] = stage.requests("coder")
    assert "You made no tool call" in json.dumps(second.messages[-1])


def test_a_refused_key_of_a_worker_is_nothing_to_tell_the_supervisor() -> None:
    """The run stops with the error itself, and goes on in the worker's thread."""
    good = story(LOOK, hand_over())
    refusing = [True]

    def brain(request: Request) -> Reply:
        if agent_of(request) == "coder" and refusing[0]:
            return failure(401, "expired")
        return good(request)

    with staged(brain) as stage:
        with pytest.raises(ModelAuthError, match="expired"):
            stage.run()
        assert stage.row.status == "failed"
        assert stage.call("delegate").state == "started"
        refusing[0] = False
        assert stage.resume().status == "completed"
        assert [t.path for t in stage.threads()] == ["/", "/1.0"]
        assert "expired" not in "".join(r.body.decode() for r in stage.requests("boss"))


def test_no_model_learns_of_a_look_that_is_not_written() -> None:
    good, written = story(LOOK, LOOK, hand_over()), list[str]()

    def brain(request: Request) -> Reply:
        if agent_of(request) == "coder":
            with open_store(stage.settings.journal_url) as store, store.reading() as connection:
                looks = select(calls.c.state).where(calls.c.tool == "list_files")
                written.extend(connection.execute(looks).scalars())
        return good(request)

    with staged(brain) as stage:
        assert stage.run().status == "completed"
    assert written == ["done", "done", "done"]


def test_time_that_cannot_be_counted_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise StoreError("the server has gone")

    with staged(
        story(LOOK, hand_over()), team(rules=[rule("ask-it", "ask", tool="list_files")])
    ) as stage:
        with monkeypatch.context() as away:
            away.setattr(Journal, "add_working_time", gone)
            assert stage.run().status == "waiting"
        assert stage.go_on("approve").status == "completed"


# -- growth ---------------------------------------------------------------------------------------

TURNS = 30


def reading(request: Request) -> Reply:
    return hand_over() if turn_of(request) == TURNS else reply(call("read_file", path="long.txt"))


def grown(**policy: Any) -> Stage:
    long = "".join(
        f"{n:05} a line of some length in a file that is read again\n" for n in range(60)
    )
    coder = agent("coder", CODER.tools, max_iter=TURNS + 5)
    with staged(
        story(*[reading] * (TURNS + 1)), team(coder, **policy), {"long.txt": long}
    ) as stage:
        assert stage.run().status == "completed"
        return stage


def test_a_request_begins_with_the_bytes_of_the_one_before() -> None:
    stage = grown()
    bodies = [json.dumps(r.json["messages"])[:-1] for r in stage.requests("coder")]
    assert all(later.startswith(b) for b, later in zip(bodies, bodies[1:], strict=False))


def test_a_long_thread_is_compacted_now_and_then_and_not_at_every_turn() -> None:
    stage = grown(compact_above=12_000)
    sizes = [len(r.body) for r in stage.requests("coder")]
    shorter = [n for n, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)) if b < a]
    assert 1 <= len(shorter) <= TURNS // 6
    assert max(sizes) < 2 * 12_000 * 3
    log = stage.audit("compacted")
    assert len(log) == len(shorter)


def test_even_where_compacting_does_not_help_it_is_not_tried_at_every_turn() -> None:
    stage = grown(compact_above=1000)
    assert len(stage.audit("compacted")) <= TURNS // 6 + 1


def test_a_turn_asks_the_journal_no_more_as_the_thread_gets_longer() -> None:
    statements, at_turn = [0], list[int]()

    def count(*_: object) -> None:
        if threading.current_thread() is threading.main_thread():  # not the heartbeat's
            statements[0] += 1

    def listen(event: Event) -> None:
        if event.kind == "turn_ended" and event.agent == "coder":
            at_turn.append(statements[0])

    coder = agent("coder", CODER.tools, max_iter=TURNS + 5)
    events.listen(Engine, "before_cursor_execute", count)
    try:
        with staged(story(*[reading] * (TURNS + 1)), team(coder), {"long.txt": "x\n"}) as stage:
            assert stage.run(on_event=listen).status == "completed"
    finally:
        events.remove(Engine, "before_cursor_execute", count)
    assert len(at_turn) == TURNS + 1
    each = [later - before for before, later in zip(at_turn, at_turn[1:], strict=False)]
    signed = [n for n in each if n != min(each)]  # once in a hundred entries the log is signed, too
    assert len(signed) <= len(each) // 20 + 1
    assert max(each) - min(each) <= 15
    assert min(each) <= 60  # five short transactions for a turn with one call
