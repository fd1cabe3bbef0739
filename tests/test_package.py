"""Is the package small on the outside, cheap to import, and its files short?"""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

import crews

ROOT = Path(crews.__file__).resolve().parent
FILES = sorted(p for p in ROOT.rglob("*.py") if "demo/shop" not in p.as_posix())
HEAVY = ("crewai", "anthropic", "dbos", "sqlalchemy", "pydantic", "yaml", "rich", "typer")
LONGEST = 350


def test_there_are_few_public_names_and_all_of_them_work() -> None:
    assert len(crews.__all__) <= 15
    assert sorted(crews.__all__) == list(crews.__all__) == dir(crews)
    for name in crews.__all__:
        assert getattr(crews, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute `kickof`"):
        _ = crews.kickof  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]


def test_the_version_is_that_of_the_project() -> None:
    text = (ROOT.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r'^version = "(.+)"$', text, re.MULTILINE)[1] == crews.__version__  # type: ignore[index]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_file_is_short_and_says_what_it_answers(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    said = ast.get_docstring(ast.parse(text))
    assert said, "no docstring"
    first = said.splitlines()[0]
    assert re.search(r"[?.]$|[?.] ", first), first
    assert len(first) <= 120


def python(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_it_imports_nothing_that_costs() -> None:
    loaded = python("-c", "import crews, sys; print(*sys.modules)").split()
    assert not {m.partition(".")[0] for m in loaded} & set(HEAVY)


@pytest.mark.parametrize(
    "module", ["crews.api", "crews.cli.app", "crews.records.store", "crews.report"]
)
def test_no_face_imports_the_frameworks(module: str) -> None:
    loaded = python("-c", f"import {module}, sys; print(*sys.modules)").split()
    assert not {m.partition(".")[0] for m in loaded} & {"crewai", "anthropic", "dbos"}


def test_importing_it_takes_no_longer_than_importing_pydantic() -> None:
    """Interleaved, so that both meet the same machine; a ratio, so that its speed does not matter."""

    def seconds(module: str) -> float:
        began = time.perf_counter()
        python("-c", f"import {module}")
        return time.perf_counter() - began

    pairs = [(seconds("crews"), seconds("pydantic")) for _ in range(5)]
    mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    assert mine <= other * 1.2


EFFECTS = """
import os, sys, threading
seen = []
def audit(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.system", "os.mkdir", "os.remove", "os.rename")):
        seen.append(event)
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append(f"open {arguments[0]}")
sys.addaudithook(audit)
sys.dont_write_bytecode = True
before = dict(os.environ), threading.active_count(), os.getcwd(), sorted(os.listdir("."))
import importlib, pkgutil, crews
names = [m.name for m in pkgutil.walk_packages(crews.__path__, "crews.")
         if not m.name.endswith("__main__") and ".demo.shop" not in m.name]
for name in names:
    importlib.import_module(name)
after = dict(os.environ), threading.active_count(), os.getcwd(), sorted(os.listdir("."))
assert before == after, (before, after)
assert len(names) > 50
print(*seen, sep="\\n")
"""


def test_importing_every_module_has_no_effect(tmp_path: Path) -> None:
    """No file is written, nothing is started, nothing is reached, no setting is read and kept."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run(
        [sys.executable, "-c", EFFECTS],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_settings_are_read_when_they_are_asked_for() -> None:
    code = (
        "import os, crews; early = crews.Settings; os.environ['CREWS_USER'] = 'eve'; "
        "print(early().user)"
    )
    assert python("-c", code) == "eve"
