"""Does a file say the same when it is parsed by parts, and is a part that is known not parsed again?"""

from __future__ import annotations

import ast
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety import python_parts
from crews.safety.python_code import PythonCode, read
from crews.safety.python_parts import Parsed, glance_at, parse, parse_at

OWN = tuple(sorted(Path(python_parts.__file__).parent.glob("*.py")))
PIECES = (
    "import subprocess as sp\n",
    "from os import (\n    system,\n)\n",
    'TEXT = """\ndef no():\n    pass\nclass No:\n"""\n',
    "X = [\n1,\n]\n",
    "Y = 1 + \\\nX\n",
    "@guard(\n1,\n)\ndef f():\n    sp.run(1)\n",
    "if X:\n    system(f'{X}')\nelse:\n    pass\n",
    "try:\n    g()\n# why\nexcept E:\n    pass\n",
    "class C:\n    '''what\nit is'''\n    def m(self):\n        return 'a' + X\n",
    "async def h():\n    pass\n",
    "match X:\n    case 1:\n        pass\n",
    "print 'two'\n",
    "'''\n",
    "    indented()\n",
    "else:\n    pass\n",
    ")\n",
    "\n",
    "# text\n",
)


def whole(source: str, lines: frozenset[int]) -> PythonCode | None:
    """What is said where the file is parsed as a whole."""
    tree = parse(source)
    return None if tree is None else read(Parsed(tree, dict(python_parts.imported(tree))), lines)


def by_parts(source: str, lines: frozenset[int]) -> PythonCode | None:
    parsed = parse_at(source, lines)
    return None if parsed is None else read(parsed, lines)


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.frozensets(st.integers(1, 30), max_size=6))
def test_parts_say_what_the_whole_says(pieces: list[str], lines: frozenset[int]) -> None:
    source = "".join(pieces)
    assert by_parts(source, lines) == whole(source, lines)
    assert by_parts(source.replace("\n", "\r\n"), lines) == whole(source, lines)


@given(st.lists(st.sampled_from(PIECES), max_size=6), st.frozensets(st.integers(1, 30), max_size=6))
def test_a_glance_at_python_sees_what_a_closer_look_does(
    pieces: list[str], lines: frozenset[int]
) -> None:
    source = "".join(pieces)
    seen = glance_at(source, lines)
    if seen is not None and (said := whole(source, lines)) is not None:
        assert read(seen, lines) == said


@pytest.mark.parametrize("file", OWN, ids=lambda file: file.name)
def test_real_files_say_the_same_by_parts(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    for first in range(1, source.count("\n") + 1, 40):
        lines = frozenset(range(first, first + 7))
        assert by_parts(source, lines) == whole(source, lines)


@pytest.mark.parametrize("first", ["", '"""', "x = (", "y ="])
def test_thousands_of_parts_cost_what_their_length_says(first: str) -> None:
    source = f"{first}\n" + "def f(): pass\n" * 20_000
    began = time.process_time()
    parse_at(source, frozenset({3}))
    assert time.process_time() - began < 1


def test_what_was_parsed_before_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    source = OWN[0].with_name("policy.py").read_text(encoding="utf-8")
    parse_at(source, frozenset({1}))
    parsed: list[str] = []

    def counting(text: str) -> ast.Module:
        parsed.append(text)
        return ast.Module([], [])

    monkeypatch.setattr(python_parts, "_parsed", counting)
    end = source.count("\n")
    parse_at(f"{source}\nchanged = 1\n", frozenset({end + 2}))
    assert len(parsed) == 1
    assert len(parsed[0].strip()) < len(source) / 8
