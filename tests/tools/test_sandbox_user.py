"""Does an ordinary user get a sandbox too, with no rights and no package?

As root, the tests become an unused user, with a copy of Python that such a user can read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator
from itertools import islice
from pathlib import Path

import pytest

from tests.support.sandboxes import NO_BWRAP, SKIPPED

USER = 23_456
KINDS = ("bubblewrap", "landlock", "without mounts", "abi5", "abi2", "abi1")
LINES = 5
"""That the program prints for each kind."""
PROGRAM = """
import asyncio, os, sys, tempfile
from pathlib import Path
from crews.tools.landlock import Landlock
from crews.tools.probe import prove
from crews.tools.sandbox import CommandLimits, choose

BOMB = "python -c 'import os, time; [os.fork() for n in range(9)]; time.sleep(8)' 2>/dev/null"

async def main(kind):
    assert os.getuid() != 0
    if kind == "without mounts":
        sandbox = Landlock.found(private_mounts=False)
    elif kind.startswith("abi"):
        sandbox = Landlock.found(private_mounts=False, abi=int(kind[3:]))
    else:
        sandbox = await asyncio.to_thread(choose, kind)
    print(repr(await prove(sandbox)))
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        (workspace / "test_it.py").write_text(
            "import unittest\\nclass T(unittest.TestCase):\\n    def test_it(self): pass\\n"
        )
        own = Path(tempfile.mkdtemp()) / "own"
        own.write_text("own")
        for command in (
            "python -m unittest 2>&1 | tail -1; id -u",
            f"chmod 777 {own}; touch -d 1970-01-01 {own}; cat {own}; echo x > {own}",
            BOMB,
        ):
            result = await sandbox.run(command, workspace, CommandLimits(wall_seconds=10, processes=20))
            print(result.killed_for, "|", result.output[:300].replace("\\n", "|"))
        status = own.stat()
        print(own.read_text(), oct(status.st_mode & 0o777), status.st_mtime > 1000)

async def each(kinds):
    for kind in kinds:
        await main(kind)

asyncio.run(each(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def readable() -> Generator[Path]:
    """A folder with a Python and this package that everyone can read, and a `tmp`."""
    folder = Path(tempfile.mkdtemp(prefix="everyone-"))
    python, base = folder / "python", Path(sys.base_prefix)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    (python / "bin").mkdir(parents=True)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    folder.chmod(0o755)
    shutil.copy(Path(sys.executable).resolve(), python / "bin" / version)
    (python / "bin" / "python3").symlink_to(version)
    without = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*", "idlelib")
    shutil.copytree(base / "lib" / version, python / "lib" / version, ignore=without)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy(library, python / "lib")
    root = Path(__file__).resolve().parents[2]
    shutil.copytree(root / "crews", folder / "packages" / "crews", ignore=without)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def told(readable: Path) -> dict[str, list[str]]:
    """The lines that the program prints as an ordinary user, by kind of sandbox: one start for all of them."""
    kinds = [kind for kind in KINDS if kind != "bubblewrap" or not NO_BWRAP]
    packages = sysconfig.get_paths()["purelib"]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{readable / 'packages'}:{packages}",
        "HOME": "/nonexistent",
        "TMPDIR": str(readable / "tmp"),
    }
    done = subprocess.run(
        [readable / "python" / "bin" / "python3", "-B", "-c", PROGRAM, *kinds],
        env=environment,
        cwd="/",
        user=USER if os.getuid() == 0 else None,
        group=USER if os.getuid() == 0 else None,
        extra_groups=[] if os.getuid() == 0 else None,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = iter(done.stdout.splitlines())
    return {kind: list(islice(lines, LINES)) for kind in kinds}


@pytest.mark.parametrize("kind", KINDS)
def test_an_ordinary_user_is_confined_too(told: dict[str, list[str]], kind: str) -> None:
    if kind == "bubblewrap" and NO_BWRAP:
        pytest.skip(SKIPPED)
    proof, tests, metadata, bomb, own = told[kind]
    assert proof == "''"
    assert tests == f" | OK|{USER if os.getuid() == 0 else os.getuid()}|"
    assert "own" not in metadata.replace("/own", "")
    assert bomb.startswith("processes |")
    assert own == "own 0o644 True"
