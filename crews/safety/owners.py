"""Whose is a path, by the CODEOWNERS file of the folder that a run works on?

Reads GitHub's form and GitLab's (sections, optional ones, default owners, exclusions). Where they differ, the
dialect decides: GitLab takes a pattern without a leading slash at any depth, GitHub one without any slash. In each
section the last line that fits decides; the owners of all sections count. A line that is none is passed over, as
both do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from crews.safety.paths import clean, folded

Dialect = Literal["github", "gitlab"]

LOCATIONS: Final[tuple[tuple[str, Dialect], ...]] = (
    (".github/CODEOWNERS", "github"),
    (".gitlab/CODEOWNERS", "gitlab"),
    ("CODEOWNERS", "github"),
    ("docs/CODEOWNERS", "github"),
)
"""Where the file is looked for; the first one counts. One with sections is GitLab's wherever it lies."""
UNREADABLE: Final = "CODEOWNERS cannot be read"
"""The owner of everything, where there is such a file and nobody can tell what it says."""
MAX_CHARS = 3_000_000
"""Size above which GitHub takes no notice of the file, and we take it for unreadable."""

BLOCK = 20
"""Lines that are looked at as one."""
NOTHING = r"(?!)"

_SECTION = re.compile(r"(?P<optional>\^?)\[(?P<name>[^\]]+)\](?:\[\d+\])?(?P<owners>(?:\s.*)?)$")
_SPLIT = re.compile(r"(?<!\\)\s+")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_GUARDS = re.compile(
    r"(?:sec|secure|security|sec ?ops|dev ?sec ?ops|app ?sec|info ?sec|prod ?sec|auth|authn|authz|authentication"
    r"|authori[sz]ation|identity|identities|iam|idm|sso|ldap|login|accounts?|access|permissions?|rbac|crypto"
    r"|cryptography|pki|secrets|credentials)$"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: the paths it is about, and whose they are."""

    section: str
    pattern: str
    owners: tuple[str, ...]
    """Empty: nobody's."""
    anchored: bool
    excludes: bool = False
    """`!pattern`: nobody's in its section, whatever other lines say."""

    def covers(self, path: str, forgiving: str) -> bool:
        """Is the line about the path? One that gives owners is, whatever way the path is spelt.

        Args:
            path: The path, cleaned.
            forgiving: The same, folded.
        """
        pattern = _compiled(self.pattern, self.anchored)
        if pattern.fullmatch(path):
            return True
        return self.is_loose and bool(
            _compiled(self.pattern.casefold(), self.anchored).fullmatch(forgiving)
        )

    @property
    def is_loose(self) -> bool:
        """Is it about the path in every spelling?"""
        return bool(self.owners) and not self.excludes


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """A CODEOWNERS file, as it was when the run began. Two of them are never equal: it is looked up by itself."""

    entries: tuple[Entry, ...] = ()

    def of(self, path: str) -> tuple[str, ...]:
        """The owners of the path, section by section, each once."""
        found = (owner for entry in self.deciding(path) for owner in entry.owners)
        return tuple(dict.fromkeys(found))

    def deciding(self, path: str) -> tuple[Entry, ...]:
        """The line of each section that decides about the path."""
        return _deciding(self, path)

    def guards(self, path: str) -> tuple[str, ...]:
        """Those of the owners whose name, or whose section's, speaks of security or of who may do what."""
        found = (
            owner
            for entry in self.deciding(path)
            for owner in entry.owners
            if _guards(entry.section) or _guards(owner)
        )
        return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1_024)
def _deciding(owners: Owners, path: str) -> tuple[Entry, ...]:
    plain, forgiving = clean(path), folded(path)
    last: dict[str, Entry] = {}
    excluded: set[str] = set()
    for block in _blocks(owners):
        for entry in block.entries if block.speaks(plain, forgiving) else ():
            if entry.covers(plain, forgiving):
                last[entry.section] = entry
                excluded |= {entry.section} if entry.excludes else set()
    return tuple(entry for section, entry in last.items() if section not in excluded)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Some lines in a row, all of which are asked at once whether any of them is about a path."""

    entries: tuple[Entry, ...]
    as_written: re.Pattern[str]
    loosely: re.Pattern[str]

    @classmethod
    def of(cls, entries: tuple[Entry, ...]) -> _Block:
        """The lines as one."""
        return cls(
            entries,
            _any_of((e.pattern, e.anchored) for e in entries),
            _any_of((e.pattern.casefold(), e.anchored) for e in entries if e.is_loose),
        )

    def speaks(self, plain: str, forgiving: str) -> bool:
        """Is one of the lines about the path?"""
        if self.as_written.fullmatch(plain):
            return True
        if (forgiving, self.loosely) == (plain, self.as_written):
            return False  # just looked at
        return self.loosely.fullmatch(forgiving) is not None


@lru_cache(maxsize=64)
def _blocks(owners: Owners) -> tuple[_Block, ...]:
    every = range(0, len(owners.entries), BLOCK)
    return tuple(_Block.of(owners.entries[at : at + BLOCK]) for at in every)


def _any_of(globs: Iterable[tuple[str, bool]]) -> re.Pattern[str]:
    """What matches where one of the globs does; of none of them, nothing."""
    every = dict.fromkeys(_expression(pattern, anchored) for pattern, anchored in globs)
    return re.compile("|".join(f"(?:{one})" for one in every) or NOTHING)


NOBODY: Final = Owners()


def unreadable() -> Owners:
    """Everything is owned by somebody who must look."""
    return Owners((Entry("security", "*", (UNREADABLE,), anchored=False),))


def parse(text: str, dialect: Dialect) -> Owners:
    """The entries of a CODEOWNERS file; it is unreadable where it is too long."""
    if len(text) > MAX_CHARS:
        return unreadable()
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    if any(_SECTION.match(line) for line in lines):
        dialect = "gitlab"
    return Owners(tuple(_entries(lines, dialect)))


def _entries(lines: list[str], dialect: Dialect) -> Iterator[Entry]:
    section, given = "", tuple[str, ...]()
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if dialect == "gitlab" and (head := _SECTION.match(line)):
            section, given = head["name"].strip().casefold(), _owners(_SPLIT.split(head["owners"]))
            continue
        pattern, *rest = _SPLIT.split(line)
        excludes = dialect == "gitlab" and pattern.startswith("!")
        pattern = re.sub(r"\\(.)", r"\1", pattern.removeprefix("!") if excludes else pattern)
        if pattern.strip("/"):
            inner = "/" in pattern.rstrip("/")[1:] and dialect == "github"
            anchored = pattern.startswith("/") or inner
            yield Entry(section, pattern.lstrip("/"), _owners(rest) or given, anchored, excludes)


def _owners(words: list[str]) -> tuple[str, ...]:
    """Users, teams, roles (`@@developer`) and addresses, up to a comment."""
    owners: list[str] = []
    for word in words:
        if word.startswith("#"):
            break
        if "@" in word:
            owners.append(word)
    return tuple(owners)


@lru_cache(maxsize=4_096)
def _compiled(pattern: str, anchored: bool) -> re.Pattern[str]:
    return re.compile(_expression(pattern, anchored))


def _expression(pattern: str, anchored: bool) -> str:
    """A path glob: `*` within a name, `**` across folders; a plain name covers all that lies in it."""
    body = "".join(
        _piece(part) for part in re.split(r"(/\*\*/|^\*\*/|/\*\*$|\*+|\?)", pattern.rstrip("/"))
    )
    last = pattern.rstrip("/").rpartition("/")[2]
    if pattern.endswith("/"):
        body += "/.*"
    elif "*" not in last:
        body += "(?:/.*)?"
    return ("" if anchored else "(?:.*/)?") + body


def _piece(part: str) -> str:
    match part:
        case "/**/":
            return "/(?:.*/)?"
        case "**/":
            return "(?:.*/)?"
        case "/**":
            return "/.*"
        case "?":
            return "[^/]"
        case _:
            return "[^/]*" if part and not part.strip("*") else re.escape(part)


@lru_cache(maxsize=4_096)
def _guards(name: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(name)]
    pairs = (f"{one} {two}" for one, two in zip(words, words[1:], strict=False))
    return name == UNREADABLE or any(_GUARDS.match(word) for word in (*words, *pairs))
