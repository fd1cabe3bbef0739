"""At what is an action aimed, and what does a plan grant? Said so that a human can judge it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from crews.plain import one_line

END: Final = 200
"""Characters of each end of a long value that are shown."""


def aims(about: dict[str, Any]) -> Iterator[str]:
    """Each value that decides who or how much, spelt so that no letter passes for another, and who named it."""
    for origin in about.get("origins") or ():
        value = text_of(origin, "value")
        spelt = "" if value.isascii() else f" (spelt {ascii(value)})"
        seen = text_of(origin, "seen")
        named = (
            "named by somebody you trust"
            if origin.get("grounded")
            else "NOT named by anybody you trust"
        )
        named += f", first seen in the result of {one_line(seen)}" if seen else ""
        place = one_line(f"{origin.get('argument')} ({origin.get('role')})", 120)
        # Who named it comes first: no value is so long that it pushes that out of sight.
        yield f"{place}: {named}: {_both_ends(f'{value}{spelt}')}"


def _both_ends(text: str) -> str:
    """A value on one line; a long one with its end, which a cut would hide."""
    whole = one_line(text, len(text) * 12 + 1)
    left_out = len(whole) - 2 * END
    if left_out <= 0:
        return whole
    return f"{whole[:END]} [{left_out} more characters, see the arguments] {whole[-END:]}"


_OF_A_STEP = (
    ("expected_output", "gives"),
    ("acceptance", "accepted if"),
    ("tools", "tools"),
    ("paths", "writes"),
    ("hosts", "hosts"),
    ("targets", "targets"),
    ("amount", "amounts up to"),
    ("returns", "returns only"),
)
"""Keys of a step beside its task, and how each is called."""


def steps(about: dict[str, Any], key: str) -> Iterator[str]:
    """Each step of a plan, with all that it grants."""
    found: list[dict[str, Any]] = about.get(key) or []
    for step in found:
        after = ", ".join(one_line(name) for name in listed(step, "depends_on"))
        order = f" (after {after})" if after else ""
        head = f"{one_line(text_of(step, 'id'))} {one_line(text_of(step, 'agent'))}{order}"
        details = [one_line(text_of(step, "task"), 400)]
        details += [
            f"{name}: {one_line(text_of(step, key), 400)}"
            for key, name in _OF_A_STEP
            if step.get(key)
        ]
        yield f"{head}: {'; '.join(details)}"


def text_of(about: dict[str, Any], key: str) -> str:
    """A value of a review's subject as text."""
    value = about.get(key)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def listed(about: dict[str, Any], key: str) -> list[str]:
    """A list of a review's subject as texts."""
    entries: list[object] = about.get(key) or []
    return [e if isinstance(e, str) else json.dumps(e, ensure_ascii=False) for e in entries]
