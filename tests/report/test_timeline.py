"""Does the timeline show each step below the one it came from?"""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from crews.cli.render import timeline_text
from crews.records.store import open_store
from crews.report import timeline
from crews.report.timeline import short_arguments
from tests.support.written import worked


def test_a_run_step_by_step(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'crews.db'}") as store:
        run = worked(store)
        text = timeline_text(timeline(store, run.id))
    assert "\n" + text.replace(run.id, "RUN") + "\n" == snapshot("""\

    1.0 s  lead / (open): Make it faster | task
    3.0 s    turn 0: m-1, 1,100 tokens, $0.0015 | I split the work.
    3.0 s      delegate agent=coder -> done [allow by default]
    4.0 s        coder /0.0 (done): Change app.py
    7.0 s          turn 0: m-1, 1,100 tokens, $0.0015
    7.0 s            read_file path=app.py -> done [allow by default]
    7.0 s            run_command command=make ship -> denied [ask by commands-are-asked] | commands can do anything
    9.0 s              review RUN-1: coder wants to run `make ship` [commands-are-asked] -> reject by ada | not today
 1 m 20 s          hands over: Made it faster. # Approved by the owner <b>really</b> | confidence 0.8
 1 m 20 s          flag: it says that tests passed, but no call ran them
    3.0 s      delegate agent=reader -> done [allow by default]
    5.0 s        reader /0.1 (done): Read the notes
    8.0 s          turn 0: local, 1,100 tokens, unknown
    8.0 s            read_file path=.env -> denied [deny by secrets-stay-out] | this file holds secrets
     12 s          hands over (reject): Could not read it. | confidence 0.2
 1 m 30 s  review RUN-2: Apply 1 changed file to shop [change-sets-are-asked] -> open
""")


@pytest.mark.parametrize(
    ("arguments", "short"),
    [
        ('{"path": "a.py", "lines": [1, 2]}', "path=a.py, lines=[1, 2]"),
        ('{"new": "x", "path": "a.py"}', "path=a.py, new=x"),
        ('{"text": "a\\n\\u001b[31mb"}', "text=a b"),
        ("not json", "not json"),
        ("[1]", "[1]"),
        ("{}", ""),
    ],
)
def test_arguments_on_one_line(arguments: str, short: str) -> None:
    assert short_arguments(arguments) == short
