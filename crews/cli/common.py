"""Which options and arguments do several commands share, and how are values parsed?"""

from __future__ import annotations

import gc
import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from crews.cli import completion
from crews.errors import UsageError

if TYPE_CHECKING:
    from crews.records.store import Store
    from crews.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not show the run's progress.")]
NoInput = Annotated[bool, typer.Option("--no-input", help="Never ask here: leave reviews open.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Write log lines to stderr too.")]
RunId = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id.", autocompletion=completion.runs)
]
ReviewId = Annotated[
    str,
    typer.Argument(metavar="ID", help="A review's id.", autocompletion=completion.open_reviews),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run right away.")]

LOADING, STAYING = 500_000, 50_000
"""New objects after which a process that starts, or one that stays, looks for unreachable ones."""
_LONGEST = 3650 * 86_400


def seek_garbage(*, every: int) -> None:
    """Look for unreachable objects after so many new ones."""
    gc.set_threshold(every, *gc.get_threshold()[1:])


@contextmanager
def journal() -> Generator[tuple[Store, Settings]]:
    """The open journal, and the settings that name it."""
    from crews.records.sealing import open_journal
    from crews.settings import load

    settings = load()
    with open_journal(settings) as store:
        yield store, settings
        if settings.audit.copies:
            import asyncio

            from crews import notify

            asyncio.run(notify.flush_copies(store, settings))


def pairs(given: Iterable[str], option: str) -> dict[str, str]:
    """`NAME=VALUE` entries of an option that can be repeated."""
    found: dict[str, str] = {}
    for entry in given:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            form = "PATH=@LOCAL" if option == "--file" else "NAME=VALUE"
            raise UsageError(f"`{option} {entry}` is not of the form {form}")
        found[name] = value
    return found


def seconds(text: str, option: str) -> float:
    """A length of time: `90s`, `30m`, `1h30m`, `90d`; a bare number is seconds."""
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text.strip())
    if found is None or not any(found.groups()):
        raise UsageError(
            f"`{option} {text}` is no length of time", hint="write 90s, 30m, 1h30m or 90d"
        )
    parts = zip(found.groups(), (86_400, 3_600, 60, 1), strict=True)
    total = sum(int(amount or 0) * unit for amount, unit in parts)
    if not 0 < total <= _LONGEST:
        raise UsageError(f"`{option} {text}` must be above 0 and at most 3650d")
    return float(total)
