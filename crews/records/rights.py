"""Who may decide this review? Those with its role, not its own author's four eyes, and one at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection, select

from crews.errors import Denied
from crews.records import users
from crews.records.questions import ReviewRow, claimed_by
from crews.records.rows import RunOptions
from crews.records.store import Store
from crews.records.tables import runs
from crews.records.users import Decider, Person


def roles_of(review: ReviewRow) -> tuple[str, ...]:
    """Roles that a decider needs, each of them; empty: anybody may decide."""
    return tuple(r for part in review.role.split(",") if (r := part.strip()))


def current(connection: Connection, decider: Decider) -> Decider:
    """The same person with the rights that they have in this transaction, whatever they had when they signed in.

    Where there are users, whoever is none of them (any more) comes back as a mere name, which may decide nothing.
    """
    if not users.are_known(connection):
        return decider
    person = next((p for p in users.people(connection) if p.name == decider.name), None)
    if person is None or decider.signed_in == "local":
        return Decider(decider.name, frozenset(), every_role=False, signed_in="local")
    return replace(decider, roles=person.roles, every_role=False)


def refusal(
    connection: Connection, review: ReviewRow, decider: Decider, now: float
) -> Denied | None:
    """Why this person, as `current` gives them, may not decide now; None: they may."""
    return (
        _without_role(review, decider)
        or _same_eyes(connection, review, decider)
        or _claimed(connection, review, decider, now)
    )


def mine(
    store: Store, reviews: Iterable[ReviewRow], decider: Decider, now: float
) -> tuple[ReviewRow, ...]:
    """Those of the reviews that this person may decide."""
    with store.reading() as connection:
        me = current(connection, decider)
        return tuple(r for r in reviews if refusal(connection, r, me, now) is None)


def deciders(store: Store, review: ReviewRow) -> tuple[str, ...] | None:
    """Names of the users who may decide, claims aside; None: the journal knows no users."""
    with store.reading() as connection:
        if not users.are_known(connection):
            return None
        everybody = [(p, _as_decider(p)) for p in users.people(connection)]
        return tuple(
            p.name
            for p, d in everybody
            if not (_without_role(review, d) or _same_eyes(connection, review, d))
        )


def _as_decider(person: Person) -> Decider:
    return Decider(person.name, person.roles, every_role=False, signed_in="login")


def _without_role(review: ReviewRow, decider: Decider) -> Denied | None:
    if decider.signed_in == "local" and not decider.every_role:
        return Denied(f"review `{review.id}` is decided by users of this journal only",
                      hint="`crews whoami` says who you are here")  # fmt: skip
    missing = [r for r in roles_of(review) if r not in decider.roles]
    if decider.every_role or not missing:
        return None
    return Denied(
        f"`{decider.name}` may not decide review `{review.id}`: it takes the role `{missing[0]}`",
        hint=f"`crews inbox show {review.id}` says who may",
    )


def _same_eyes(connection: Connection, review: ReviewRow, decider: Decider) -> Denied | None:
    if not review.four_eyes:
        return None
    where = runs.c.id == review.run
    text = connection.execute(select(runs.c.options).where(where)).scalar_one()
    askers = RunOptions.model_validate_json(text).askers
    head = f"review `{review.id}` takes four eyes"
    if decider.signed_in == "local":
        # A mere name proves nothing: the same person could go by another one.
        return Denied(f"{head}, and this journal knows no users",
                      hint="`crews users add NAME --login LOGIN` makes them")  # fmt: skip
    if not all(askers):
        return Denied(f"{head}, and nobody knows who started run `{review.run}`",
                      hint=f"`crews stop {review.run}` ends it")  # fmt: skip
    if not _names(connection, decider).isdisjoint(askers):
        started = (
            "started" if askers[-1] in _names(connection, decider) else "asked for what is done in"
        )
        return Denied(f"{head}: `{decider.name}` {started} run `{review.run}` and cannot decide it",
                      hint="somebody else must")  # fmt: skip
    return None


def _names(connection: Connection, decider: Decider) -> set[str]:
    """What this person may have been called when the run began: a run may be older than its users."""
    login = next((p.login for p in users.people(connection) if p.name == decider.name), "")
    return {decider.name, login, login.rpartition("/")[2]} - {""}


def _claimed(
    connection: Connection, review: ReviewRow, decider: Decider, now: float
) -> Denied | None:
    other = claimed_by(review, now)
    if other in {"", decider.name} or not _could_decide(connection, review, other):
        return None
    return Denied(f"`{other}` is looking at review `{review.id}`",
                  hint=f"wait until they are done, or ask them for `crews inbox release {review.id}`")  # fmt: skip


def _could_decide(connection: Connection, review: ReviewRow, name: str) -> bool:
    """Has who claimed it still the right to decide? Who lost that keeps nobody waiting."""
    if not users.are_known(connection):
        return True
    person = next((p for p in users.people(connection) if p.name == name), None)
    return person is not None and _without_role(review, _as_decider(person)) is None
