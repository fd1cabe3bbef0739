"""Is Python code read by its statements, and bad code left to be read as text?"""

from __future__ import annotations

import textwrap
import warnings

import pytest

from crews.safety.python_code import PythonCode, read
from crews.safety.python_parts import parse, parse_at


def read_at(source: str, *lines: int) -> PythonCode:
    parsed = parse_at(textwrap.dedent(source), frozenset(lines))
    assert parsed is not None
    return read(parsed, frozenset(lines))


def test_a_line_brings_its_statement_and_the_scopes_around_it() -> None:
    code = read_at(
        """\
        @guard
        class Access:
            x = 1

            def allowed(
                self,
            ):
                other()
                return check(
                    self.x,
                )
        """,
        10,
    )

    assert code.lines == {1, 2, 5, 6, 7, 9, 10, 11}
    assert code.calls == ((9, "check"),)


def test_calls_are_named_in_full() -> None:
    code = read_at(
        """\
        import subprocess as sp
        from os import system
        from hashlib import md5 as digest
        sp.run(["a"])
        system("b")
        x = [digest(y) for y in z]
        """,
        4,
        5,
        6,
    )

    assert [name for _, name in code.calls] == ["subprocess.run", "os.system", "hashlib.md5"]


def test_strings_built_from_parts() -> None:
    code = read_at(
        """\
        a = f"one {x}"
        b = "two %s" % x
        c = "three" + x
        d = "four {}".format(x)
        e = "five" + "six"
        f = f"seven"
        """,
        *range(1, 7),
    )

    assert [line for line, _ in code.built] == [1, 2, 3, 4]


def test_docstrings_are_told_apart() -> None:
    code = read_at('def f():\n    """The password.\n\n    Of the user.\n    """\n    return 1\n', 3)

    assert code.docstrings == {2, 3, 4, 5}


@pytest.mark.parametrize("source", ["def (", "x = 1\0", "(" * 5_000, "x" * 400_000])
def test_what_cannot_be_parsed_is_none(source: str) -> None:
    assert parse(source) is None


def test_a_doubtful_escape_warns_nobody() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert parse("x = '\\d'") is not None
    assert not seen
