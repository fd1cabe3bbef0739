"""Does each level change what its name says, and nothing else?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.action import STRICTNESS, Action, Finding, Verdict
from crews.safety.autonomy import LEVELS, loosen, name, tools_allowed, turns_allowed
from tests.safety.builders import action

ASK = Verdict("ask", "careful", "Careful.", role="dba", roles=("dba",))
SENSITIVE = Verdict("ask", "careful", "Careful.", (Finding("auth", "a.py", 1, "login"),))


@pytest.mark.parametrize(
    ("verdict", "asked", "rulings"),
    [
        (ASK, action("network"), "ask ask ask allow allow"),
        (ASK, action("external"), "ask ask ask ask ask"),
        (ASK, action("read", delegation=True), "ask ask ask ask allow"),
        (SENSITIVE, action("write"), "ask ask ask ask ask"),
        (Verdict("deny", "never", "No."), action("read"), "deny deny deny deny deny"),
        (Verdict("allow", "free", "Yes."), action("external"), "allow allow allow allow allow"),
    ],
)
def test_what_each_level_makes_of_a_verdict(verdict: Verdict, asked: Action, rulings: str) -> None:
    found = [loosen(verdict, asked, level).ruling for level in range(5)]

    assert found == rulings.split()


def test_a_loosened_verdict_says_so_and_needs_nobody() -> None:
    verdict = loosen(ASK, action("network"), 3)

    assert (verdict.role, verdict.roles, verdict.rule) == ("", (), "careful")
    assert verdict.reason == "Careful. Level 3 (autonomous) goes on without asking."


def test_tools_and_turns() -> None:
    assert [len(tools_allowed(level)) for level in range(5)] == [0, 1, 5, 5, 5]
    assert [turns_allowed(level) for level in range(5)] == [1, 2, None, None, None]
    assert [name(level) for level in range(5)] == list(LEVELS)


@pytest.mark.parametrize("level", [-1, 5])
def test_there_are_no_other_levels(level: int) -> None:
    for ask in (tools_allowed, turns_allowed, name):
        with pytest.raises(ValueError, match="no autonomy level"):
            ask(level)


@given(st.sampled_from(["read", "write", "execute", "network", "external"]), st.integers(0, 3))
def test_a_higher_level_is_never_stricter(effect: str, level: int) -> None:
    asked = action(effect)  # pyright: ignore[reportArgumentType]
    lower, higher = loosen(ASK, asked, level), loosen(ASK, asked, level + 1)

    assert STRICTNESS[higher.ruling] <= STRICTNESS[lower.ruling]
    assert loosen(lower, asked, level) == lower
