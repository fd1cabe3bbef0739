"""How does the demo play: which folder, which answers, who decides, and what is said at the end?"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Literal

from crews.api import Answer, Asker, Kickoff, Result, changes
from crews.errors import UsageError
from crews.records.questions import ReviewRow
from crews.records.tape import load_tape
from crews.settings import load

GOAL = "Find all Python files with SQL queries and add parameterized query handling."
Choice = Literal["approve", "reject", "edit"]


def prepare(folder: Path | None = None, *, live: bool = False) -> Kickoff:
    """Copy the sample project and say how the run is to be made.

    Args:
        folder: Where the sample goes; it must not exist or be empty. Default: a new temporary folder.
        live: Ask a real model instead of playing the tape.
    """
    here = resources.files("crews.demo")
    target = folder or Path(tempfile.mkdtemp(prefix="crews-demo-")) / "shop"
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError("the demo needs a new or empty folder", where=str(target))
    with resources.as_file(here / "shop") as shop:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(shop, target, ignore=ignored, dirs_exist_ok=True)
    tape = None if live else str(here / "tape.yaml")
    return Kickoff(goal=GOAL, team=bundled_team(), workspace=target, tape=tape)


def bundled_team() -> Path:
    """The default team, whatever team lies in the folder that the demo is started from."""
    from crews.teams.loader import find_team

    return find_team(None, Path(tempfile.gettempdir()))


def decider(choice: Choice) -> Asker:
    """A human for scripts: decides every review the same way."""

    def decide(review: ReviewRow) -> Answer | None:
        if choice == "reject":
            return Answer("reject", "Played by --decide: not today.")
        if choice == "edit" and "edit" in review.choices:
            return Answer("edit", edit=_edit(review))
        return Answer("approve" if "approve" in review.choices else "answer", "Go on.")

    return decide


def _edit(review: ReviewRow) -> dict[str, object]:
    """What a human might do to a change set: leave a word in the file that was found most sensitive."""
    changed = {c.path: c.after for c in changes(review.run, load()).changes}
    found: list[str] = [f["path"] for f in json.loads(review.findings)]
    texts = {p: after.text for p in (*found, *changed) if (after := changed.get(p)) and after.text}
    path, text = next(iter(texts.items()))
    return {"files": {path: f"{text}\n# Read and accepted line by line.\n"}}


def tests_of(folder: Path) -> tuple[bool, str]:
    """Run the sample's own tests; are they green, and what is their last line?"""
    done = subprocess.run(
        [sys.executable, "-B", "-m", "unittest"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.returncode == 0, " · ".join(lines[-2:]) if lines else ""


def opening(request: Kickoff) -> str:
    """What the demo says before it begins: where the sample is, and who answers."""
    place = f"A small shop was copied to {request.workspace}."
    if request.tape is None:
        return f"{place} A real model answers."
    return f"{place} {' '.join(load_tape(Path(request.tape)).note.split())}"


def epilogue(request: Kickoff, result: Result) -> str:
    """What the demo shows after the report: the sample's own tests."""
    del result
    green, line = tests_of(Path(str(request.workspace)))
    return f"The sample's own tests are {'green' if green else 'red'}: {line}"
