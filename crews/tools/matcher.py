"""Which lines match a pattern? A program of its own, so that one that explodes can be killed.

Standard input: one JSON line `[pattern, ignore_case, context, limit, cap, cpu_seconds]`, then for
each file one JSON line `[path, text]`. Standard output, at the end: one JSON list of `[path,
number, is_match, text]` (a `number` of 0 stands between groups that do not touch), whether
there was more, and why the pattern is none (empty: it is one). Imports nothing of ours.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Iterator

Shown = tuple[str, int, bool, str]
"""Path, line number, did the line match, its text."""


MEMORY = 1 << 30
"""Bytes of address space."""
MOST_SHOWN = 1_000_000
"""Characters of all lines that are shown."""


def matching(pattern: re.Pattern[str], lines: list[str], cap: int) -> Iterator[int]:
    """Indices of the lines that match; a line longer than `cap` is never looked at."""
    return (n for n, line in enumerate(lines) if len(line) <= cap and pattern.search(line))


def groups(hits: list[int], count: int, context: int) -> list[tuple[int, int]]:
    """Ranges [first, last) of lines to show; those that touch are one."""
    found: list[tuple[int, int]] = []
    for hit in hits:
        first, last = max(0, hit - context), min(count, hit + context + 1)
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def lines_of(text: str) -> list[str]:
    """Lines without their ends."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def shown(path: str, lines: list[str], hits: list[int], context: int) -> Iterator[Shown]:
    """What is shown of one file."""
    wanted = set(hits)
    for first, last in groups(hits, len(lines), context):
        if context:
            yield path, 0, False, ""
        for n in range(first, last):
            yield path, n + 1, n in wanted, lines[n]


def main() -> None:
    """Read everything, answer once."""
    pattern_text, ignore_case, context, limit, cap, seconds = json.loads(sys.stdin.readline())
    _limit_cpu(seconds)
    try:
        pattern = _compiled(pattern_text, ignore_case=ignore_case)
    except (re.error, OverflowError, RecursionError) as error:
        json.dump([[], False, str(error) or type(error).__name__], sys.stdout)
        return
    answer: list[Shown] = []
    left, more, room = limit, False, MOST_SHOWN
    for row in sys.stdin:
        path, text = json.loads(row)
        lines = lines_of(text)
        hits: list[int] = []
        for hit in matching(pattern, lines, cap):
            if len(hits) == left:
                more = True
                break
            hits.append(hit)
        left -= len(hits)
        for line in shown(path, lines, hits, context):
            room -= len(line[3])
            if room < 0:
                more = True
                break
            answer.append(line)
        if more:
            break
    sys.stdin.close()
    json.dump([answer, more, ""], sys.stdout)


def _compiled(pattern: str, *, ignore_case: bool) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(pattern, re.IGNORECASE if ignore_case else 0)


def _limit_cpu(seconds: int) -> None:
    try:
        import resource
    except ImportError:
        return  # no such limit on this system; the caller's own clock still holds
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    main()
