"""What does the human want done instead? Asked with the user's own editor, or a line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from crews.cli.parts import pretty
from crews.errors import UsageError
from crews.plain import one_line, visible
from crews.records.questions import ReviewRow

if TYPE_CHECKING:
    from crews.cli.keys import Keys
    from crews.tools.changeset import ChangeSet


@dataclass(frozen=True, slots=True)
class Desk:
    """What an edit needs of its surroundings."""

    keys: Keys
    say: Callable[[str], object]
    changes: Callable[[ReviewRow], ChangeSet]
    """The change set that a review is about."""

    def ask(self, question: str) -> str | None:
        """A line of text; None if the human left."""
        self.say(f"{question} ")
        return self.keys.line(self.say)

    def confirms(self, question: str) -> bool:
        """Does the human press y?"""
        self.keys.forget()
        self.say(f"{question} (y: yes, any other key: no)\n")
        return self.keys.key() in {"y", "Y"}

    def edit(self, text: str, suffix: str) -> str:
        """The text as the human leaves it."""
        with self.keys.cooked():
            return in_editor(text, suffix)


def edit_for(review: ReviewRow, desk: Desk) -> dict[str, Any] | None:
    """The edit of a review; None if the human changed nothing, or thought better of it."""
    try:
        match review.kind:
            case "change_set":
                edit = _files(review, desk)
            case "budget":
                edit = _limit(review, desk)
            case "plan":
                edit = _json(desk, {"steps": review.about.get("steps") or []})
            case _:
                edit = _json(desk, cast("dict[str, Any]", review.about.get("arguments") or {}))
    except (UsageError, OSError) as error:
        desk.say(f"error: {one_line(str(error), 300)}\n")
        return None
    if edit is None:
        desk.say("nothing was changed\n")
        return None
    return edit if desk.confirms("approve it as edited?") else None


def in_editor(text: str, suffix: str) -> str:
    """Open a text in `$VISUAL` or `$EDITOR` and return what was saved.

    Raises:
        UsageError: there is no editor, or it failed.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    if not command or shutil.which(command[0]) is None:
        raise UsageError("there is no editor", hint="name one in $EDITOR")
    with tempfile.TemporaryDirectory(prefix="crews-") as folder:
        path = Path(folder) / f"edit{suffix}"
        path.write_text(text, encoding="utf-8", newline="")
        code = subprocess.run([*command, str(path)], check=False).returncode  # noqa: S603
        if code:
            raise UsageError(f"the editor `{command[0]}` ended with code {code}")
        return path.read_bytes().decode("utf-8")


def _json(desk: Desk, value: dict[str, Any]) -> dict[str, Any] | None:
    before = json.dumps(value, indent=2, ensure_ascii=False)
    edited = as_object(desk.edit(before + "\n", ".json"))
    if edited == value:
        return None
    desk.say(pretty(edited) + "\n")
    return edited


def as_object(text: str) -> dict[str, Any]:
    """A JSON object. Raises UsageError for anything else."""
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise UsageError("this is not a JSON object")
    return cast("dict[str, Any]", value)


def _limit(review: ReviewRow, desk: Desk) -> dict[str, Any] | None:
    which = str(review.about.get("which", ""))
    typed = desk.ask(f"new limit of {which} (now {review.about.get('limit')}):")
    return limit_edit(which, typed) if typed and typed.strip() else None


def limit_edit(which: str, typed: str) -> dict[str, Any]:
    """The edit that sets a limit: money as dollars in a string, everything else a number."""
    text = typed.strip().lstrip("$").replace(",", "").replace("_", "")
    try:
        number = float(text)
    except ValueError:
        raise UsageError(f"`{typed}` is not a number") from None
    if not 0 < number < float("inf"):
        raise UsageError("a limit is a number above 0")
    if which == "money":
        return {which: text}
    return {which: int(number) if number.is_integer() else number}


def _files(review: ReviewRow, desk: Desk) -> dict[str, Any] | None:
    changes = desk.changes(review)
    paths = [f.path for f in changes.files]
    files: dict[str, str] = {}
    drop: list[str] = []
    while True:
        desk.say("".join(f"  {n} {visible(p)}\n" for n, p in enumerate(paths, 1)))
        typed = desk.ask("number: edit that file; -number: leave it out; empty: no more edits:")
        if typed is None:
            return None
        if not typed.strip():
            break
        chosen = _chosen(typed.strip(), paths)
        if chosen is None:
            desk.say("there is no such number\n")
        elif typed.strip().startswith("-"):
            drop.append(chosen)
        else:
            files[chosen] = _edited_file(chosen, files, changes, desk)
    return _files_edit(files, drop)


def _files_edit(files: dict[str, str], drop: list[str]) -> dict[str, Any] | None:
    kept = {path: text for path, text in files.items() if path not in drop}
    edit: dict[str, Any] = {}
    if drop:
        edit["drop"] = list(dict.fromkeys(drop))
    if kept:
        edit["files"] = kept
    return edit or None


def _chosen(typed: str, paths: list[str]) -> str | None:
    number = typed.removeprefix("-")
    valid = number.isascii() and number.isdigit() and 1 <= int(number) <= len(paths)
    return paths[int(number) - 1] if valid else None


def _edited_file(path: str, files: dict[str, str], changes: ChangeSet, desk: Desk) -> str:
    change = next(c for c in changes.changes if c.path == path)
    if change.after is None or change.after.text is None:
        raise UsageError(f"`{path}` is no text file that is left, so it cannot be edited")
    return desk.edit(files.get(path, change.after.text), Path(path).suffix)
