"""What do the calls and the built strings of Python code touch?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from crews.safety import check_rules
from crews.safety.action import Finding
from crews.safety.content_rules import CALLS, SQL_TEXT, CallRule
from crews.safety.pattern_search import MAX_CHARS
from crews.safety.python_code import PythonCode


def by_syntax(path: str, code: PythonCode) -> Iterator[Finding]:
    """What the statements of a file call, and the queries that they put together."""
    for line, name in code.calls:
        for rule in _rules_of(name):
            yield Finding(rule.category, path, line, f"{rule.detail}: `{name}`")
    for line, text in code.built:
        if SQL_TEXT.search(text[:MAX_CHARS]):
            yield Finding("sql", path, line, "builds a query from parts")


@lru_cache(maxsize=4_096)
def _rules_of(name: str) -> tuple[CallRule, ...]:
    return tuple(rule for rule in (*CALLS, *check_rules.CALLS) if _names(rule, name))


def _names(rule: CallRule, name: str) -> bool:
    return any(name == n or (n.endswith(".") and name.startswith(n)) for n in rule.names)
