"""Are exactly the lines found that a change touches?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.changed import around, changed_lines, lines_of

texts = st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=12).map("\n".join)


def test_a_new_and_a_deleted_file() -> None:
    assert changed_lines(None, "a\nb\n").added == {1, 2}
    assert changed_lines("a\nb\n", None).removed == ((1, "a"), (2, "b"))


def test_a_changed_line_and_a_removed_one() -> None:
    diff = changed_lines("a\nb\nc\nd\n", "a\nB\nc\n")

    assert (diff.added, diff.removed) == ({2}, ((2, "b"), (4, "d")))
    assert {3, 4} <= diff.seams


def test_line_ends_alone_are_no_change() -> None:
    assert changed_lines("a\r\nb\r\n", "a\nb").added == frozenset()


@given(texts, texts)
def test_what_is_not_named_is_in_both(before: str, after: str) -> None:
    diff = changed_lines(before, after)
    gone = {number for number, _ in diff.removed}
    old, new = lines_of(before), lines_of(after)

    assert [line for n, line in enumerate(old, 1) if n not in gone] == [
        line for n, line in enumerate(new, 1) if n not in diff.added
    ]


def test_lines_around_stay_in_the_file() -> None:
    assert around({1, 9}, 2, 10) == {1, 2, 3, 7, 8, 9, 10}


@pytest.mark.timeout(60)
def test_a_rewritten_large_file_takes_no_minutes() -> None:
    before, after = "".join(f"{n}\n" for n in range(50_000)), "x\n" * 50_000

    assert len(changed_lines(before, after).added) == 50_000
