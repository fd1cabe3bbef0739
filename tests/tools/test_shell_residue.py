"""What of a command's work could run on the user's machine, or pass by unseen? Judged by what comes of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from crews.safety.sensitivity import findings
from crews.tools.base import ToolContext
from crews.tools.copying import make_workspace
from crews.tools.shell import RunCommand, RunCommandArgs
from tests.support.sandboxes import sandbox_of

pytestmark = pytest.mark.anyio

INIT, MONITOR = "git init -q", "config core.fsmonitor 'touch TRAP; false'"
REPOSITORY = {
    "hook": f"{INIT} .; printf '#!/bin/sh\\ntouch TRAP' > .git/hooks/pre-commit; chmod +x .git/hooks/*",
    "hooksPath": (
        f"{INIT} .; git config core.hooksPath x; mkdir x;"
        " printf '#!/bin/sh\\ntouch TRAP' > x/post-index-change; chmod +x x/*"
    ),
    "fsmonitor": f"{INIT} .; git {MONITOR}",
    "sshCommand": (
        f"{INIT} .; git config core.sshCommand 'touch TRAP; false'; git remote add origin ssh://x/y"
    ),
    "a filter": (
        f"{INIT} .; git config filter.f.clean 'touch TRAP; cat'; echo '* filter=f' > .gitattributes"
    ),
    "settings only": "mkdir .git; printf '[core]\\nfsmonitor = touch TRAP\\n' > .git/config",
    "a file that names a folder": f"{INIT} --bare g; git -C g {MONITOR}; echo 'gitdir: g' > .git",
    "other spellings": f"{INIT} .; git {MONITOR}; mv .git .GIT; cp -r .GIT .git.; ln -s .GIT .gIt",
    "a nested repository": f"{INIT} vendored; git -C vendored {MONITOR}",
    "a deep one": f"mkdir -p a/b/c; {INIT} a/b/c; git -C a/b/c {MONITOR}",
    "a submodule": (
        f"{INIT} s; printf '[submodule \"s\"]\\npath = s\\nurl = ext::touch TRAP\\n' > .gitmodules"
    ),
    "another system": "mkdir .hg; printf '[hooks]\\npre-status = touch TRAP\\n' > .hg/hgrc",
}
"""Ways to have git, as its user runs it afterwards, run something."""
CI = {
    "GitHub": ".github/workflows/new.yml",
    "GitLab": ".gitlab-ci.yml",
    "Jenkins": "Jenkinsfile",
    "CircleCI": ".circleci/config.yml",
    "Azure": "azure-pipelines.yml",
    "Travis": ".travis.yml",
}
KINDS = ("bubblewrap", "landlock")


async def after(
    kind: str, folder: Path, command: str, protected: tuple[str, ...] = ()
) -> ToolContext:
    """A run's workspace after this command, as an agent runs it."""
    source = folder / "source"
    source.mkdir()
    (source / "agents.yaml").write_text("coder: {}\n", encoding="utf-8")
    (source / "a.py").write_text("pass\n", encoding="utf-8")
    workspace = make_workspace(source, folder / "run", 10)
    context = ToolContext(
        workspace,
        sandbox_of(kind),
        agent="a",
        thread="/",
        call="/:0.0",
        protected=protected,
    )
    await RunCommand().run(RunCommandArgs(command=command), context)
    return context


def as_the_user(folder: Path) -> None:
    """What somebody may do in the folder, with git as it comes."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
    }
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "x", f"GIT_{role}_EMAIL": "x"}
    environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory"}
    environment["GIT_CONFIG_VALUE_0"] = "*"
    for here in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        for words in (["status"], ["add", "-A"], ["diff"], ["fetch"], ["commit", "-m", "x"]):
            if here.name != "g":  # nobody works inside a repository's own folder
                subprocess.run(["git", *words], cwd=here, env=environment, capture_output=True)


@pytest.mark.parametrize("name", REPOSITORY)
@pytest.mark.parametrize("kind", KINDS)
async def test_no_repository_is_left_that_runs_something(
    kind: str, name: str, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    context = await after(kind, tmp_path, REPOSITORY[name].replace("TRAP", str(trap)))
    as_the_user(context.workspace.root)
    assert not trap.exists()
    assert not [change.path for change in context.workspace.changes() if ".git/" in change.path]


@pytest.mark.parametrize("name", ["hook", "hooksPath", "fsmonitor", "a filter", "a deep one"])
def test_the_same_repository_runs_something_where_it_is_left(name: str, tmp_path: Path) -> None:
    """The control."""
    trap, folder = tmp_path / "trap", tmp_path / "folder"
    folder.mkdir()
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    command = f"{REPOSITORY[name].replace('TRAP', str(trap))}; touch new"
    subprocess.run(["/bin/sh", "-c", command], cwd=folder, env=environment, check=True)
    as_the_user(folder)
    assert trap.exists()


@pytest.mark.parametrize("name", CI)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_new_ci_file_is_seen_for_what_it_is(kind: str, name: str, tmp_path: Path) -> None:
    path = CI[name]
    context = await after(kind, tmp_path, f"mkdir -p $(dirname {path}); echo 'a: b' > {path}")
    changes = context.workspace.changes()
    assert [change.path for change in changes] == [path]
    assert "ci" in {finding.category for finding in findings(changes)}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_teams_own_files_are_put_back(kind: str, tmp_path: Path) -> None:
    command = "echo 'coder: {tools: [everything]}' > agents.yaml; echo x > a.py; rm -f policy.yaml"
    context = await after(kind, tmp_path, command, protected=("agents.yaml", "policy.yaml"))
    assert [change.path for change in context.workspace.changes()] == ["a.py"]
