"""What is an agent told of the commands that it runs?"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from crews.tools.base import ToolContext, ToolError
from crews.tools.sandbox import Sandbox, choose
from crews.tools.shell import RunCommand, RunCommandArgs
from crews.tools.workspace import Workspace
from tests.support.sandboxes import KINDS, names_in, sandbox_of

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[*KINDS, "none"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return sandbox_of(str(request.param))


def context(root: Path, sandbox: Sandbox | None) -> ToolContext:
    return ToolContext(Workspace(root, root), sandbox, agent="a", thread="/", call="/:0.0")


async def told(root: Path, sandbox: Sandbox, command: str, seconds: int | None = None) -> str:
    args = RunCommandArgs(command=command, timeout_seconds=seconds)
    return (await RunCommand().run(args, context(root, sandbox))).text


async def test_the_answer_is_the_same_each_time(sandbox: Sandbox, tmp_path: Path) -> None:
    command = "pwd; echo to stderr >&2; ls -d /workspace; cat /workspace/absent; exit 4"
    text = await told(tmp_path, sandbox, command)
    assert text == (
        "exit code: 4\n/workspace\nto stderr\n/workspace\n"
        "cat: /workspace/absent: No such file or directory"
    )
    assert await told(tmp_path, sandbox, command) == text


async def test_silence_is_said(sandbox: Sandbox, tmp_path: Path) -> None:
    assert await told(tmp_path, sandbox, "true") == "exit code: 0\n(no output)"


async def test_a_limit_is_explained(sandbox: Sandbox, tmp_path: Path) -> None:
    args = RunCommandArgs(command="echo begun; sleep 30", timeout_seconds=1)
    result = await RunCommand().run(args, context(tmp_path, sandbox))
    assert result.is_error
    assert result.text == "killed: it ran longer than 1 seconds\nbegun"


async def test_what_may_not_stay_is_removed_and_named(sandbox: Sandbox, tmp_path: Path) -> None:
    command = (
        "mkdir -p a/.git/hooks b; echo x > a/.git/hooks/pre-commit; mkfifo b/pipe;"
        " echo 'gitdir: /' > b/.GIT; echo kept > a/file; ln -s /etc/passwd link"
    )
    text = await told(tmp_path, sandbox, command)
    assert text.splitlines()[2:] == [
        "removed `a/.git`: version control folders cannot be made here",
        "removed `b/.GIT`: version control folders cannot be made here",
        "removed `b/pipe`: pipes, sockets and devices cannot stay in the workspace",
    ]
    assert names_in(tmp_path) == ["a", "a/file", "b", "link"]


async def test_it_is_removed_after_a_command_that_was_killed_too(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    text = await told(tmp_path, sandbox, "mkdir .git; sleep 30", seconds=1)
    assert "removed `.git`" in text
    assert names_in(tmp_path) == []


async def test_what_was_there_before_stays(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "vendored" / ".git").mkdir(parents=True)
    assert await told(tmp_path, sandbox, "ls vendored") == "exit code: 0\n(no output)"
    assert (tmp_path / "vendored" / ".git").is_dir()


async def test_files_stay_readable_and_lend_no_rights(sandbox: Sandbox, tmp_path: Path) -> None:
    command = "echo x > shut; chmod 0 shut 2>/dev/null; mkdir d; echo y > d/f; chmod 0 d; true"
    await told(tmp_path, sandbox, command)
    assert (tmp_path / "shut").read_text(encoding="utf-8") == "x\n"
    assert (tmp_path / "d" / "f").read_text(encoding="utf-8") == "y\n"
    for path in (tmp_path / "shut", tmp_path / "d"):
        assert path.stat().st_mode & 0o600 == 0o600
    (tmp_path / "tool").touch()
    (tmp_path / "tool").chmod(0o6755)
    await told(tmp_path, sandbox, "true")
    assert (tmp_path / "tool").stat().st_mode & 0o7777 == 0o755


async def test_folders_without_end_are_removed(sandbox: Sandbox, tmp_path: Path) -> None:
    source = "import os\nfor n in range(1200):\n    os.mkdir('d')\n    os.chdir('d')\n"
    (tmp_path / "nest.py").write_text(source, encoding="utf-8")
    text = await told(tmp_path, sandbox, "python nest.py")
    assert "nested deeper than 100 folders" in text
    deepest = max(len(Path(folder).parts) for folder, _, _ in os.walk(tmp_path))
    assert deepest - len(tmp_path.parts) == 100


async def test_without_a_sandbox_nothing_runs(tmp_path: Path) -> None:
    args = RunCommandArgs(command="touch made")
    with pytest.raises(ToolError, match="apt-get install bubblewrap"):
        await RunCommand().run(args, context(tmp_path, None))
    assert names_in(tmp_path) == []


async def test_a_workspace_that_is_gone_is_said_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as refusal:
        await told(tmp_path / "gone", choose("landlock"), "true")
    assert str(tmp_path) not in str(refusal.value)


def test_policy_sees_the_command(tmp_path: Path) -> None:
    tool = RunCommand()
    preview = tool.preview(RunCommandArgs(command="make all"), context(tmp_path, None))
    assert (preview.command, preview.paths, tool.effect) == ("make all", (), "execute")
    with pytest.raises(ToolError, match="NUL"):
        tool.preview(RunCommandArgs(command="a\0b"), context(tmp_path, None))


@pytest.mark.parametrize("timeout", [0, 601, -1])
def test_the_time_is_bounded(timeout: int) -> None:
    with pytest.raises(ValidationError):
        RunCommandArgs(command="true", timeout_seconds=timeout)


async def test_a_socket_that_was_left_is_removed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    text = await told(tmp_path, choose("landlock"), "true")
    assert "removed `socket`" in text
