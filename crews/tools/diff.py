"""How is the difference of two texts written, so that people read it and `git apply` accepts it?"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

CONTEXT = 3
"""Unchanged lines shown around a change."""

# difflib's time grows with the product of both lengths; beyond this a change is shown as one block.
_PRODUCT = 25_000_000
_NO_NEWLINE = "\\ No newline at end of file\n"

Block = tuple[int, int, int, int]
"""Lines [i1, i2) of the old text became lines [j1, j2) of the new one."""
Version = tuple[str, str | None]
"""Mode as git writes it, and the text; None: binary."""


def file_diff(path: str, before: Version | None, after: Version | None) -> str:
    """One file's part of a git-style diff; `None`: it does not exist."""
    a, b = quoted(f"a/{path}"), quoted(f"b/{path}")
    head = [f"diff --git {a} {b}\n"]
    if before is None and after is not None:
        head.append(f"new file mode {after[0]}\n")
    elif after is None and before is not None:
        head.append(f"deleted file mode {before[0]}\n")
    elif before is not None and after is not None and before[0] != after[0]:
        head += [f"old mode {before[0]}\n", f"new mode {after[0]}\n"]
    old, new = (before[1] if before else ""), (after[1] if after else "")
    a = a if before else "/dev/null"
    b = b if after else "/dev/null"
    if old is None or new is None:
        return "".join(head) + f"Binary files {a} and {b} differ\n"
    hunks = list(_hunks(lines(old), lines(new)))
    if hunks:
        tab = "\t" if " " in path else ""  # how git marks where a name with spaces ends
        head += [f"--- {a}{tab if before else ''}\n", f"+++ {b}{tab if after else ''}\n"]
    return "".join(head + hunks)


def counts(old: str, new: str) -> tuple[int, int]:
    """Lines added and lines removed."""
    changed = blocks(lines(old), lines(new))
    return sum(j2 - j1 for _, _, j1, j2 in changed), sum(i2 - i1 for i1, i2, _, _ in changed)


def lines(text: str) -> list[str]:
    """Lines with their ends, as git sees them: only a line feed ends one."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def quoted(path: str) -> str:
    """A path as git writes it: in C quotes where it holds a quote, backslash or control."""
    if not any(letter in '"\\' or ord(letter) < 32 or ord(letter) == 127 for letter in path):
        return path
    return '"' + "".join(_escaped(letter) for letter in path) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return f"\\{ord(letter):03o}" if ord(letter) < 32 or ord(letter) == 127 else letter


def blocks(old: Sequence[str], new: Sequence[str]) -> list[Block]:
    """What changed, in order; deterministic."""
    start = _common(zip(old, new, strict=False))
    room = min(len(old), len(new)) - start
    end = min(room, _common(zip(reversed(old), reversed(new), strict=False)))
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    if not left and not right:
        return []
    if not left or not right or len(left) * len(right) > _PRODUCT:
        return [(start, len(old) - end, start, len(new) - end)]
    codes = difflib.SequenceMatcher(None, left, right).get_opcodes()
    return [
        (i1 + start, i2 + start, j1 + start, j2 + start)
        for tag, i1, i2, j1, j2 in codes
        if tag != "equal"
    ]


def _common(pairs: Iterator[tuple[str, str]]) -> int:
    count = 0
    for one, other in pairs:
        if one != other:
            break
        count += 1
    return count


def _hunks(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for group in _groups(blocks(old, new)):
        first, last = group[0], group[-1]
        above = min(CONTEXT, first[0])
        below = min(CONTEXT, len(old) - last[1])
        i, end = first[0] - above, last[1] + below
        yield _heading(i, end, first[2] - above, last[3] + below)
        for i1, i2, j1, j2 in group:
            yield from (_line(" ", text) for text in old[i:i1])
            yield from (_line("-", text) for text in old[i1:i2])
            yield from (_line("+", text) for text in new[j1:j2])
            i = i2
        yield from (_line(" ", text) for text in old[i:end])


def _groups(changed: Sequence[Block]) -> Iterator[list[Block]]:
    """Changes whose context touches share a hunk."""
    group: list[Block] = []
    for block in changed:
        if group and block[0] - group[-1][1] > 2 * CONTEXT:
            yield group
            group = []
        group.append(block)
    if group:
        yield group


def _heading(i1: int, i2: int, j1: int, j2: int) -> str:
    return f"@@ -{_range(i1, i2)} +{_range(j1, j2)} @@\n"


def _range(start: int, stop: int) -> str:
    length = stop - start
    first = start + 1 if length else start  # an empty range names the line before it
    return f"{first}" if length == 1 else f"{first},{length}"


def _line(mark: str, text: str) -> str:
    return mark + text if text.endswith("\n") else f"{mark}{text}\n{_NO_NEWLINE}"
