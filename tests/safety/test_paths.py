"""Is a path seen through, however it is spelt?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.paths import clean, contained, covered, escapes, folded, in_git, meets


@pytest.mark.parametrize("path", ["..", "../a", "a/../../b", "/a", "//a", "a\0b"])
def test_paths_that_leave_the_workspace(path: str) -> None:
    assert escapes(path)


@pytest.mark.parametrize("path", ["", ".", "a", "a/../b", "..a", "a/..b/c", ".../x"])
def test_paths_that_stay(path: str) -> None:
    assert not escapes(path)


@pytest.mark.parametrize(
    "path", [".git", ".git/x", "a/.git/x", ".GIT/x", ".git /x", ".git::$INDEX/x", "a\\.git\\x"]
)
def test_git_in_every_spelling(path: str) -> None:
    assert in_git(path)


def test_spellings_of_one_file_fold_alike() -> None:
    spellings = [
        "src/Caf\u00e9.py",
        "SRC/CAFE\u0301.PY",
        "./src//caf\u00e9.py.",
        "src/ca\u200dfe\u0301.py",
    ]

    assert len({folded(path) for path in spellings}) == 1


@pytest.mark.parametrize(
    ("guard", "path", "met"),
    [
        ("a/b.yaml", "a/b.yaml", True),
        ("a/b.yaml", "a", True),
        ("a", "a/b.yaml", True),
        ("a/b.yaml", "a/b.yaml2", False),
        ("a/b.yaml", "c/a/b.yaml", False),
        ("a/*.yaml", "a/b.yaml", True),
        ("a/b.yaml", "", True),
    ],
)
def test_what_meets_a_protected_path(guard: str, path: str, met: bool) -> None:
    assert meets(guard, path) is met


def test_a_later_exclusion_takes_away() -> None:
    assert covered(("**", "!secret/**"), "a.py")
    assert not covered(("**", "!secret/**"), "secret/a.py")
    assert not covered((), "a.py")


@pytest.mark.parametrize(
    ("inner", "outer", "inside"),
    [
        ("src/**", "**", True),
        ("src/**", "src/**", True),
        ("src/a/*.py", "src/**", True),
        ("/src/a.py", "src/**", True),
        ("src/**", "src/a/**", False),
        ("src2/**", "src/**", False),
        ("src/../etc/**", "src/**", False),
        ("*.py", "src/**", False),
        ("**", "*", False),
        ("a/b", "*/**", False),
    ],
)
def test_containment_of_globs(inner: str, outer: str, inside: bool) -> None:
    assert contained(inner, outer) is inside


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing_more(path: str) -> None:
    assert clean(clean(path)) == clean(path)
    assert folded(folded(path)) == folded(folded(folded(path)))
