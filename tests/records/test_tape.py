"""Does a tape answer the request that it was made for, show what differs, and refuse what is no tape?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crews.errors import TapeMismatch, UsageError
from crews.records.store import dump
from crews.records.tape import (
    Tape,
    TapeEntry,
    TapeUsage,
    digest,
    find,
    header,
    load_tape,
    newest,
    steady,
)

Body = dict[str, Any]
SYSTEM = [{"type": "text", "text": "You are ann, Ann."}]


def body(*texts: str, system: object = SYSTEM) -> Body:
    """A request whose messages go to and fro, the user's first."""
    messages = [
        {"role": ("user", "assistant")[n % 2], "content": [{"type": "text", "text": t}]}
        for n, t in enumerate(texts)
    ]
    return {"model": "m", "system": system, "tools": [], "messages": messages}


def entry(answers: str, request: Body, turn: int = 0, thread: str = "/") -> TapeEntry:
    """What a recorder writes."""
    return TapeEntry(
        thread=thread,
        turn=turn,
        model="m",
        answer=({"type": "text", "text": answers},),
        usage=TapeUsage(input_tokens=3, money=5),
        request=digest(request),
        fixed=digest([request["system"], request["tools"]]),
        new=newest(tuple(request["messages"])),
    )


def recorded(*entries: TapeEntry) -> Tape:
    return Tape(entries=entries, strict=True)


def said(found: TapeEntry) -> str:
    return str(found.answer[0]["text"])


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# -- recorded -------------------------------------------------------------------------------------


def test_a_recorded_tape_comes_back_from_its_file(tmp_path: Path) -> None:
    entries = (entry("one", body("a")), entry("zwei – 2", body("a", "one", "b\u2028c"), 1))
    lines = "".join(dump(e) + "\n" for e in entries)
    for name in ("t.jsonl", "t.yaml", "t"):  # what it is called says nothing
        tape = load_tape(write(tmp_path / name, header("who made it") + lines))
        assert tape == Tape(note="who made it", entries=entries, strict=True)


def test_an_answer_is_found_by_thread_turn_and_request() -> None:
    here, later = body("a"), body("a", "one", "b")
    tape = recorded(entry("one", here), entry("two", later, 1), entry("other", here, thread="/0.0"))
    assert said(find(tape, "/", 0, here)) == "one"
    assert said(find(tape, "/", 1, later)) == "two"
    assert said(find(tape, "/0.0", 0, here)) == "other"


def test_of_two_recordings_of_one_request_the_last_one_counts() -> None:
    tape = recorded(entry("lost in a crash", body("a")), entry("kept", body("a")))
    assert said(find(tape, "/", 0, body("a"))) == "kept"


def test_the_end_of_the_tape_says_where_and_what_to_do() -> None:
    with pytest.raises(TapeMismatch, match="ends before this request") as error:
        find(recorded(entry("one", body("a"))), "/", 1, body("a", "one", "b"))
    assert error.value.where == "thread /, turn 1"
    assert "--record" in error.value.hint


def test_another_message_is_shown_as_a_difference() -> None:
    tape = recorded(entry("one", body("total: 12\nname: ann")))
    with pytest.raises(TapeMismatch) as error:
        find(tape, "/", 0, body("total: 13\nname: ann"))
    assert "-[{" in error.value.what
    assert "total: 12" in error.value.what
    assert "+[{" in error.value.what
    assert "total: 13" in error.value.what


def test_another_prompt_is_named() -> None:
    tape = recorded(entry("one", body("a")))
    with pytest.raises(TapeMismatch, match="system prompt or its tools are others"):
        find(tape, "/", 0, body("a", system="You are bob."))


def test_another_earlier_message_is_named() -> None:
    tape = recorded(entry("two", body("a", "one", "b"), 1))
    with pytest.raises(TapeMismatch, match="an earlier message"):
        find(tape, "/", 1, body("A", "one", "b"))


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("Ran 3 tests in 0.014s", "Ran 3 tests in 2s"),
        ("took 12 ms", "took 9.5 ms"),
        ("0.50s call test_a\n1e-05 s more", "0.03s call test_a\n2 seconds more"),
        ("first\n0.50s call", "first\n0.61s call"),
        ("tab\t3 ms", "tab\t4 ms"),
        ("<Thing at 0x7f00aa00bb>", "<Thing at 0x55d3c0ffee42>"),
        ("line\n0x7f00aa00bb", "line\n0x55d3c0ffee42"),
        ("<human>yes\nplease</human> go", "<human>no</human> go"),
    ],
)
def test_what_differs_without_meaning_is_no_difference(then: str, now: str) -> None:
    assert digest(body(then)) == digest(body(now))
    assert said(find(recorded(entry("one", body(then))), "/", 0, body(now))) == "one"


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ("3 tests failed", "4 tests failed"),
        ("version 3.1s2", "version 3.2s2"),
        ("0x10", "0x11"),
        ("<human>yes</human> stop", "<human>yes</human> go"),
        ("said <human>a</human> x <human>b</human>", "said <human>a</human> y <human>b</human>"),
    ],
)
def test_everything_else_is_a_difference(then: str, now: str) -> None:
    assert digest(body(then)) != digest(body(now))


def test_masking_leaves_the_form_of_a_request_alone() -> None:
    value = {"b": [1, None, True, 2.5], "a": {"text": "in 3 s"}}
    assert json.loads(steady(value)) == {"b": [1, None, True, 2.5], "a": {"text": "in <time>"}}


# -- written by hand ------------------------------------------------------------------------------

HAND = """\
note: A demonstration.
answers:
- thread: /
  turn: 0
  model: m
  answer: [{type: text, text: sorry}]
  expects: [refused]
- thread: /
  turn: 0
  model: m
  answer: [{type: text, text: good}]
  expects: ["200", OK]
  usage: {input_tokens: 7}
  pause: 0.5
"""


def test_a_tape_by_hand_answers_what_the_newest_message_says(tmp_path: Path) -> None:
    tape = load_tape(write(tmp_path / "t.yaml", HAND))
    assert (tape.note, tape.strict) == ("A demonstration.", False)
    assert said(find(tape, "/", 0, body("it was refused"))) == "sorry"
    found = find(tape, "/", 0, body("refused", "then", "200 OK"))
    assert said(found) == "good"
    assert (found.usage.input_tokens, found.usage.money, found.pause) == (7, None, 0.5)


def test_it_reads_results_of_tools_too(tmp_path: Path) -> None:
    tape = load_tape(write(tmp_path / "t.yml", HAND))
    request = body("go")
    result = {"type": "tool_result", "tool_use_id": "x", "content": "HTTP 200 OK"}
    request["messages"] += [
        {"role": "assistant", "content": []},
        {"role": "user", "content": [result]},
    ]
    assert said(find(tape, "/", 0, request)) == "good"
    assert said(find(tape, "/", 0, {"messages": [{"role": "user", "content": "200 OK"}]})) == "good"


def test_it_shows_what_it_expected_and_what_came(tmp_path: Path) -> None:
    tape = load_tape(write(tmp_path / "t.yaml", HAND))
    with pytest.raises(TapeMismatch, match="does not contain") as error:
        find(tape, "/", 0, body("nothing of the kind"))
    assert "refused" in error.value.what
    assert "nothing of the kind" in error.value.what
    assert error.value.where == "thread /, turn 0"


# -- no tape --------------------------------------------------------------------------------------

GOOD = header("") + dump(entry("one", body("a")))


@pytest.mark.parametrize(
    ("name", "text", "place", "problem"),
    [
        ("t.jsonl", "", "t.jsonl", "is no tape"),
        ("t.jsonl", "hello", "t.jsonl", "is no tape"),
        ("t.jsonl", "[1]", "t.jsonl", "is no tape"),
        ("t.jsonl", '{"note": ""}', "t.jsonl", "crews_tape"),
        ("t.jsonl", '{"crews_tape": 99}', "t.jsonl", "its version is 99"),
        ("t.jsonl", GOOD + '\n{"thread": "/"}', "t.jsonl:3", "turn: Field required"),
        ("t.jsonl", GOOD + "\n{half", "t.jsonl:3", "Invalid JSON"),
        ("t.jsonl", GOOD.replace('"turn":0', '"turn":"x"'), "t.jsonl:2", "turn: Input should be"),
        ("t.yaml", "", "t.yaml", "is no tape"),
        ("t.yaml", "note: x\n", "t.yaml", "answers"),
        ("t.yaml", "note: [x\n", "t.yaml:2:1", "is no tape"),
        ("t.yaml", "note: x\nanswers: 5\n", "t.yaml", "is no tape"),
        ("t.yaml", HAND.replace("turn: 0", "turn: first"), "t.yaml", "entries.0.turn"),
        ("t.yaml", HAND.replace("pause: 0.5", "pauze: 0.5"), "t.yaml", "entries.1.pauze"),
        ("t.yaml", HAND.replace("0.5", "999"), "t.yaml", "entries.1.pause"),
        ("t.yaml", "note: !!python/object/apply:os.getcwd []\nanswers: []\n", "t.yaml", "no tape"),
    ],
)
def test_what_is_no_tape_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, place: str, problem: str
) -> None:
    path = write(tmp_path / name, text)
    with pytest.raises(UsageError) as error:
        load_tape(path)
    assert problem in error.value.what
    assert error.value.where.startswith(str(tmp_path / place))


def test_bytes_and_missing_files_are_refused_too(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"\xff\xfe\x00tape")
    for name in ("t.jsonl", "none.jsonl", "."):
        with pytest.raises(UsageError) as error:
            load_tape(tmp_path / name)
        assert str(tmp_path) in error.value.where
