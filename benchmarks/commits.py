"""Which real commits can be had? Upstream's patches from Debian source packages, by apt and its signatures.

Without root, and without a change to the system: apt is given its own lists, in the cache, and the suites below
at the addresses that this machine's apt uses already. Of each package only the archive with Debian's patches is
fetched. A patch counts as a commit where it has a subject line and a diff.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from pathlib import Path

from crews.safety.action import FileChange

SUITES = ("bookworm", "bookworm-security", "bullseye", "bullseye-security")
MAX_PATCH = 400_000
"""Characters of a patch beyond which it is no single commit, or nobody would read it."""

_ARCHIVES = "*.debian.tar.*"
_ONE_SUBJECT = re.compile(r"^Subject:\s*(.*(?:\n[ \t].*)*)", re.MULTILINE)
_TAG = re.compile(r"^(?:\s*\[[^\]]*\])+\s*|^\s*CVE-\d+-\d+:?\s*", re.IGNORECASE)
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)")
_FILE = re.compile(r"^--- (\S+).*\n\+\+\+ (\S+).*$", re.MULTILINE)
_NO_CODE = re.compile(
    r"(?i)(?:^|/)(?:docs?|documentation|man|manual|locale|po|translations?|i18n|l10n|debian|changelogs?|releasenotes"
    r"|tests?|testing|testsuite|t|spec|specs|unittests?|__tests__|regress|fixtures|selftests?|examples?)/"
    r"|\.(?:md|rst|txt|po|pot|html?|adoc|texi|pod|sgml|[1-9]|in\.[1-9]|svg|png|xml\.in|docbook)$"
    r"|(?:^|/)(?:news|changes|changelog|readme|authors|thanks|todo|copying|license)[^/]*$"
    r"|(?:^|/)tests?_[^/]*$|[._-](?:test|tests|spec)\.[a-z]+$|(?:^|/)test[^/]*\.(?:py|c|cc|cpp|sh|pl|js)$"
)


@dataclass(frozen=True, slots=True)
class Commit:
    """One patch: what its author calls it, and what it changes."""

    package: str
    name: str
    subject: str
    changes: tuple[FileChange, ...]
    """Each file as its hunks alone: the changed lines and three lines around them."""


def fetch(cache: Path, packages: Iterable[str]) -> None:
    """Fetch what the cache does not hold yet; a package that is in no suite is passed over."""
    for folder in ("lists/partial", "archives/partial", "patches"):
        (cache / folder).mkdir(parents=True, exist_ok=True)
    if not (cache / "sources.list").exists():
        (cache / "sources.list").write_text("\n".join(_sources()) + "\n", encoding="utf-8")
        subprocess.run([*_apt(cache), "update"], check=True)
    for package in packages:
        done = cache / "patches" / f".{package}"
        if done.exists():
            continue
        for suite in SUITES:
            wanted = ["source", "--download-only", "--diff-only", f"{package}/{suite}"]
            subprocess.run([*_apt(cache), *wanted], cwd=cache / "patches", capture_output=True)
        done.touch()


def _sources() -> Iterator[str]:
    shown = "$(ORIGIN)|$(SITE)|$(REPO_URI)|$(SIGNED_BY)|$(LABEL)"
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", shown, "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for line in sorted(set(done.stdout.splitlines())):
        origin, _, uri, key, label = line.split("|")
        for suite in SUITES if origin == "Debian" else ():
            if ("security" in label.lower()) == suite.endswith("-security"):
                yield f"deb-src {f'[signed-by={key}] ' if key else ''}{uri} {suite} main"


def _apt(cache: Path) -> list[str]:
    at = {
        "Dir::Etc::SourceList": cache / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::State::Lists": cache / "lists",
        "Dir::Cache": cache,
        "APT::Sandbox::User": "",
    }
    return [
        "apt-get",
        "-qq",
        *(part for key, value in at.items() for part in ("-o", f"{key}={value}")),
    ]


def project(package: str) -> str:
    """The package's name without a version in it: two versions are one project."""
    return re.sub(r"-?[\d.]+$", "", package) or package


def commits(cache: Path, package: str, most: int) -> list[Commit]:
    """At most so many commits of one package that touch code, drawn by a hash; each diff once."""
    seen: dict[str, Commit] = {}
    for archive in sorted((cache / "patches").glob(f"{package}_{_ARCHIVES}")):
        for name, text in _patches(archive):
            one = _commit(package, name, text)
            if one is not None:
                seen.setdefault(_digest(repr(one.changes)), one)
    named = {one.subject: one for one in seen.values()}
    return sorted(named.values(), key=lambda one: _digest(one.subject))[:most]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _patches(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and "debian/patches/" in member.name and member.size < MAX_PATCH:
                held = tar.extractfile(member)
                if held is not None:
                    yield (
                        member.name.split("debian/patches/")[1],
                        held.read().decode("utf-8", "replace"),
                    )


def _commit(package: str, name: str, text: str) -> Commit | None:
    first = _FILE.search(text)
    subjects = _ONE_SUBJECT.findall(text[: first.start()] if first else "")
    if first is None or len(subjects) != 1 or len(_ONE_SUBJECT.findall(text)) != 1:
        return None
    subject = _plain(subjects[0])
    changes = tuple(_changes(text))
    if not subject or not any(_is_code(change.path) for change in changes):
        return None
    return Commit(package, name, subject, changes)


def _plain(subject: str) -> str:
    joined = " ".join(subject.split())
    with contextlib.suppress(ValueError, LookupError):
        joined = str(make_header(decode_header(joined)))
    return _TAG.sub("", _TAG.sub("", joined)).strip()


def _is_code(path: str) -> bool:
    return not _NO_CODE.search(path)


def _changes(text: str) -> Iterator[FileChange]:
    marks = list(_FILE.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        old, new = _sides(text[mark.end() + 1 : after.start() if after else len(text)])
        source, target = mark.groups()
        path = (source if target == "/dev/null" else target).split("/", 1)[-1]
        yield FileChange(
            path,
            None if source == "/dev/null" else "\n".join(old),
            None if target == "/dev/null" else "\n".join(new),
        )


def _sides(body: str) -> tuple[list[str], list[str]]:
    """Both sides of a file's hunks, set apart by more lines than count as surroundings, each below its header.

    The header is the line of the file that names the function around a hunk.
    """
    old: list[str] = []
    new: list[str] = []
    left = right = 0
    for line in body.split("\n"):
        if hunk := _HUNK.match(line):
            left, right = int(hunk[2] or 1), int(hunk[4] or 1)
            if old or new:
                old += [""] * 4
                new += [""] * 4
            if hunk[5]:
                old.append(hunk[5])
                new.append(hunk[5])
        elif left > 0 or right > 0:
            sign, rest = line[:1], line[1:]
            if sign in {"-", " ", ""}:
                old.append(rest)
                left -= 1
            if sign in {"+", " ", ""}:
                new.append(rest)
                right -= 1
    return old, new
