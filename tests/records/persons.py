"""Which people are there in a test, and what do they ask about?"""

from __future__ import annotations

from typing import Any

from crews.records import audit, users
from crews.records.inbox import open_review
from crews.records.journal import Journal
from crews.records.questions import ReviewRow
from crews.records.rows import RunOptions
from crews.records.runs import claim, new_run
from crews.records.store import Store
from crews.records.users import Decider, SignedIn
from crews.teams.spec import Stage
from tests.records.builders import question, team


def decider(name: str, *roles: str, signed_in: SignedIn = "login") -> Decider:
    """A person as `identify` finds one where there are users."""
    return Decider(name, frozenset(roles), every_role=False, signed_in=signed_in)


ROOT = decider("root", "admin")
"""The first user of `peopled`."""


def peopled(store: Store, **roles: tuple[str, ...]) -> dict[str, Decider]:
    """Users with these roles, and `root`, who is the admin."""
    users.add_user(store, "root", by=decider("nobody"))
    found: dict[str, Decider] = {}
    for name, own in roles.items():
        person = users.add_user(store, name, roles=own, login=f"{name}-login", by=ROOT)
        found[name] = decider(name, *person.roles)
    return found


def stages(*given: tuple[str, float] | tuple[str, float, float | None]) -> tuple[Stage, ...]:
    """Stages of (role, within, remind)."""
    return tuple(
        Stage(role=one[0], within=one[1], remind=one[2] if len(one) == 3 else None) for one in given
    )


def asked(
    store: Store, started_by: str = "sam", options: RunOptions | None = None, **values: Any
) -> ReviewRow:
    """An open review of a new run that this person started."""
    return asked_of(begun(store, started_by, options), **values)


def begun(store: Store, started_by: str = "sam", options: RunOptions | None = None) -> Journal:
    """A new run that this person started, in this process's hands."""
    given = (options or RunOptions()).model_copy(update={"started_by": started_by})
    run = new_run(store, goal="Do it", inputs={}, team=team(), options=given)
    return Journal(store, run.id, claim(store, run.id))


def asked_of(journal: Journal, **values: Any) -> ReviewRow:
    """An open review of that run."""
    wanted: dict[str, Any] = {"address": "/#x", **values}
    return open_review(journal, question(**wanted))


def told(store: Store, kind: str, run: str | None = None) -> list[dict[str, Any]]:
    """What the audit log says of that kind; the chain holds."""
    assert audit.first_break(store) is None
    return [body for e, body in audit.told(store, run) if e.kind == kind]
