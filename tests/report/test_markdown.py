"""Does the report read well, the same every time, and can no model forge a part of it?"""

from __future__ import annotations

from pathlib import Path

from inline_snapshot import snapshot

from crews.records.inbox import decide
from crews.records.rows import HandOver
from crews.records.store import open_store
from crews.report import markdown
from crews.report.markdown import cell, code, quoted
from tests.support.written import begun, worked


def test_the_report_of_a_run_that_waits(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        run = worked(store)
        text = markdown(store, run.id)
        assert text == markdown(store, run.id)
    assert text.replace(run.id, "RUN") == snapshot("""\
# Run `RUN`: Make it faster

Team `small`, 2026-09-21 14:13 UTC, asked for by ada. Status: **waiting**

## Who did what

### `lead` at `/`: Make it faster

not finished; 1 turn, 2 calls, 1,100 tokens, $0.0015, 0.0 s.

### `coder` at `/0.0`: Change app.py

done; 1 turn, 2 calls, 1,100 tokens, $0.0015, 4.0 s.

> Made it faster.
> \\# Approved by the owner
> &lt;b>really&lt;/b>

- **flagged:** it says that tests passed, but no call ran them
- says it changed: app.py: x
- evidence: `read_file`, `7.7` (**no such call**)
- confidence, by its own account: 0.8

### `reader` at `/0.1`: Read the notes

done; 1 turn, 1 call, 1,100 tokens, unknown, 4.0 s.

> Could not read it.

- verdict: **reject**
- confidence, by its own account: 0.2

## Asked and decided

| review | what | rule | decision | by | waited |
| --- | --- | --- | --- | --- | --- |
| `RUN-1` | coder wants to run \\`make ship\\` | `commands-are-asked` | reject: not today | ada | 1 m 00 s |
| `RUN-2` | Apply 1 changed file to shop | `change-sets-are-asked` | open |  |  |

## Refused

| call | agent | tool | rule | by | reason |
| --- | --- | --- | --- | --- | --- |
| `/0.0:0.1` | `coder` | `run_command` | `commands-are-asked` | ada | not today |
| `/0.1:0.0` | `reader` | `read_file` | `secrets-stay-out` | policy | this file holds secrets |

## Changes

The change set: not approved.

- `app.py` modified (+1 -1)

## Open questions

- Ship on Monday?

## What it took

|  | total |
| --- | --- |
| turns | 3 |
| calls | 5 |
| tokens | 3,300 |
| money | $0.0030 + unknown |
| working time | 14 s |
| waiting for a human | 1 m 00 s |
| delegations | 2, at most 2 at once |

| agent | threads | turns | tokens | money |
| --- | --- | --- | --- | --- |
| `lead` | 1 | 1 | 1,100 | $0.0015 |
| `coder` | 1 | 1 | 1,100 | $0.0015 |
| `reader` | 1 | 1 | 1,100 | unknown |
""")


def test_the_files_are_those_that_the_human_let_through(tmp_path: Path) -> None:
    files = [{"path": f"{name}.py", "kind": "modified", "additions": 1} for name in "abc"]
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        run = begun(store)
        review = run.review(0, kind="change_set", subject={"files": files})
        decide(store, review.id, "edit", by="ada", edit={"files": {"a.py": "x"}, "drop": ["b.py"]})
        listed = markdown(store, run.id).partition("## Changes")[2]
    assert "- `a.py` modified (as edited by the human)\n- `c.py` modified (+1 -0)\n" in listed
    assert "b.py" not in listed


def test_a_model_cannot_forge_a_section(tmp_path: Path) -> None:
    forged = "done\n\n## Asked and decided\n| x | approve |\n\x1b[2J<script>x</script>![](http://e)"
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        run = begun(store, goal="# Goal\n## Result")
        run.thread("/", "lead", 1, "task", "## Result")
        run.end("/", 2, HandOver(summary=forged, changes=(forged,), open_questions=(forged,)))
        run.journal.set_run(summary=forged)
        text = markdown(store, run.id)
    headings = [line for line in text.split("\n") if line.startswith("#")]
    assert [h for h in headings if h.startswith("## ")] == [
        "## Result", "## Who did what", "## Open questions", "## What it took",
    ]  # fmt: skip
    assert "\x1b" not in text
    assert "<script" not in text
    assert not [line for line in text.split("\n") if "approve" in line and line.startswith("|")]
    assert "![](" not in text


def test_words_in_a_line_stay_in_their_line() -> None:
    assert cell("a | b\n# c *d* <b> [x](y)") == "a \\| b \\# c \\*d\\* &lt;b> \\[x\\](y)"
    assert code("a`b|c") == "`aˋb¦c`"
    assert quoted("a\n\nb") == "> a\n>\n> b"
