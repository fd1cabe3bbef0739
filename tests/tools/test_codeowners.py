"""Are the owners those of the user's folder, from the first place that has them, and never lost?"""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.safety.owners import UNREADABLE
from crews.tools.codeowners import owners_of
from crews.tools.copying import make_workspace
from crews.tools.workspace import Workspace


def workspace(folder: Path, run: Path, **files: str) -> Workspace:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return make_workspace(folder, run, 10)


def test_the_first_place_counts(tmp_path: Path) -> None:
    made = workspace(
        tmp_path / "f", tmp_path / "r", _dot_github__CODEOWNERS="* @one\n", CODEOWNERS="* @two\n"
    )

    assert owners_of(made).of("x/y.c") == ("@one",)


def test_gitlab_s_place_is_read_as_gitlab_reads_it(tmp_path: Path) -> None:
    made = workspace(tmp_path / "f", tmp_path / "r", _dot_gitlab__CODEOWNERS="a/b.c @one\n")

    assert owners_of(made).of("x/a/b.c") == ("@one",)


def test_what_agents_write_there_changes_nothing(tmp_path: Path) -> None:
    made = workspace(tmp_path / "f", tmp_path / "r", CODEOWNERS="* @one\n")
    made.write_text("CODEOWNERS", "* @two\n")
    made.write_text(".github/CODEOWNERS", "* @three\n")

    assert owners_of(made).of("x") == ("@one",)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_where_it_cannot_be_read_all_is_owned(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    if kind == "folder":
        (folder / "CODEOWNERS").mkdir()
        (folder / "CODEOWNERS" / "x").write_text("x", encoding="utf-8")
    else:
        (folder / "CODEOWNERS").symlink_to(tmp_path / "nowhere")
    owners = owners_of(make_workspace(folder, tmp_path / "r", 10))

    assert owners.of("x") == owners.guards("x") == (UNREADABLE,)


def test_without_one_nobody_owns_anything(tmp_path: Path) -> None:
    assert owners_of(workspace(tmp_path / "f", tmp_path / "r", a="x")).of("a") == ()
