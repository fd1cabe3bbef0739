"""What does the process do that sits at a test's terminal? It asks about one review, as `run` does."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from crews.cli.asking import Inline
from crews.cli.keys import Keys
from crews.cli.live import Silent
from crews.cli.output import console
from crews.records.inbox import get_review
from crews.records.runs import get_run
from crews.records.store import open_store
from crews.tools.changeset import Change, ChangeSet, Side
from crews.tools.tree import FileState


def changes() -> ChangeSet:
    """One changed file."""
    before, after = (Side(FileState("100644", c * 64, 6), f"x = {c}\n") for c in "12")
    return ChangeSet((Change("app.py", before, after),))


def main(review: str) -> None:
    """Ask, and print the answer as JSON."""
    with open_store(f"sqlite:///{os.environ['CREWS_HOME']}/crews.db") as store:
        keys = Keys()
        ask = Inline(
            Silent(),
            console(sys.stderr),
            keys,
            run=lambda found: get_run(store, found.run),
            changes=lambda _: changes(),
            now=lambda found: get_review(store, found.id),
        )
        row = get_review(store, review)
        answer = ask(row)
        found = json.dumps(None if answer is None else asdict(answer))
        sys.stdout.write(f"ANSWER {found} END\n")
        if answer is None:
            sys.stdout.write(f"AGAIN {ask(row)} END\n")


if __name__ == "__main__":
    main(sys.argv[1])
