"""Is a human at a terminal asked so that only an explicit key is a yes?"""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crews.records.questions import Brief
from crews.teams.spec import Stage
from tests.cli.journal import Journal
from tests.cli.terminal import Terminal
from tests.support.written import DIFF, begun

PROMPT = "q leave it open"


@contextmanager
def asked(journal: Journal, editor: str = "", **question: Any) -> Generator[Terminal]:
    """A terminal at which a review is being asked about."""
    with journal.store() as store:
        review = begun(store).review(5, **question).id
    environment = {"EDITOR": editor, "VISUAL": ""}
    with Terminal(["-m", "tests.cli.ask_here", review], environment) as terminal:
        yield terminal


def answer(terminal: Terminal) -> Any:
    terminal.expect("ANSWER ")
    return json.loads(terminal.expect(" END"))


def editor(folder: Path, text: str) -> str:
    """An editor that puts `text` in the file's place."""
    (folder / "new").write_text(text, encoding="utf-8")
    path = folder / "editor"
    path.write_text(f'#!/bin/sh\ncp "{folder}/new" "$1"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_everything_is_shown_and_approved_by_its_key_alone(journal: Journal) -> None:
    with asked(journal) as terminal:
        shown = terminal.expect(PROMPT)
        for text in ("coder wants to run `make ship`", "rule `commands-are-asked`: commands can",
                     "brief: none: this team has no escalation agent", '"seconds": 60',
                     "a approve   e edit   r reject   s stop   ? help"):  # fmt: skip
            assert text in shown
        terminal.send("\r")
        terminal.expect(PROMPT)
        terminal.send("y")
        terminal.expect(PROMPT)
        terminal.send("\x1b[A")
        terminal.send("?")
        assert "refuse; the agent is told why" in terminal.expect(PROMPT)
        terminal.send("a")
        assert answer(terminal) == {"decision": "approve", "text": "", "edit": None}
        assert terminal.ended() == 0


def test_high_risk_needs_a_second_key(journal: Journal) -> None:
    brief = Brief(what="It ships.", why="x", risk="high", recommendation="reject")
    with asked(journal, brief=brief, brief_note="") as terminal:
        assert "a model's words" in terminal.expect(PROMPT)
        terminal.send("a")
        terminal.expect("press a again")
        terminal.send("q")
        terminal.expect(PROMPT)
        terminal.send("a")
        terminal.expect("press a again")
        terminal.send("a")
        assert answer(terminal)["decision"] == "approve"


def test_a_rejection_needs_a_reason(journal: Journal) -> None:
    with asked(journal) as terminal:
        terminal.expect(PROMPT)
        terminal.send("r")
        terminal.expect("why (the agent is told)?")
        terminal.send("\r")
        terminal.expect("it needs a text")
        terminal.expect(PROMPT)
        terminal.send("r")
        terminal.expect("why (the agent is told)?")
        terminal.send("nö\x7fot today\r")
        assert answer(terminal) == {"decision": "reject", "text": "not today", "edit": None}


def test_what_is_decided_elsewhere_is_asked_no_longer(journal: Journal) -> None:
    with asked(journal) as terminal:
        terminal.expect(PROMPT)
        [review] = journal.run("inbox", "--json").json
        assert journal.run("inbox", "approve", review["id"]).code == 0
        terminal.expect("was decided elsewhere: approve by ")
        assert answer(terminal) is None


def test_the_end_of_the_run_is_asked_twice(journal: Journal) -> None:
    with asked(journal) as terminal:
        terminal.expect(PROMPT)
        terminal.send("s")
        terminal.expect("press s again")
        terminal.send("\r")
        terminal.expect(PROMPT)
        terminal.send("s")
        terminal.expect("press s again")
        terminal.send("s")
        assert answer(terminal)["decision"] == "stop"


def test_what_is_not_ours_to_decide_is_handed_up(journal: Journal) -> None:
    chain = (Stage(role="a", within=3600), Stage(role="board", within=3600))
    with asked(journal, chain=chain) as terminal:
        assert "u escalate" in terminal.expect(PROMPT)
        terminal.send("?")
        assert "hand it to board now" in terminal.expect(PROMPT)
        terminal.send("u")
        assert answer(terminal)["decision"] == "escalate"


@pytest.mark.parametrize("key", ["q", "\x1b", "\x03", "\x04"], ids=["q", "Esc", "^C", "^D"])
def test_leaving_leaves_it_open_and_is_not_asked_again(journal: Journal, key: str) -> None:
    with asked(journal) as terminal:
        terminal.expect(PROMPT)
        terminal.send(key)
        terminal.expect("stays open")
        assert answer(terminal) is None
        terminal.expect("AGAIN None END")
        assert terminal.ended() == 0


def test_leaving_a_text_decides_nothing(journal: Journal) -> None:
    with asked(journal) as terminal:
        terminal.expect(PROMPT)
        terminal.send("r")
        terminal.expect("why (the agent is told)?")
        terminal.send("not tod\x03")
        terminal.expect(PROMPT)
        terminal.send("q")
        assert answer(terminal) is None


def test_what_was_typed_before_is_no_answer(journal: Journal) -> None:
    with journal.store() as store:
        review = begun(store).review(5).id
    with Terminal(["-m", "tests.cli.ask_here", review]) as terminal:
        terminal.send("aaaa")
        terminal.expect(PROMPT)
        time.sleep(0.3)
        assert "ANSWER" not in terminal.text
        terminal.send("q")
        assert answer(terminal) is None


def test_a_question_takes_a_text(journal: Journal) -> None:
    subject = {"question": "Which port?", "context": "There are two."}
    with asked(journal, kind="question", subject=subject) as terminal:
        shown = terminal.expect(PROMPT)
        assert "Which port?" in shown
        assert "approve" not in shown
        terminal.send("a")
        terminal.expect(PROMPT)
        terminal.send("t")
        terminal.expect("your answer:")
        terminal.send("8080\r")
        assert answer(terminal)["text"] == "8080"


def test_an_unknown_outcome_is_one_of_two(journal: Journal) -> None:
    with asked(journal, kind="unknown") as terminal:
        terminal.expect(PROMPT)
        terminal.send("t")
        terminal.expect("did it happen?")
        terminal.send("n")
        assert answer(terminal) == {"decision": "answer", "text": "not done", "edit": None}


def test_arguments_are_edited_and_confirmed(journal: Journal, tmp_path: Path) -> None:
    program = editor(tmp_path, '{"command": "make test", "seconds": 5}')
    with asked(journal, program) as terminal:
        terminal.expect(PROMPT)
        terminal.send("e")
        assert '"make test"' in terminal.expect("approve it as edited?")
        terminal.send("y")
        assert answer(terminal)["edit"] == {"command": "make test", "seconds": 5}


def test_an_edit_that_is_not_confirmed_or_no_json_is_nothing(
    journal: Journal, tmp_path: Path
) -> None:
    program = editor(tmp_path, "{")
    with asked(journal, program) as terminal:
        terminal.expect(PROMPT)
        terminal.send("e")
        terminal.expect("this is not JSON")
        terminal.expect(PROMPT)
        editor(tmp_path, "{}")
        terminal.send("e")
        terminal.expect("approve it as edited?")
        terminal.send("\r")
        terminal.expect(PROMPT)
        terminal.send("q")
        assert answer(terminal) is None


def test_a_changed_file_is_edited(journal: Journal, tmp_path: Path) -> None:
    subject = {"diff": DIFF, "files": [{"path": "app.py", "kind": "modified"}], "apply": True}
    with asked(
        journal, editor(tmp_path, "x = 3\n"), kind="change_set", subject=subject
    ) as terminal:
        assert "+x = 2" in terminal.expect(PROMPT)
        terminal.send("e")
        assert "1 app.py" in terminal.expect("no more edits:")
        terminal.send("1\r")
        terminal.expect("no more edits:")
        terminal.send("\r")
        terminal.expect("approve it as edited?")
        terminal.send("y")
        assert answer(terminal)["edit"] == {"files": {"app.py": "x = 3\n"}}


def test_a_limit_is_typed(journal: Journal) -> None:
    subject = {"which": "money", "limit": "2.00", "spent": "1.99", "wanted": "0.05"}
    with asked(journal, kind="budget", subject=subject) as terminal:
        terminal.expect(PROMPT)
        terminal.send("e")
        terminal.expect("new limit of money (now 2.00):")
        terminal.send("$5\r")
        terminal.expect("approve it as edited?")
        terminal.send("y")
        assert answer(terminal)["edit"] == {"money": "5"}


def test_a_long_diff_is_shortened_until_it_is_asked_for(journal: Journal) -> None:
    diff = "--- a/x\n+++ b/x\n" + "".join(f"+line {n}\n" for n in range(200))
    subject: dict[str, Any] = {"diff": diff, "files": [], "apply": True}
    with asked(journal, kind="change_set", subject=subject) as terminal:
        shown = terminal.expect(PROMPT)
        assert "142 more lines" in shown
        assert "line 199" not in shown
        terminal.send("v")
        assert "line 199" in terminal.expect(PROMPT)
        terminal.send("q")
        assert answer(terminal) is None


def test_nothing_that_a_model_wrote_acts_on_the_terminal(journal: Journal) -> None:
    evil = "\x1b]0;owned\x07\x1b[2J[bold]x[/bold]\u202e"
    brief = Brief(what=evil, why=evil, risk="low", checked=(evil,), recommendation=evil)
    subject = {"tool": evil, "command": evil, "diff": evil, "arguments": {evil: evil}}
    with asked(journal, title=evil, reason=evil, brief=brief, subject=subject) as terminal:
        terminal.expect(PROMPT)
        assert "\x1b]" not in terminal.seen
        assert "\x1b[2J" not in terminal.seen
        assert not set(terminal.seen) & {"\x07", "\u202e"}
        assert "[bold]x[/bold]" in terminal.text
        terminal.send("q")
        assert answer(terminal) is None


def test_the_terminal_is_as_before_when_it_ends(journal: Journal) -> None:
    with asked(journal) as terminal:
        terminal.expect(PROMPT)
        assert not terminal.echoes()
        terminal.send("q")
        terminal.expect("AGAIN")
        assert terminal.ended() == 0
        assert terminal.echoes()
