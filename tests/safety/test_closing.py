"""Is a stretch of Python seen to be closed, and never one that goes on?"""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.closing import is_closed

CLOSED = (
    "",
    "x = 1",
    "x = (1,\n2)",
    "def f():\n    '''It's \"so\".'''\n    return '\\'' + \"'\"",
    "x = '''\ndef no(:\n'''",
    "# it's (\nx = 1",
    "x = rb'\\'' + f'{a}' + f\"{a['b']:>{n}} {{\" + F'{a!r}'",
    "x = 'a\\\nb'",
    "y = 1 + \\\n2",
)
OPEN = (
    "x = (",
    "x = ]",
    "'''",
    'x = """a\\"""',
    "x = 'a\nb'",
    "x = 1 + \\",
    "x = \\'a'",
    # what these are depends on the version of Python
    'f"{a["b"]}"',
    "f\"{'\"' + '''\n",
    "f'''{a}'''",
    'fr\'{"""x\'',
)


@pytest.mark.parametrize("text", CLOSED)
def test_what_is_closed_is_seen_to_be(text: str) -> None:
    assert is_closed(text)


@pytest.mark.parametrize("text", OPEN)
def test_what_goes_on_or_cannot_be_told_is_not_called_closed(text: str) -> None:
    assert not is_closed(text)


@given(
    st.text(alphabet="f'\"\\{}()#\nrx =,", max_size=24), st.text(alphabet="'\"})]\n#x", max_size=8)
)
def test_python_does_not_go_on_where_it_is_called_closed(text: str, more: str) -> None:
    """What follows at the margin is a statement of its own, whatever comes after it."""
    source = f"{text}\ndef g(): pass\n{more}"
    if not is_closed(text) or (tree := parsed(source)) is None:
        return
    at = text.count("\n") + 2
    assert any(isinstance(s, ast.FunctionDef) and s.lineno == at for s in tree.body)


def parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


@pytest.mark.parametrize(
    "piece", ['"', "'", '\\"', '"""', "f'{", "f\"{'x'", "(", "{'", "\\", "#", "''' "]
)
def test_the_worst_text_costs_what_its_length_says(piece: str) -> None:
    text = (piece * 20_000)[:20_000]
    began = time.process_time()
    is_closed(text)
    is_closed(f"x{text}")
    assert time.process_time() - began < 1
