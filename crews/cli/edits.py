"""What is to be done instead, as the options of `inbox edit` say it?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crews.cli.common import pairs
from crews.errors import UsageError

if TYPE_CHECKING:
    from crews.records.questions import ReviewRow


def wanted_edit(
    review: ReviewRow, given: list[str], files: list[str], drop: list[str], whole: str | None
) -> dict[str, Any]:
    """The edit of a review.

    Args:
        review: What is edited.
        given: `NAME=VALUE` entries of `--set`.
        files: `PATH=@LOCAL` entries of `--file`.
        drop: Paths of `--drop`.
        whole: `@FILE` of `--json-edit`.

    Raises:
        UsageError: the options say nothing, or do not fit what is asked about.
    """
    from crews.cli.editing import as_object

    if not (given or files or drop or whole):
        raise UsageError("an edit needs what is to be done instead",
                         hint="--set NAME=VALUE, --file PATH=@LOCAL, --drop PATH or --json-edit @FILE")  # fmt: skip
    edit: dict[str, Any] = {} if whole is None else as_object(_text(whole))
    if review.kind == "change_set":
        edit |= _files_edit(files, drop)
    elif files or drop:
        raise UsageError(f"review `{review.id}` is not about changed files")
    return edit | _set(review, given, whole)


def _files_edit(files: list[str], drop: list[str]) -> dict[str, Any]:
    edit: dict[str, Any] = {}
    if drop:
        edit["drop"] = drop
    if files:
        edit["files"] = {path: _text(text) for path, text in pairs(files, "--file").items()}
    return edit


def _set(review: ReviewRow, given: list[str], whole: str | None) -> dict[str, Any]:
    """The named values, each of the type that it has now; for an action, with all the others."""
    from crews.cli.editing import limit_edit

    named = pairs(given, "--set")
    if not named:
        return {}
    if review.kind == "budget":
        return {k: v for name, value in named.items() for k, v in limit_edit(name, value).items()}
    if review.kind not in {"action", "unknown"}:
        hint = (
            "--file PATH=@LOCAL or --drop PATH"
            if review.kind == "change_set"
            else "--json-edit @FILE"
        )
        raise UsageError(
            f"`--set` does not fit a review of a {review.kind.replace('_', ' ')}", hint=hint
        )
    now: dict[str, Any] = review.about.get("arguments") or {}
    typed = {name: _typed(value, now.get(name)) for name, value in named.items()}
    return typed if whole is not None else {**now, **typed}


def _typed(text: str, now: object) -> Any:
    if isinstance(now, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(source: str) -> str:
    """The text that `@FILE` or `@-` names."""
    if not source.startswith("@"):
        raise UsageError(f"`{source}` names no file", hint="write @FILE, or @- for stdin")
    if source == "@-":
        return sys.stdin.read()
    path = Path(source[1:])
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = "is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"the file cannot be read as text: {what}", where=str(path)) from None
