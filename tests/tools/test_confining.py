"""What stays of a command's changes, where an agent may not write everywhere?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from crews.tools.base import ToolContext
from crews.tools.confining import sweep
from crews.tools.copying import make_workspace
from crews.tools.shell import RunCommand, RunCommandArgs
from tests.support.sandboxes import KINDS, sandbox_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=KINDS)
def context(request: pytest.FixtureRequest, tmp_path: Path) -> ToolContext:
    source = tmp_path / "source"
    (source / "docs").mkdir(parents=True)
    (source / "a.txt").write_text("one\n", encoding="utf-8")
    (source / "docs" / "old.md").write_text("old\n", encoding="utf-8")
    (source / "policy.yaml").write_text("autonomy: 2\n", encoding="utf-8")
    workspace = make_workspace(source, tmp_path / "run", 10)
    sandbox = sandbox_of(request.param)
    return ToolContext(
        workspace, sandbox, agent="a", thread="/", call="/:0.0", protected=("policy.yaml",)
    )


async def ran(context: ToolContext, command: str) -> str:
    """What the agent is told."""
    return (await RunCommand().run(RunCommandArgs(command=command), context)).text


def names(context: ToolContext) -> list[str]:
    """Every file of the workspace."""
    root = context.workspace.root
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


async def test_only_what_it_may_write_is_kept(context: ToolContext) -> None:
    narrow = replace(context, write_paths=("docs/**",))
    told = await ran(
        narrow,
        "echo new > docs/new.md; rm docs/old.md; echo evil > a.txt; echo x > b.txt; cat a.txt",
    )
    assert "evil" in told
    assert "not kept: a.txt" in told
    assert "not kept: b.txt" in told
    assert names(context) == ["a.txt", "docs/new.md", "policy.yaml"]
    assert context.workspace.read_text("a.txt") == "one\n"
    assert not list(context.workspace.root.parent.glob("command-*"))


async def test_an_executable_file_stays_one_and_a_link_is_not_kept(context: ToolContext) -> None:
    narrow = replace(context, write_paths=("docs/**",))
    told = await ran(
        narrow, "echo ': ok' > docs/run.sh; chmod +x docs/run.sh; ln -s /etc/passwd docs/link"
    )
    assert "not kept: docs/link, a link" in told
    assert (context.workspace.root / "docs" / "run.sh").stat().st_mode & 0o100
    assert names(context) == ["a.txt", "docs/old.md", "docs/run.sh", "policy.yaml"]


async def test_the_teams_own_files_are_put_back(context: ToolContext) -> None:
    told = await ran(context, "echo 'autonomy: 4' > policy.yaml; echo two > a.txt")
    assert "put back: policy.yaml" in told
    assert context.workspace.read_text("policy.yaml") == "autonomy: 2\n"
    assert context.workspace.read_text("a.txt") == "two\n"


async def test_copies_of_a_dead_owner_are_swept(context: ToolContext) -> None:
    left = context.workspace.root.parent / "command-0123456789ab"
    left.mkdir()
    sweep(context.workspace)
    assert not left.exists()
