"""How does the command line reach the demo? By these four names, loaded only when it is shown."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from crews import api
from crews.errors import UsageError


def demo_request(folder: Path | None, live: bool) -> api.Kickoff:
    """The demo's run; puts the sample project into `folder`, or a new one."""
    from crews.demo.play import prepare

    return prepare(folder, live=live)


def demo_opening(request: api.Kickoff) -> str:
    """What to say before the demo begins."""
    from crews.demo.play import opening

    return opening(request)


def demo_asker(choice: str) -> api.Asker:
    """Decides the demo's reviews the way that was chosen."""
    from crews.demo.play import Choice, decider

    choices: tuple[Choice, ...] = get_args(Choice)
    for known in choices:
        if known == choice:
            return decider(known)
    raise UsageError(f"`--decide {choice}` is not known", hint=", ".join(choices))


def demo_epilogue(request: api.Kickoff, result: api.Result) -> str:
    """What to say when the demo is over."""
    from crews.demo.play import epilogue

    return epilogue(request, result)
