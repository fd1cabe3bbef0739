"""Does a name, a path glob or a pattern in a team's files mean something?"""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Final

import pathspec
from pydantic import JsonValue

from crews.teams.shape import Sheet
from crews.teams.spec import CONTENT_CATEGORIES
from crews.teams.values import Path, closest

REGEX: Final = "regex:"
_WHOLE = re.compile(r"\\.|\[[!^]?+\]?+[^\]]*\]", re.DOTALL)
"""What a bracket may stand in: an escape, or a class that is closed."""


def sub(value: JsonValue, *names: str) -> JsonValue:
    """The value below these keys; None if there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def texts(value: JsonValue) -> list[str]:
    """The texts of a list; none if it is no list."""
    return [str(item) for item in value] if isinstance(value, list) else []


def check_known(
    sheet: Sheet, path: Path, value: JsonValue, known: Iterable[str], noun: str, free: str = ""
) -> None:
    """Note every text of a list that is not known; one that holds `free` may be anything."""
    for index, name in enumerate(texts(value)):
        if not (free and free in name):
            check_one(sheet, (*path, index), name, known, noun)


def check_one(sheet: Sheet, path: Path, name: str, known: Iterable[str], noun: str) -> None:
    """Note a name that is not known."""
    if sheet.source.full or name in known:
        return
    hint = closest(name, known) or (
        f"there are: {', '.join(sorted(known))}" if known else f"there is no {noun}"
    )
    sheet.source.error(sheet.place(*path), f"unknown {noun} '{name[:80]}'", hint)


def check_globs(sheet: Sheet, path: Path, value: JsonValue) -> None:
    """Note every text of a list that is no path glob."""
    for index, glob in enumerate(texts(value)):
        if wrong := _glob_problem(glob):
            sheet.source.error(
                sheet.place(*path, index),
                f"'{glob[:80]}' is no path glob: {wrong}",
                "write it as in .gitignore: src/**, *.py",
            )


def check_contents(sheet: Sheet, path: Path, value: JsonValue) -> None:
    """Note every text of a list that is neither a category nor a pattern."""
    for index, entry in enumerate(texts(value)):
        place = sheet.place(*path, index)
        if entry.startswith(REGEX):
            if wrong := _regex_problem(entry.removeprefix(REGEX)):
                message = f"this is no regular expression: {wrong}"
                sheet.source.error(place, message, "see the syntax of Python's `re`")
        elif entry not in CONTENT_CATEGORIES:
            hint = closest(entry, CONTENT_CATEGORIES)
            hint = hint or f"one of: {', '.join(CONTENT_CATEGORIES)}, or {REGEX}PATTERN"
            sheet.source.error(place, f"unknown content category '{entry[:80]}'", hint)


@contextmanager
def _ambiguous_is_an_error() -> Generator[None]:
    """A pattern that Python finds ambiguous guards nothing. Filters hold for all threads: no other warning is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        warnings.filterwarnings("error", "bad character in group name", DeprecationWarning)
        yield


def _glob_problem(glob: str) -> str:
    # Git finds nothing with such a glob, and `pathspec` takes the bracket for itself: neither is meant.
    if "[" in _WHOLE.sub("", glob):
        return r"'[' is not closed; '\[' stands for the bracket itself"
    with _ambiguous_is_an_error():
        try:
            pattern = pathspec.lookup_pattern("gitignore")(glob)
        except (ValueError, re.error, Warning) as error:
            return str(error)
    return "" if pattern.include is not None else "it matches nothing"


def _regex_problem(pattern: str) -> str:
    if not pattern.strip():
        return "it is empty"
    with _ambiguous_is_an_error():
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError, Warning) as error:
            return str(error)
    return ""
