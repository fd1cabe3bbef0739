"""What does Python code say at given lines: whole statements, calls by full name, built strings?"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

from crews.safety.python_parts import Parsed

_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
_BARE = frozenset({"ctx", "op", "ops", "id", "attr", "arg", "kind", "type_comment"})
"""Fields with nothing in them that could hold a call or a text."""
_BUILDING = (ast.JoinedStr, ast.BinOp, ast.Call)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class PythonCode:
    """What stands at the lines that were asked for."""

    lines: frozenset[int]
    """Those lines, whole statements where one is cut, and the headers of the scopes around them."""
    docstrings: frozenset[int]
    """Lines of docstrings among them, which say what code means and do nothing."""
    calls: tuple[tuple[int, str], ...]
    """Line and full dotted name of every call, import aliases resolved."""
    built: tuple[tuple[int, str], ...]
    """Line and fixed parts of every string that is put together from parts."""


def read(parsed: Parsed, lines: frozenset[int]) -> PythonCode:
    """What the statements say at these lines; only the parts that touch them are visited."""
    wanted: set[int] = set(lines)
    docstrings: set[int] = set()
    calls: list[tuple[int, str]] = []
    built: list[tuple[int, str]] = []
    for statement in _statements(parsed.tree, lines):
        head = _head(statement)
        touched = not lines.isdisjoint(head)
        if touched or isinstance(statement, _SCOPES):
            wanted.update(head)
        if _is_docstring(statement):
            docstrings.update(head)
        elif touched:
            for node in _expressions(statement):
                if isinstance(node, ast.Call):
                    calls += _call(node, parsed.aliases)
                if isinstance(node, _BUILDING):
                    built += _built(node)
    return PythonCode(frozenset(wanted), frozenset(docstrings), tuple(calls), tuple(built))


def _statements(tree: ast.Module, lines: frozenset[int]) -> Iterator[ast.stmt]:
    """Every statement that touches one of the lines; what does not is not looked into."""
    ordered = sorted(lines)
    waiting: list[ast.AST] = [tree]
    while waiting:
        for child in _inner(waiting.pop()):
            if isinstance(child, ast.stmt):
                at = bisect_left(ordered, _first(child))
                if at == len(ordered) or ordered[at] > _last(child):
                    continue
                yield child
            waiting.append(child)


def _inner(node: ast.AST) -> list[ast.AST]:
    """What stands in its blocks."""
    found: list[ast.AST] = []
    for name in _blocks(type(node)):
        found += _nodes(getattr(node, name))
    return found


@cache
def _blocks(kind: type[ast.AST]) -> tuple[str, ...]:
    """Which of its fields hold blocks."""
    return tuple(name for name in _BLOCKS if name in kind._fields)


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """Which of its fields may hold nodes that hold others."""
    return tuple(name for name in kind._fields if name not in _BARE)


def _nodes(value: object) -> list[ast.AST]:
    """The syntax nodes of a field, which is a node, a list, or something else."""
    if isinstance(value, list):
        return [part for part in cast("list[object]", value) if isinstance(part, ast.AST)]
    return [value] if isinstance(value, ast.AST) else []


def _first(statement: ast.stmt) -> int:
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return min((d.lineno for d in statement.decorator_list), default=statement.lineno)
        case _:
            return statement.lineno


def _last(statement: ast.stmt) -> int:
    return statement.end_lineno or statement.lineno


def _head(statement: ast.stmt) -> range:
    """The lines of the statement itself, without the blocks inside it."""
    inner = [_first(child) for child in _inner(statement) if isinstance(child, ast.stmt)]
    last = max(statement.lineno, min(inner) - 1) if inner else _last(statement)
    return range(_first(statement), last + 1)


def _is_docstring(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _expressions(statement: ast.stmt) -> Iterator[ast.AST]:
    for name in _fields(type(statement)):
        for node in () if name in _BLOCKS else _nodes(getattr(statement, name, None)):
            yield from _walked(node)


def _walked(node: ast.AST) -> list[ast.AST]:
    """The node and all below it, level by level, in the order of `ast.walk`."""
    found = [node]
    for one in found:  # grows while it is walked
        for name in _fields(type(one)):
            value: object = getattr(one, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += _nodes(cast("list[object]", value))
    return found


def _call(node: ast.AST, aliases: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.Call) and (name := _dotted(node.func)):
        root, dot, rest = name.partition(".")
        yield node.lineno, aliases.get(root, root) + dot + rest


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join((node.id, *reversed(parts))) if isinstance(node, ast.Name) else ""


def _built(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.JoinedStr():
            if any(isinstance(part, ast.FormattedValue) for part in node.values):
                yield node.lineno, _fixed(node)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            if not isinstance(node.right, ast.Constant):
                yield node.lineno, _fixed(node)
        case ast.Call(func=ast.Attribute(attr="format" | "join", value=text)):
            yield node.lineno, _fixed(text)
        case _:
            pass


def _fixed(node: ast.AST) -> str:
    """The literal text in an expression, its parts set apart."""
    constants = (part.value for part in _walked(node) if isinstance(part, ast.Constant))
    return " ".join(value for value in constants if isinstance(value, str))
