"""Does a keeper that is had at once carry nothing from one command to the next, and end with whom it serves?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crews.tools import warm
from crews.tools.sandbox import CommandLimits
from crews.tools.watching import tree
from tests.support.sandboxes import run, run_python, sandbox_of

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has one"),
]
OPEN = (
    "import os\n"
    "for n in range(1024):\n"
    "    try: os.fstat(n)\n"
    "    except OSError: continue\n"
    "    print(n, end=' ')\n"
)


def waiting() -> list[int]:
    """The processes that fork keepers for this one."""
    found: list[int] = []
    for pid in tree(os.getpid()):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
            ours = int(line.rpartition(")")[2].split()[1]) == os.getpid()
            if ours and b"warm_child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def held_by(pid: int) -> list[str]:
    """What its descriptors are open on, without numbers."""
    links = (entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir())
    return sorted(str(link).partition(":")[0] for link in links)


def appeared(file: Path) -> None:
    """Wait for a file."""
    while not file.exists():
        time.sleep(0.01)


async def test_a_command_has_no_descriptor_but_its_own(tmp_path: Path) -> None:
    landlock = sandbox_of("landlock")
    said = await asyncio.gather(*(run_python(landlock, tmp_path, OPEN) for _ in range(4)))
    assert {result.output for result in said} == {"0 1 2 "}


async def test_a_command_finds_nothing_of_the_one_before(tmp_path: Path) -> None:
    landlock = sandbox_of("landlock")
    first = "ulimit -n 64; umask 077; cd /; export LEFT=1; trap '' TERM; echo over > /tmp/left"
    assert (await run(landlock, tmp_path, first)).exit_code == 0
    then = 'ulimit -n; umask; pwd; echo "[$LEFT]"; ls /tmp; kill -TERM $$; echo deaf'
    result = await run(landlock, tmp_path, then)
    assert result.output.split() == ["1024", "0022", "/workspace", "[]"]
    assert result.exit_code == 128 + signal.SIGTERM


async def test_limits_are_those_of_each_command(tmp_path: Path) -> None:
    landlock = sandbox_of("landlock")
    small = await run(landlock, tmp_path, "ulimit -f", CommandLimits(file_mb=1))
    large = await run(landlock, tmp_path, "ulimit -f", CommandLimits(file_mb=2))
    assert (small.output, large.output) == ("2048\n", "4096\n")


async def test_one_that_was_killed_is_replaced(tmp_path: Path) -> None:
    landlock = sandbox_of("landlock")
    await run(landlock, tmp_path, "true")
    (first,) = waiting()
    os.kill(first, signal.SIGKILL)
    assert (await run(landlock, tmp_path, "echo here")).output == "here\n"
    assert first not in waiting()


async def test_a_command_goes_on_where_it_is_killed_meanwhile(tmp_path: Path) -> None:
    """The keeper of a command is a process of its own, and ends everything as before."""
    landlock = sandbox_of("landlock")
    task = asyncio.create_task(run(landlock, tmp_path, "touch begun; sleep 0.5; echo done"))
    await asyncio.to_thread(appeared, tmp_path / "begun")
    for pid in waiting():
        os.kill(pid, signal.SIGKILL)
    assert (await task).output == "done\n"


async def test_a_keeper_that_comes_too_late_takes_nobodys_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is carried out is what is looked after, even where who waits was frozen and goes on again."""
    await run(sandbox_of("landlock"), tmp_path, "true")
    for pid in waiting():  # so that the next one is had with less patience
        os.kill(pid, signal.SIGKILL)
    monkeypatch.setattr(warm, "_PATIENCE", 0.5)
    await run(sandbox_of("landlock"), tmp_path, "true")
    (pid,) = waiting()
    os.kill(pid, signal.SIGSTOP)
    thaws = threading.Timer(0.7, _thaw, (pid,))
    thaws.start()
    try:
        result = await run(
            sandbox_of("landlock"),
            tmp_path,
            "echo once; echo once >> ran",
            CommandLimits(wall_seconds=8),
        )
    finally:
        thaws.join()
    assert (result.output, result.exit_code) == ("once\n", 0)
    assert (tmp_path / "ran").read_text(encoding="utf-8") == "once\n"


def _thaw(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def test_it_has_no_environment_and_no_file_of_ours(tmp_path: Path) -> None:
    asyncio.run(run(sandbox_of("landlock"), tmp_path, "true"))
    (pid,) = waiting()
    assert Path(f"/proc/{pid}/environ").read_bytes() == b""
    assert held_by(pid) == ["/dev/null"] * 3 + ["socket"]


def test_it_ends_with_the_process_that_it_serves(tmp_path: Path) -> None:
    source = (
        "import asyncio, os, pathlib, signal, sys\n"
        "from tests.support.sandboxes import run, sandbox_of\n"
        "from tests.tools.test_warm import waiting\n"
        "asyncio.run(run(sandbox_of('landlock'), pathlib.Path(sys.argv[1]), 'true'))\n"
        "print(*waiting(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    told = subprocess.run(
        [sys.executable, "-c", source, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    (pid,) = map(int, told.stdout.split())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists()
