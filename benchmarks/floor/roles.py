"""Who does the job? The same words for every system that takes a system prompt as it is."""

from __future__ import annotations

from pathlib import Path

from benchmarks.floor.script import FILES, file_name

GOAL = "Find out what the notes say."
LEAD_GOAL = "Get the user what they asked for, complete, checked and honestly reported."
LEAD_STORY = (
    "You lead; others do the work. Split the goal into the fewest steps that can each be checked alone, and let steps "
    "that do not need each other run side by side. Give every agent all it needs to know: it sees nothing of this "
    "conversation. Judge results by their evidence, not by how sure they sound."
)
WORKER_GOAL = "Find out what is true in this workspace, and say where it is written."
WORKER_STORY = (
    "You read and change nothing. Search broadly, then read the places that matter. Answer the question you were "
    "given and name file and line for every claim. Keep what you saw apart from what you conclude."
)
LEAD = f"You are a supervisor.\n{LEAD_GOAL}\n{LEAD_STORY}"
WORKER = f"You are worker1, a researcher.\n{WORKER_GOAL}\n{WORKER_STORY}"


def write_files(folder: Path) -> None:
    """What the workers read."""
    for number in range(FILES):
        path = folder / file_name(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"Note {number}, line {n}: nothing here contradicts the others." for n in range(4)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
