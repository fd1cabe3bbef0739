"""Which sandbox is used, and does honest work get done in it?"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import sys
from pathlib import Path

import pytest

from crews.errors import SandboxUnavailable
from crews.tools import sandbox as module
from crews.tools.bubblewrap import Bubblewrap
from crews.tools.landlock import Landlock
from crews.tools.probe import prove
from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox, choose
from crews.tools.surroundings import Interpreter
from crews.tools.unconfined import Unconfined
from tests.support.sandboxes import KINDS, NO_BWRAP, names_in, run, sandbox_of

pytestmark = pytest.mark.anyio

FULL = ("bubblewrap", "landlock")
"""Where everything but a network can be used; without mounts there is no `/dev/shm`."""


@pytest.fixture(params=KINDS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return sandbox_of(str(request.param))


# --- choosing --------------------------------------------------------------------------------


def test_the_strongest_that_holds_is_chosen() -> None:
    assert choose("auto").name == ("landlock" if NO_BWRAP else "bubblewrap")


def test_a_backend_can_be_named_and_is_proven_once() -> None:
    assert choose("landlock").name == "landlock"
    assert choose("landlock") is choose("landlock")
    assert choose("landlock").confines


def test_only_the_user_can_do_without() -> None:
    assert choose("none").name == "none"
    assert not choose("none").confines


async def test_it_can_be_chosen_while_an_event_loop_runs() -> None:
    module.proven.cache_clear()
    found = await asyncio.gather(*(asyncio.to_thread(choose, "landlock") for _ in range(3)))
    assert {one.name for one in found} == {"landlock", choose("landlock").name}


def test_without_bubblewrap_landlock_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    module.proven.cache_clear()
    monkeypatch.setenv("PATH", "")
    assert choose("auto").name == "landlock"
    with pytest.raises(SandboxUnavailable, match="`bwrap` is not installed") as refusal:
        choose("bubblewrap")
    assert "apt-get install bubblewrap" in refusal.value.hint


def test_where_nothing_holds_every_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    module.proven.cache_clear()
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(SandboxUnavailable) as refusal:
        choose("auto")
    assert "bubblewrap: " in refusal.value.what
    assert "landlock: no system call filter for riscv64" in refusal.value.what
    assert "sandbox: none" in refusal.value.hint


async def test_what_does_not_confine_is_not_proven() -> None:
    reasons = await prove(Unconfined())
    for what in ("a file outside was written", "a process of the host was killed", "`connect`"):
        assert what in reasons
    assert "a secret was read" in reasons


async def test_a_sandbox_that_only_says_so_is_not_proven() -> None:
    assert "could not write the workspace" in await prove(Silent())


class Silent(Sandbox):
    """Runs nothing, and says that all is well."""

    name = "silent"

    async def run(
        self, command: str, workspace: Path, limits: CommandLimits, writable: bool = True
    ) -> CommandResult:
        return CommandResult(0, "", False, False, "", 0.0)


# --- honest work -----------------------------------------------------------------------------


async def test_it_says_how_a_command_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await run(sandbox, tmp_path, "echo out; echo err >&2; echo out; exit 3")
    assert (result.exit_code, result.output) == (3, "out\nerr\nout\n")
    assert (result.truncated, result.timed_out, result.killed_for) == (False, False, "")
    assert 0 < result.seconds < 30
    assert (await run(sandbox, tmp_path, "kill -9 $$")).exit_code == 137


@pytest.mark.parametrize("folder", ["plain", "with a 'blank' and a $sign"])
async def test_the_workspace_has_one_name(sandbox: Sandbox, folder: str, tmp_path: Path) -> None:
    workspace = tmp_path / folder
    workspace.mkdir()
    command = (
        "pwd; echo made > /workspace/file; cat /workspace/file; cd /; ls -d /workspace/f*;"
        " python -c \"import os; os.chdir(os.environ.get('X', '/workspace')); print(os.getcwd())\";"
        " cat /workspace/absent /home/workspace"
    )
    result = await run(sandbox, workspace, command)
    lines = result.output.splitlines()
    assert lines[:4] == ["/workspace", "made", "/workspace/file", "/workspace"]
    assert "/workspace/absent" in lines[4]
    assert "/home/workspace" in lines[5]
    assert str(tmp_path) not in result.output


async def test_tests_run(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "test_sum.py").write_text(
        "import unittest\n\nclass Sum(unittest.TestCase):\n"
        "    def test_right(self): self.assertEqual(1 + 1, 2)\n"
        "    def test_wrong(self): self.assertEqual(1 + 1, 3)\n",
        encoding="utf-8",
    )
    result = await run(sandbox, tmp_path, "python -m unittest")
    assert result.exit_code == 1
    assert "Ran 2 tests" in result.output
    assert 'File "/workspace/test_sum.py", line 5, in test_wrong' in result.output
    assert sys.prefix not in result.output
    assert sys.base_prefix not in result.output
    assert names_in(tmp_path) == ["test_sum.py"]


async def test_packages_of_the_running_python_are_there(sandbox: Sandbox, tmp_path: Path) -> None:
    command = "python -c 'import sys, pydantic; print(sys.version_info[:2], pydantic.VERSION)'"
    result = await run(sandbox, tmp_path, command)
    assert result.output.startswith(str(sys.version_info[:2])), result.output


async def test_shell_work_gets_done(sandbox: Sandbox, tmp_path: Path) -> None:
    command = (
        "mkdir -p a/b && cat > a/b/file <<'END'\nthree\none\ntwo\nEND\n"
        "sort a/b/file | tee sorted | tail -1; ln -s sorted link; mv a/b/file a/; rm -r a/b;"
        " cp sorted /tmp/copy && cp /tmp/copy back && cmp sorted back && grep -c o link;"
        " find . | sort; echo $HOME $TMPDIR"
    )
    result = await run(sandbox, tmp_path, command)
    assert result.output == "two\n2\n.\n./a\n./a/file\n./back\n./link\n./sorted\n/tmp /tmp\n"
    assert (tmp_path / "back").read_text(encoding="utf-8") == "one\nthree\ntwo\n"


async def test_tmp_is_private_and_empty_each_time(sandbox: Sandbox, tmp_path: Path) -> None:
    assert (await run(sandbox, tmp_path, "touch /tmp/left; ls /tmp | grep left")).output == "left\n"
    assert (await run(sandbox, tmp_path, "ls /tmp | grep left")).output == ""


async def test_a_database_can_be_used(sandbox: Sandbox, tmp_path: Path) -> None:
    source = (
        "import sqlite3\nc = sqlite3.connect('data.db')\nc.execute('pragma journal_mode=wal')\n"
        "c.execute('create table t (n)')\nc.executemany('insert into t values (?)', [(1,), (2,)])\n"
        "c.commit()\nprint(c.execute('select sum(n) from t').fetchone())\n"
    )
    (tmp_path / "data.py").write_text(source, encoding="utf-8")
    assert (await run(sandbox, tmp_path, "python data.py")).output == "(3,)\n"


@pytest.mark.parametrize("kind", FULL)
async def test_work_is_shared_among_processes(kind: str, tmp_path: Path) -> None:
    source = (
        "import multiprocessing, concurrent.futures\n"
        "if __name__ == '__main__':\n"
        "    with concurrent.futures.ProcessPoolExecutor(2) as pool:\n"
        "        print(list(pool.map(abs, [-1, -2])))\n"
        "    with multiprocessing.Pool(2) as pool: print(pool.map(abs, [-3]))\n"
    )
    (tmp_path / "work.py").write_text(source, encoding="utf-8")
    result = await run(sandbox_of(kind), tmp_path, "python work.py")
    assert result.output == "[1, 2]\n[3]\n"


async def test_processes_and_coroutines_work(sandbox: Sandbox, tmp_path: Path) -> None:
    source = (
        "import asyncio, subprocess\n"
        "async def main():\n"
        "    p = await asyncio.create_subprocess_exec('echo', 'child', stdout=-1)\n"
        "    print((await p.communicate())[0])\n"
        "asyncio.run(main())\n"
        "p = subprocess.Popen(['sleep', '9'])\np.terminate()\nprint(p.wait())\n"
        "print(subprocess.run(['timeout', '0.1', 'sleep', '9']).returncode)\n"
    )
    (tmp_path / "work.py").write_text(source, encoding="utf-8")
    assert (await run(sandbox, tmp_path, "python work.py")).output == "b'child\\n'\n-15\n124\n"


async def test_git_works(sandbox: Sandbox, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    command = (
        "git init -q . && echo a > a && git add a"
        " && git -c user.name=n -c user.email=e@x commit -qm first && git log --format=%s"
    )
    result = await run(sandbox, tmp_path, command)
    assert result.output.endswith("first\n"), result.output


SERVER = """
import http.server, threading, urllib.request
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/server.py") as answer:
    print(answer.status)
"""


async def test_a_server_on_loopback_works_under_bubblewrap_only(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    refused = await run(sandbox_of("landlock"), tmp_path, "python server.py")
    assert "PermissionError" in refused.output
    served = await run(sandbox_of("bubblewrap"), tmp_path, "python server.py 2>/dev/null")
    assert served.output == "200\n"


async def test_python_is_found_where_there_is_only_python3(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    own, workspace = tmp_path / "own", tmp_path / "workspace"
    (own / "bin").mkdir(parents=True)
    workspace.mkdir()
    program = own / "bin" / "python3"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    assert isinstance(sandbox, Bubblewrap | Landlock)
    python = Interpreter(program, (*sandbox.python.prefixes, own))
    changed = dataclasses.replace(sandbox, python=python)
    result = await run(changed, workspace, "python -c 'print(1 + 1)'")
    assert result.output == "2\n"


async def test_the_environment_is_the_same_everywhere(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("LD_PRELOAD_X", "x")
    result = await run(sandbox, tmp_path, "env | grep -v -e ^PATH= -e PWD= -e ^_= | sort")
    assert result.output.splitlines() == [
        "GIT_CONFIG_NOSYSTEM=1",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "LOGNAME=agent",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONHASHSEED=0",
        "SHELL=/bin/sh",
        "TERM=dumb",
        "TMPDIR=/tmp",
        "TZ=UTC",
        "USER=agent",
    ]


async def test_the_output_is_plain_text(sandbox: Sandbox, tmp_path: Path) -> None:
    command = r"printf '\033[31mred\033[0m \033]0;title\007\377\b.\r\n'"
    assert (await run(sandbox, tmp_path, command)).output == "red \ufffd.\n"


async def test_commands_run_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    results = await asyncio.gather(
        *(run(sandbox, tmp_path, f"sleep 0.2; echo {n} > f{n}; cat f{n}") for n in range(6))
    )
    assert [result.output for result in results] == [f"{n}\n" for n in range(6)]


async def test_what_a_command_writes_is_ours_to_read_and_remove(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("x", encoding="utf-8")
    await run(sandbox, tmp_path, "umask 077; mkdir d; echo y > d/f; echo z >> kept")
    assert (tmp_path / "d" / "f").read_text(encoding="utf-8") == "y\n"
    assert (tmp_path / "kept").read_text(encoding="utf-8") == "xz\n"
    (tmp_path / "d" / "f").unlink()
    (tmp_path / "new").write_text("ours", encoding="utf-8")
    assert (await run(sandbox, tmp_path, "echo more >> new; cat new")).output == "oursmore\n"


async def test_a_link_in_the_workspace_does_not_give_away_what_it_leads_to(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    outside, workspace = tmp_path / "outside", tmp_path / "workspace"
    outside.write_text("x", encoding="utf-8")
    workspace.mkdir()
    (workspace / "link").symlink_to(outside)
    (workspace / "hard").hardlink_to(outside)
    await run(sandbox, workspace, "true")
    assert outside.stat().st_uid == os.getuid()


@pytest.mark.parametrize("abi", [1, 2, 4])
async def test_older_landlock_is_good_enough_or_refused(abi: int) -> None:
    reason = await prove(Landlock.found(abi=abi))
    assert reason == "", "as root, and without signals otherwise, every version holds"
