"""Are the rules of a folder looked at as git does, whatever is kept of them?"""

from __future__ import annotations

from itertools import product
from pathlib import Path

from pathspec import GitIgnoreSpec

from crews.tools.ignore import DEFAULT_EXCLUDES, KeptRules, default_rules
from crews.tools.tree import walk

NAMES = (
    "a",
    "a.py",
    ".git",
    ".gitx",
    "x.pyc",
    "venv",
    "node_modules",
    "a.egg-info",
    ".DS_Store",
    "~",
    ".crews-tmp-1",
)


def test_the_default_list_says_of_every_path_what_its_patterns_say() -> None:
    spec, rules = GitIgnoreSpec.from_lines(DEFAULT_EXCLUDES), default_rules()
    for depth in (1, 2, 3):
        for parts in product(NAMES, repeat=depth):
            for path in ("/".join(parts), "/".join(parts) + "/"):
                said = spec.check_file(path).include is True
                folder = "/".join(parts[:-1]) or "."
                assert rules.ignores(path) == said, path
                assert rules.among(folder)(path.removeprefix(f"{folder}/")) == said, path


def test_a_folders_own_rules_bring_back_what_the_default_list_leaves_out(tmp_path: Path) -> None:
    for path in ("venv/a", "d/venv/b", "d/venv/c.log", "d/e/f.log", "e/venv/x"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "d/.gitignore").write_text("!venv/\n*.log\n")
    (tmp_path / "d/venv/.gitignore").write_text("!c.log\n")
    expected = ["d/.gitignore", "d/venv/.gitignore", "d/venv/b", "d/venv/c.log"]
    kept = KeptRules(tmp_path, ["d/.gitignore", "d/venv/.gitignore", "x.gitignore", "d/venv/b"])
    for rules in ("own", kept):
        assert [one.path for one in walk(tmp_path, default_rules(), rules=rules)] == expected
        inner = walk(tmp_path, default_rules(), start="d/venv", rules=rules)
        assert [one.path for one in inner] == expected[1:]


def test_rules_that_are_kept_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.log").touch()
    (tmp_path / ".gitignore").write_text("*.log\n")
    kept = KeptRules(tmp_path, [".gitignore", "a.log"])
    first = walk(tmp_path, default_rules(), rules=kept)
    (tmp_path / ".gitignore").write_text("")
    assert [one.path for one in first] == [".gitignore"]
    assert [one.path for one in walk(tmp_path, default_rules(), rules=kept)] == [".gitignore"]
    assert len(walk(tmp_path, default_rules(), rules="own")) == 2


def test_more_rules_than_re2_takes_at_once_hold_all_the_same(tmp_path: Path) -> None:
    rules = "".join(f"a{n}*b{n}*c*\n" for n in range(1500))
    (tmp_path / ".gitignore").write_text(rules)
    for name in ("a7_b7_c", "a7_b8_c"):
        (tmp_path / name).touch()
    assert [f.path for f in walk(tmp_path, default_rules(), rules="own")] == [
        ".gitignore",
        "a7_b8_c",
    ]
