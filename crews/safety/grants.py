"""What may be handed on? A delegation never has more than its agent, an agent than its team."""

from __future__ import annotations

from collections.abc import Iterable

from crews.errors import Denied
from crews.safety.paths import contained


class GrantExceeded(Denied):
    """More was asked for than the giver has; `excess` names it."""

    def __init__(self, kind: str, excess: tuple[str, ...], owned: Iterable[str]) -> None:
        has = ", ".join(sorted(owned)) or "none"
        super().__init__(
            f"These {kind} cannot be handed on: {', '.join(excess)}.",
            hint=f"The giver has: {has}. Ask for no more than that.",
        )
        self.kind = kind
        self.excess = excess


def narrow(parent: Iterable[str], requested: Iterable[str]) -> frozenset[str]:
    """The requested tools, all of which the giver has.

    Raises:
        GrantExceeded: Naming the tools that the giver lacks.
    """
    owned, wanted = frozenset(parent), frozenset(requested)
    if excess := tuple(sorted(wanted - owned)):
        raise GrantExceeded("tools", excess, owned)
    return wanted


def narrow_paths(parent: tuple[str, ...], requested: tuple[str, ...]) -> tuple[str, ...]:
    """The requested globs, each inside one of the giver's, less what the giver excludes (`!glob`).

    Containment is judged conservatively (`paths.contained`): equal, under `**`, or in a folder.

    Raises:
        GrantExceeded: Naming the globs that cannot be seen to lie inside.
    """
    roots = tuple(glob for glob in parent if not glob.startswith("!"))
    excess = tuple(g for g in requested if not g.startswith("!") and not _inside(g, roots))
    if excess:
        raise GrantExceeded("paths", excess, parent)
    if requested == parent:
        return requested
    # The giver's exclusions come last, so that nothing requested can take them back.
    return requested + tuple(glob for glob in parent if glob.startswith("!"))


def _inside(glob: str, roots: tuple[str, ...]) -> bool:
    return any(contained(glob, root) for root in roots)


def narrow_level(*levels: int | None) -> int:
    """The lowest of the levels that are given. Raises ValueError if none is."""
    return min(level for level in levels if level is not None)
