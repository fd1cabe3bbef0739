"""Can a human see what waits, and decide it, with commands alone?"""

from __future__ import annotations

import json
import os
import pwd
import re
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from crews.records import users
from crews.records.inbox import get_review, open_review
from crews.records.questions import ReviewRow
from crews.records.users import Decider
from crews.teams.spec import Stage
from tests.cli.journal import Journal
from tests.support.written import a_question, begun, worked

ME = pwd.getpwuid(os.getuid()).pw_name
NOBODY = Decider("nobody", frozenset(), every_role=True, signed_in="local")


def opened(journal: Journal, **question: object) -> str:
    with journal.store() as store:
        return begun(store).review(5, **question).id


def decided(journal: Journal, review: str) -> ReviewRow:
    with journal.store() as store:
        return get_review(store, review)


def test_an_empty_inbox_is_a_friendly_line(journal: Journal) -> None:
    assert journal.run("inbox").out == "Nothing waits for you.\n"
    assert journal.run("inbox", "--json").json == []


def test_what_waits_is_listed(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    assert journal.run("inbox").out.replace(run.id, "RUN") == snapshot("""\
review      kind        state  since             rule                   what
RUN-2  change set  open   2026-09-21 14:14  change-sets-are-asked  Apply 1 changed file to shop

crews inbox show RUN-2
""")
    assert [r["id"] for r in journal.run("inbox", "--json").json] == [f"{run.id}-2"]
    every = journal.run("inbox", "--all", "--run", run.id, "--json").json
    assert [r["decision"] for r in every] == ["reject", ""]


def test_a_review_is_shown_whole(journal: Journal) -> None:
    with journal.store() as store:
        run = worked(store)
    assert journal.run("inbox", "show", f"{run.id}-2").out.replace(run.id, "RUN") == snapshot("""\
Apply 1 changed file to shop
review: RUN-2 (change set) by lead at /:1.0
run: RUN: Make it faster
stopped by: rule `change-sets-are-asked`: changes leave the run
findings:
  - app.py:12 auth: the check is gone
brief by the escalation agent (a model's words, not checked):
  | A constant changes.
  | Why it was stopped: Rules say so.
  | Risk: high
  | Recommends: reject
  | Checked: the tests
  | Could not know: the traffic
summary (the team's words):
  | Faster now.
reviewed by: reader
folder: shop
on approval: the changes are applied to the folder
files:
  - app.py modified (+1 -1)
diff:
    --- a/app.py
    +++ b/app.py
    @@ -1 +1 @@
    -x = 1
    +x = 2
spent so far: 3,300 tokens of 50,000, $0.0030 + unknown of $2.00, 14 s of work
you can:
  - approve: accept these changes
  - edit: accept them with your changes
  - reject: refuse; the supervisor is told why
  - stop: end the run
crews inbox approve RUN-2 --resume
crews inbox reject RUN-2 --reason "..." --resume
""")
    found = journal.run("inbox", "show", f"{run.id}-2", "--json").json
    assert found["choices"] == ["approve", "edit", "reject", "stop"]
    assert found["brief"]["risk"] == "high"


def test_approve(journal: Journal) -> None:
    review = opened(journal)
    ran = journal.run("inbox", "approve", review)
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"review {review}: approve by grace\ngo on with: crews resume {review[:-2]}\n"
    assert decided(journal, review).decision == "approve"
    again = journal.run("inbox", "approve", review)
    assert again.code == 2
    assert "decided by grace: approve" in again.err


def test_a_rejection_needs_a_reason(journal: Journal) -> None:
    review = opened(journal)
    assert "needs a reason" in journal.run("inbox", "reject", review).err
    assert decided(journal, review).state == "open"
    assert journal.run("inbox", "reject", review, "--reason", "no").code == 0
    assert decided(journal, review).answer == "no"


def test_answer_and_stop(journal: Journal) -> None:
    review = opened(journal, kind="question", subject={"question": "Which?", "context": ""})
    assert journal.run("inbox", "approve", review).code == 2
    assert journal.run("inbox", "answer", review, "The second", "--json").json["answer"] == (
        "The second"
    )
    other = opened(journal)
    assert journal.run("inbox", "stop", other).code == 0
    assert decided(journal, other).decision == "stop"


def test_an_edit_keeps_the_other_arguments_and_their_types(journal: Journal) -> None:
    review = opened(journal)
    assert journal.run("inbox", "edit", review, "--set", "seconds=5").code == 0
    assert decided(journal, review).edited == {"command": "make ship", "seconds": 5}
    other = opened(journal)
    assert journal.run("inbox", "edit", other, "--set", "command=123").code == 0
    assert decided(journal, other).edited == {"command": "123", "seconds": 60}


@pytest.mark.parametrize(
    ("which", "given", "edit"),
    [("tokens", "50,000", {"tokens": 50_000}), ("money", "$2.50", {"money": "2.50"}),
     ("wall_seconds", "1.5", {"wall_seconds": 1.5})],
)  # fmt: skip
def test_another_limit(journal: Journal, which: str, given: str, edit: object) -> None:
    review = opened(journal, kind="budget", subject={"which": which, "limit": "1"})
    assert journal.run("inbox", "edit", review, "--set", f"{which}={given}").code == 0
    assert decided(journal, review).edited == edit


def test_changed_files_are_edited_and_left_out(journal: Journal, tmp_path: Path) -> None:
    local = tmp_path / "mine.py"
    local.write_bytes(b"x = 3\r\n")
    review = opened(journal, kind="change_set", subject={"files": [], "diff": ""})
    arguments = ("--file", f"app.py=@{local}", "--drop", "b.py")
    assert journal.run("inbox", "edit", review, *arguments).code == 0
    assert decided(journal, review).edited == {"files": {"app.py": "x = 3\r\n"}, "drop": ["b.py"]}


def test_a_whole_edit_comes_from_a_file(journal: Journal, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"steps": []}), encoding="utf-8")
    review = opened(journal, kind="plan", subject={"steps": [{"id": "1"}]})
    assert journal.run("inbox", "edit", review, "--json-edit", f"@{path}").code == 0
    assert decided(journal, review).edited == {"steps": []}


@pytest.mark.parametrize(
    "arguments",
    [(), ("--set", "seconds"), ("--file", "a=@b"), ("--json-edit", "{}"),
     ("--json-edit", "@/nowhere"), ("--drop", "a")],
    ids=lambda a: " ".join(a) or "nothing",
)  # fmt: skip
def test_an_edit_that_makes_no_sense_decides_nothing(
    journal: Journal, arguments: tuple[str, ...]
) -> None:
    review = opened(journal)
    assert journal.run("inbox", "edit", review, *arguments).code == 2
    assert decided(journal, review).state == "open"


def test_text_of_a_model_does_nothing_to_a_terminal(journal: Journal) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07[bold red]x[/bold red]\u202e\r"
    review = opened(
        journal,
        agent=evil,
        title=evil,
        reason=evil,
        rule=evil,
        subject={"tool": evil, "command": evil, "arguments": {evil: evil}, "diff": evil,
                 "paths": [evil], "new_key": evil},
    )  # fmt: skip
    for command in (("inbox",), ("inbox", "show", review), ("inbox", "show", review, "--json"),
                    ("runs", "show", review[:-2]), ("runs", "report", review[:-2])):  # fmt: skip
        out = journal.run(*command).out
        assert not set(out) & {"\x1b", "\x07", "\u202e", "\r"}
    shown = journal.run("inbox", "show", review).out
    assert "[bold red]x[/bold red]" in shown
    assert "command:\n    ⟨U+001B⟩[2J⟨U+001B⟩]0;owned⟨U+0007⟩[bold red]" in shown
    assert "new_key" in shown


# -- who is asked, until when ---------------------------------------------------------------------


def test_who_is_asked_until_when_and_who_looks_at_it(journal: Journal) -> None:
    chain = (Stage(role="security", within=7200, remind=1800), Stage(role="board", within=86400))
    with journal.store() as store:
        run = begun(store)
        review = open_review(run.journal, a_question(chain=chain, four_eyes=True)).id
        users.add_user(store, "ann", roles=["security"], login=ME, by=NOBODY)
    assert journal.run("inbox", "claim", review, "--for", "2h", "--json").json["claimed_by"] == (
        "ann"
    )
    shown = journal.run("inbox", "show", review).out.replace(review, "ID").replace(run.id, "RUN")
    shown = re.sub(r"(?<=until )[-\d]+ [\d:]+|(?<=due: in )\d h \d\d m", "TIME", shown)
    assert shown.partition("brief:")[0] == snapshot("""\
coder wants to run `make ship`
review: ID (action) by coder at /0.0:0.1
run: RUN: Make it faster
stopped by: rule `commands-are-asked`: commands can do anything
to be decided by: security, four eyes: not whoever started the run
who may: ann
chain:
  - security: 2 h 00 m, reminded every 30 m 00 s <- now
  - board: 1 d 00 h
due: in TIME, then the next one is asked
seen by: ann until TIME
""")
    listed = journal.run("inbox").out.splitlines()
    assert listed[0].split() == [
        "review",
        "kind",
        "state",
        "since",
        "due",
        "role",
        "seen",
        "by",
        "rule",
        "what",
    ]
    assert re.search(r" in (2 h 00|1 h 59) m ", listed[1])
    assert "security" in listed[1]
    found = journal.run("inbox", "show", review, "--json").json
    assert found["chain"] == [
        {"role": "security", "within": 7200.0, "remind": 1800.0},
        {"role": "board", "within": 86400.0, "remind": None},
    ]
    assert (found["stage"], found["may_decide"], found["four_eyes"]) == (0, ["ann"], True)
    assert "T" in found["due_at"]
    assert journal.run("inbox", "release", review).code == 0
    assert journal.run("inbox", "release", review).code == 2


def test_a_review_is_handed_up(journal: Journal) -> None:
    chain = (Stage(role="a", within=60), Stage(role="board", within=60))
    review = opened(journal, chain=chain)
    assert (
        "escalate: decide nothing: hand it to board now" in journal.run("inbox", "show", review).out
    )
    ran = journal.run("inbox", "escalate", review, "--reason", "too big")
    assert (ran.code, ran.err) == (0, f"review {review}: handed to board\n")
    assert decided(journal, review).stage == 1
    assert "cannot be decided with `escalate`" in journal.run("inbox", "escalate", review).err


def test_the_same_question_stands_once_and_is_decided_once(journal: Journal) -> None:
    with journal.store() as store:
        run = begun(store)
        ids = [run.review(n).id for n in range(3)]
        other = run.review(9, content_hash="d" * 64).id
    listed = journal.run("inbox").out
    assert f"{ids[0]} x3" in listed
    assert ids[1] not in listed
    assert other in listed
    assert len(journal.run("inbox", "--json").json) == 4
    assert f"asked: 3 times: one decision is for {ids[1]}, {ids[2]} too" in (
        journal.run("inbox", "show", ids[0]).out
    )
    assert journal.run("inbox", "approve", ids[2], "--only").code == 0
    assert decided(journal, ids[0]).state == "open"
    assert journal.run("inbox", "approve", ids[0], "--for-run").code == 0
    assert [decided(journal, i).scope for i in ids] == ["run", "run", ""]
    assert decided(journal, other).state == "open"
    assert "approve by grace for the whole run" in journal.run("inbox", "show", ids[0]).out


def test_only_what_i_may_decide(journal: Journal) -> None:
    security, anybody = opened(journal, role="security"), opened(journal)
    assert len(journal.run("inbox", "--mine", "--json").json) == 2
    journal.run("users", "add", "ann", "--login", ME)
    assert [r["id"] for r in journal.run("inbox", "--mine", "--json").json] == [anybody]
    journal.run("users", "role", "ann", "--add", "security")
    mine = journal.run("inbox", "--mine", "--all", "--json").json
    assert [r["id"] for r in mine] == [security, anybody]


@pytest.mark.parametrize("lasts", ["0", "soon", "-5m", "9d", "1.5h", ""])
def test_a_claim_needs_a_length_of_time(journal: Journal, lasts: str) -> None:
    review = opened(journal)
    assert journal.run("inbox", "claim", review, f"--for={lasts}").code == 2
    assert decided(journal, review).claimed_by == ""
