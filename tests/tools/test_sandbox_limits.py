"""Is every command held to its limits, and does nothing of it survive?"""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crews.tools.sandbox import CommandLimits, Sandbox
from tests.support.sandboxes import KINDS, LIMITS, eventually_none, marked, run, sandbox_of

pytestmark = pytest.mark.anyio
MIB = 1024 * 1024


@pytest.fixture(params=[*KINDS, "none"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return sandbox_of(str(request.param))


@pytest.fixture
def marker() -> str:
    """Stands in the command line of what a test starts, so that the host finds it."""
    return "marker-" + secrets.token_hex(8)


def at_least_two(marker: str, pause: float = 0.02) -> int:
    """Wait until so many processes have this marker; how many they are, at last."""
    deadline = time.monotonic() + 20
    while (found := len(marked(marker))) < 2 and time.monotonic() < deadline:
        time.sleep(pause)
    return found


class Peak:
    """The highest number that was seen while a test ran."""

    def __init__(self, look: Callable[[], int]) -> None:
        self.value = 0
        self._look = look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            self.value = max(self.value, self._look())


async def test_a_command_that_never_ends_is_ended(
    sandbox: Sandbox, marker: str, tmp_path: Path
) -> None:
    command = f"python -c 'while True: pass' {marker} & trap '' TERM; while :; do :; done"
    began = time.monotonic()
    result = await run(sandbox, tmp_path, command, CommandLimits(wall_seconds=0.6))
    assert (result.killed_for, result.timed_out, result.exit_code) == ("time", True, None)
    assert time.monotonic() - began < 4
    assert marked(marker) == []


async def test_what_a_command_leaves_running_ends_with_it(
    sandbox: Sandbox, marker: str, tmp_path: Path
) -> None:
    source = (
        "import os, signal, sys, time\n"
        "for number in (15, 1, 2): signal.signal(number, signal.SIG_IGN)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        for n in range(3): os.close(n)\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "time.sleep(0.1)\n"
    )
    (tmp_path / "daemon.py").write_text(source, encoding="utf-8")
    result = await run(sandbox, tmp_path, f"python daemon.py {marker}; echo done")
    assert (result.exit_code, result.output) == (0, "done\n")
    assert marked(marker) == []


async def test_a_cancelled_command_is_gone_when_the_caller_is_told(
    sandbox: Sandbox, marker: str, tmp_path: Path
) -> None:
    command = f"python -c 'import time; time.sleep(60)' {marker} & sleep 60; true {marker}"
    task = asyncio.create_task(run(sandbox, tmp_path, command))
    await asyncio.to_thread(at_least_two, marker)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert marked(marker) == []


async def test_a_command_is_gone_however_early_it_is_cancelled(
    sandbox: Sandbox, marker: str, tmp_path: Path
) -> None:
    for pause in range(30):  # somewhere in it a program is started
        task = asyncio.create_task(run(sandbox, tmp_path, f"sleep 60; : {marker}"))
        await asyncio.sleep(pause * 0.0002)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert marked(marker) == []


@pytest.mark.parametrize("kind", [*KINDS, "none"])
def test_a_command_dies_with_the_process_that_runs_it(
    kind: str, marker: str, tmp_path: Path
) -> None:
    with _running(kind, marker, tmp_path) as parent:
        started = at_least_two(marker)
        parent.kill()
    assert started >= 2
    assert eventually_none(marker) == []


def test_a_command_dies_with_that_process_from_its_first_moment(tmp_path: Path) -> None:
    for milliseconds in range(0, 16, 3):  # bubblewrap makes its namespaces in this time
        marker = secrets.token_hex(12)
        with _running("bubblewrap", marker, tmp_path) as parent:
            at_least_two(marker, pause=0.0005)
            time.sleep(milliseconds / 1000)
            parent.kill()
        assert eventually_none(marker) == []


def _running(kind: str, marker: str, folder: Path) -> subprocess.Popen[bytes]:
    """A process of its own that runs a command which waits, and has left another behind."""
    sandbox_of(kind)  # skips, or fails, here
    workspace = folder / "workspace"
    workspace.mkdir(exist_ok=True)
    source = (
        "import asyncio, pathlib, sys\n"
        "from tests.support.sandboxes import run, sandbox_of\n"
        "kind, hidden, folder = sys.argv[1:]\n"
        "marker = hidden[::-1]\n"
        "sleep = f\"(python -c 'import time; time.sleep(60)' {marker} &); sleep 60; : {marker}\"\n"
        "asyncio.run(run(sandbox_of(kind), pathlib.Path(folder), sleep))\n"
    )
    hidden = marker[::-1]  # the program's own command line must not count
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "TMPDIR": str(folder)}
    program = [sys.executable, "-c", source, kind, hidden, str(workspace)]
    return subprocess.Popen(program, env=environment)


async def test_a_fork_bomb_stays_small(sandbox: Sandbox, marker: str, tmp_path: Path) -> None:
    source = (  # 1,024 processes at most, so that a machine survives the failure of this test
        "import os, time\nfor n in range(10):\n    try: os.fork()\n    except OSError: pass\n"
        "time.sleep(8)\n"
    )
    (tmp_path / "bomb.py").write_text(source, encoding="utf-8")
    limits = CommandLimits(wall_seconds=10, processes=20)
    with Peak(lambda: len(marked(marker))) as peak:
        result = await run(sandbox, tmp_path, f"python bomb.py {marker}", limits)
    assert result.killed_for == "processes"
    assert peak.value < 400
    assert eventually_none(marker) == []


async def test_memory_is_bounded_for_all_processes_together(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    source = (
        "import os, time\nos.fork(); os.fork()\nheld = []\n"
        "while True:\n    held.append(bytearray(4 << 20)); time.sleep(0.002)\n"
    )
    (tmp_path / "bomb.py").write_text(source, encoding="utf-8")
    before = available()
    with Peak(lambda: before - available()) as peak:
        limits = CommandLimits(wall_seconds=20, memory_mb=200)
        result = await run(sandbox, tmp_path, "python bomb.py", limits)
    assert result.killed_for == "memory"
    assert peak.value < 1500 * MIB


async def test_one_process_cannot_take_memory_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    command = "python -c 'bytearray(8 << 30)'"
    limits = CommandLimits(wall_seconds=20, memory_mb=200)
    result = await run(sandbox, tmp_path, command, limits)
    assert "MemoryError" in result.output


async def test_shared_pages_count_once(sandbox: Sandbox, tmp_path: Path) -> None:
    source = (
        "import os, time\nheld = bytearray(80 << 20)\nfor n in range(3): os.fork()\n"
        "time.sleep(0.4)\nprint('done', flush=True)\n"
        "try:\n    while True: os.wait()\nexcept ChildProcessError: pass\n"
    )
    (tmp_path / "fork.py").write_text(source, encoding="utf-8")
    limits = CommandLimits(wall_seconds=20, memory_mb=300)
    result = await run(sandbox, tmp_path, "python -I -S fork.py", limits)
    assert (result.killed_for, result.output) == ("", "done\n" * 8)


def available() -> int:
    """Bytes of memory that the host has left."""
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("folder", ["/workspace", "/tmp"])
async def test_the_disk_is_not_filled(sandbox: Sandbox, folder: str, tmp_path: Path) -> None:
    command = (
        f"n=0; while :; do n=$((n+1)); head -c 4000000 /dev/zero > {folder}/f$n || exit 9; done"
    )
    with Peak(lambda: used(tmp_path)) as peak:
        limits = CommandLimits(wall_seconds=20, disk_mb=64)
        result = await run(sandbox, tmp_path, command, limits)
    assert result.killed_for == "disk"
    assert peak.value < 900 * MIB


async def test_empty_files_count_too(sandbox: Sandbox, tmp_path: Path) -> None:
    source = "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'w').close()\n"
    (tmp_path / "fill.py").write_text(source, encoding="utf-8")
    limits = CommandLimits(wall_seconds=20, disk_mb=16)
    result = await run(sandbox, tmp_path, "python fill.py", limits)
    assert result.killed_for == "disk"


async def test_what_was_there_before_does_not_count(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(40 * MIB))
    limits = CommandLimits(wall_seconds=20, disk_mb=32)
    command = "head -c 20000000 /dev/urandom > more; sleep 0.3; wc -c < more"
    result = await run(sandbox, tmp_path, command, limits)
    assert (result.killed_for, result.output) == ("", "20000000\n")


def used(folder: Path) -> int:
    return sum(f.stat().st_size for f in folder.iterdir() if f.is_file())


async def test_one_file_has_a_largest_size(sandbox: Sandbox, tmp_path: Path) -> None:
    limits = CommandLimits(wall_seconds=20, file_mb=4)
    await run(sandbox, tmp_path, "head -c 50000000 /dev/zero > large", limits)
    assert (tmp_path / "large").stat().st_size == 4 * MIB


async def test_endless_output_is_cut_and_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    limits = CommandLimits(wall_seconds=20, output_bytes=10_000)
    result = await run(sandbox, tmp_path, "yes", limits)
    assert (result.killed_for, result.truncated) == ("output", True)
    assert len(result.output) < 11_000


async def test_long_output_keeps_its_beginning_and_its_end(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    limits = replace(LIMITS, output_bytes=2000)
    result = await run(sandbox, tmp_path, "echo first; seq 1 10000; echo last", limits)
    assert (result.exit_code, result.truncated) == (0, True)
    assert result.output.startswith("first\n1\n2\n")
    assert result.output.endswith("9999\n10000\nlast\n")
    assert "[... 46,905 bytes left out ...]" in result.output


async def test_the_limits_that_the_kernel_keeps_are_set(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await run(sandbox, tmp_path, "ulimit -c; ulimit -n; ulimit -f; ulimit -Hf")
    assert result.output == "0\n1024\n524288\n524288\n"


async def test_the_private_folders_are_removed_whatever_is_in_them(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, workspace = tmp_path / "private", tmp_path / "workspace"
    private.mkdir()
    workspace.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    source = (
        "import os\n"
        "os.chdir(os.environ['TMPDIR'])\n"
        "os.makedirs('shut/in')\n"
        "os.symlink('/', 'link')\n"
        "for n in range(1200): os.mkdir('d'); os.chdir('d')\n"
        "os.fchmod(os.open(os.environ['TMPDIR'] + '/shut', os.O_RDONLY), 0)\n"
    )
    (workspace / "nest.py").write_text(source, encoding="utf-8")
    result = await run(
        sandbox, workspace, "python nest.py; sleep 60", replace(LIMITS, wall_seconds=2)
    )
    assert (result.killed_for, result.output) == ("time", "")
    assert list(private.iterdir()) == []
