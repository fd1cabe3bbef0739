"""Which team is unlike the bundled one, and what does it work on? A kitchen's small press: recipes, no code.

`a_press(folder)` writes both into a folder. Its scripted models are in `tests.stories.press`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GOAL = "Print the recipes in metric units."
SUPERVISOR, WORKER, REVIEWER = "editor", "typist", "proofreader"

AGENTS = """\
editor:
  role: Managing editor
  goal: A booklet that a cook can follow.
  backstory: You have sent three hundred booklets to print.
  llm: claude-opus-5-5
  tools: [list_files, read_file]
  oversight: {duty: supervisor}

typist:
  role: Typesetter
  goal: Set what was asked for, letter by letter.
  backstory: You never touch what you were not given.
  llm: claude-sonnet-5-5
  tools: [read_file, search, write_file, edit_file, run_command]
  oversight: {write_paths: ["**"]}

proofreader:
  role: Proofreader
  goal: No wrong measure reaches a kitchen.
  backstory: You read backwards, so that sense cannot deceive you.
  llm: claude-haiku-5-5
  tools: [read_file, search]
  oversight: {duty: reviewer}
"""
TASKS = """\
booklet:
  description: "{goal}"
  expected_output: Which recipes were set, and what the proofreader said.
  oversight: {acceptance: No recipe measures in cups.}
"""
POLICY = """\
autonomy: 2
max_rework: 3
rules:
  - name: house-style
    when: {path: ["style.md"], effect: write}
    ruling: deny
    reason: The style of the house is not the press's to change.
"""
PROJECT = {
    "style.md": "Grams and millilitres. No cups.\n",
    "recipes/soup.md": "# Soup\n\n2 cups stock\n1 onion, cut coarsely – très fin\n",
    "recipes/bread.md": "# Bread\n\n3 cups flour\n1 cup water\n",
}
PRINTED = {
    **PROJECT,
    "recipes/soup.md": "# Soup\n\n480 ml stock\n1 onion, cut coarsely – très fin\n",
    "recipes/bread.md": "# Bread\n\n390 g flour\n240 ml water\n",
}
"""What the folder holds once the changes have been applied."""


@dataclass(frozen=True, slots=True)
class Press:
    """A team's folder and the folder that it works on."""

    team: Path
    folder: Path

    @property
    def files(self) -> dict[str, str]:
        """Every file of the folder that is worked on."""
        return tree(self.folder)


def a_press(folder: Path) -> Press:
    """Write the team and its project into `folder`."""
    press = Press(folder / "press", folder / "booklet")
    write(press.team, {"agents.yaml": AGENTS, "tasks.yaml": TASKS, "policy.yaml": POLICY})
    write(press.folder, PROJECT)
    return press


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, given by their path."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def tree(folder: Path) -> dict[str, str]:
    """Every file beneath a folder, by its path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
