"""Where does a command's output go? Data to stdout, talk to stderr, colours to a terminal."""

from __future__ import annotations

import functools
import json
import os
import shutil
import sys
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console, RenderableType

    from crews.safety.redact import Redactor


def put(text: str) -> None:
    """Write data, with a line's end."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write talk, with a line's end."""
    sys.stderr.write(text if text.endswith("\n") else f"{text}\n")
    sys.stderr.flush()


def put_json(value: BaseModel | dict[str, Any] | list[Any]) -> None:
    """Write one value as one line of JSON; ASCII, so that nothing in it acts on a terminal; no known secret."""
    put(json_line(value))


def json_line(value: BaseModel | dict[str, Any] | list[Any]) -> str:
    """One value as one line of ASCII JSON."""
    line = json.dumps(value, default=_jsonable, ensure_ascii=True)
    known = without_secrets(line)
    if known == line:
        return line
    return json.dumps(_redactor().known_json(json.loads(line)), ensure_ascii=True)


def without_secrets(text: str) -> str:
    """The text without the secrets that this process holds."""
    return _redactor().known(text)


def _redactor() -> Redactor:
    return _redactor_of(tuple(os.environ.items()))


@functools.lru_cache(maxsize=1)
def _redactor_of(environ: tuple[tuple[str, str], ...]) -> Redactor:
    from crews.errors import CrewsError
    from crews.safety.own_secrets import own_secrets
    from crews.safety.redact import Redactor, known_secrets
    from crews.settings import load

    try:
        return Redactor(own_secrets(load(), dict(environ)))
    except CrewsError:  # the settings are wrong: this is how it is said
        return Redactor(known_secrets(dict(environ)))


def _jsonable(value: object) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter[Any](type(value)).dump_python(value, mode="json")


def is_ci() -> bool:
    """Does a build server run us? It may give a terminal, but nobody sits at it."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}


def has_colour(stream: TextIO) -> bool:
    """May this stream be drawn on?"""
    dumb = os.environ.get("TERM", "") in {"", "dumb"}
    return stream.isatty() and not os.environ.get("NO_COLOR") and not dumb and not is_ci()


def has_human() -> bool:
    """Does somebody sit at a terminal who can be asked?"""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(s.isatty() for s in streams) and not is_ci()


def console(stream: TextIO) -> Console:
    """A rich console that takes no text for markup, and draws only where it may."""
    from rich.console import Console

    drawn = has_colour(stream)
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        no_color=not drawn,
        force_terminal=drawn,
        soft_wrap=not drawn,
    )


def filled(text: str) -> str:
    """Talk in lines that are no wider than the terminal; a path is never broken."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def show(text: str, drawn: RenderableType) -> None:
    """Write data to stdout: `drawn` on a terminal, `text` anywhere else."""
    if has_colour(sys.stdout):
        console(sys.stdout).print(drawn)
    else:
        put(text)


def table(head: list[str], rows: list[list[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns of plain text, as wide as they need; `right`: columns that are set to the right."""
    from rich.cells import cell_len

    widths = [max(cell_len(line[i]) for line in [head, *rows]) for i in range(len(head))]

    def padded(line: list[str]) -> str:
        cells: list[str] = []
        for i, (text, width) in enumerate(zip(line, widths, strict=True)):
            space = " " * (width - cell_len(text))
            cells.append(space + text if i in right else text + space)
        return "  ".join(cells).rstrip()

    return "\n".join(padded(line) for line in [head, *rows])


def moment(at: float | None) -> str:
    """A time as people read it, in their own zone; empty for None."""
    if at is None:
        return ""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def iso(at: float | None) -> str | None:
    """A time as machines read it: ISO 8601, UTC."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
