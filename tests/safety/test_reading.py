"""Is a change judged by what its file is, although that is looked into only where it matters?"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crews.safety import reading
from crews.safety.action import FileChange, Finding
from crews.safety.changed import changed_lines, lines_of
from crews.safety.python_parts import Parsed
from crews.safety.reading import in_code
from tests.safety.test_python_parts import PIECES

TOUCHY = (
    '"""Says that the session token is secret."""\n',
    "def login(user):\n    '''Checks the password.'''\n    return user\n",
    "class Permission:\n    def ask(self):\n        return sp.run(self)\n",
    "x = eval('1')\n",
    "def total(prices):\n    return sum(prices)\n",
)


def found(change: FileChange) -> tuple[Finding, ...]:
    """What is found in it."""
    return in_code(change, changed_lines(change.before, change.after), lines_of(change.after))


def nothing(source: str, lines: frozenset[int]) -> Parsed | None:
    """A glance that sees nothing, so that a closer look is needed."""
    del source, lines
    return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from((*PIECES, *TOUCHY)), max_size=8),
    st.lists(st.sampled_from((*PIECES, *TOUCHY)), max_size=8),
    st.sampled_from(("a.py", "auth/b.pyi", "c.rb")),
)
def test_a_glance_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, before: list[str], after: list[str], path: str
) -> None:
    change = FileChange(path, "".join(before), "".join(after))
    glanced = found(change)
    with monkeypatch.context() as patch:
        patch.setattr(reading, "glance_at", nothing)
        assert glanced == found(change)


def test_what_a_broken_file_calls_is_not_looked_up() -> None:
    """It is read as text where any part of it is no Python, however far from the change."""
    sound = "import subprocess as sp\n\n\ndef f():\n    sp.run(1)\n\n\ndef g():\n    return 1\n"
    change = FileChange("a.py", sound.replace("sp.run(1)", "2"), sound)
    broken = FileChange("a.py", f"{change.before}print 'two'\n", f"{sound}print 'two'\n")

    assert any("subprocess.run" in finding.detail for finding in found(change))
    assert not any("subprocess.run" in finding.detail for finding in found(broken))
