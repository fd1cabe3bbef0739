"""How is a run left to a worker beside this process, before what makes runs is loaded?"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def handed_in(asked: dict[str, Any]) -> str:
    """The run that a worker has made of what is asked for, in the words of `Kickoff`; empty: none has.

    What is asked for is given a key where it has none: whoever asks for it again gets the run that came of it,
    should a worker have taken the order without an answer.
    """
    from crews import door
    from crews.settings import load

    settings = load()
    if not door.is_open(settings.home):
        return ""
    import os
    import secrets

    from crews.safety.own_secrets import redactor_for

    asked["submission"] = asked["submission"] or secrets.token_hex(16)
    known = redactor_for(settings, os.environ).known
    inputs: dict[str, str] = asked["inputs"]
    order = {
        "kickoff": asked
        | {"goal": known(asked["goal"]), "inputs": {k: known(v) for k, v in inputs.items()}},
        "folder": str(Path.cwd()),
        "place": door.place(),
        "journal": door.fingerprint(settings.journal_url),
        "user": settings.user,
        "token": settings.token.get_secret_value() if settings.token else "",
    }
    return door.hand_in(settings.home, order)
