"""What does a command that wants to get out reach? Judged by the host, never by what it says."""

from __future__ import annotations

import os
import platform
from collections.abc import Generator
from pathlib import Path

import pytest

from crews.tools.sandbox import Sandbox, choose
from tests.support.escapes import ATTEMPTS, FILES, HARMFUL, SHOWN, SHOWN_AS_ROOT, VISIBLE, attempted
from tests.support.sandboxes import (
    KINDS,
    LIMITS,
    Host,
    host,
    names_in,
    report,
    run_python,
    sandbox_of,
)

pytestmark = pytest.mark.anyio

OPEN = {"bubblewrap": (), "landlock": tuple(VISIBLE)}
"""What gets out of each backend, exactly."""


@pytest.fixture
def target() -> Generator[Host]:
    with host() as laid_out:
        yield laid_out


@pytest.fixture(params=KINDS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return sandbox_of(str(request.param))


def test_the_table_is_long_enough() -> None:
    assert len(ATTEMPTS) >= 40
    assert not (HARMFUL & {*SHOWN, *SHOWN_AS_ROOT})


@pytest.mark.parametrize("name", ATTEMPTS)
@pytest.mark.parametrize("kind", ["bubblewrap", "landlock"])
async def test_nothing_gets_out_but_what_is_named(
    kind: str, name: str, target: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", target.secret)
    found = await attempted(sandbox_of(kind), name, target, tmp_path)
    assert bool(found) is (name in OPEN[kind]), found


@pytest.mark.parametrize("name", FILES)
async def test_files_are_out_of_reach_without_private_mounts_too(
    name: str, target: Host, tmp_path: Path
) -> None:
    assert await attempted(sandbox_of("landlock without mounts"), name, target, tmp_path) == []


@pytest.mark.parametrize("name", [*SHOWN, *(SHOWN_AS_ROOT if os.getuid() == 0 else ())])
async def test_the_same_attempt_gets_out_without_a_sandbox(
    name: str, target: Host, tmp_path: Path
) -> None:
    assert await attempted(choose("none"), name, target, tmp_path) != []


async def test_even_without_a_sandbox_the_environment_holds_no_secret(
    target: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", target.secret)
    assert await attempted(choose("none"), "own environment", target, tmp_path) == []


def test_what_landlock_cannot_hold_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[2] / "docs" / "sandboxes.md").read_text(encoding="utf-8")
    assert [name for name in VISIBLE if name not in text] == []


CALLS = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
done = {}
def attempt(name, number, *values):
    done[name] = ctypes.get_errno() if libc.syscall(number, *values) < 0 else 0
buffer = ctypes.create_string_buffer(256)
attempt("unshare user", UNSHARE, 0x10000000)
attempt("unshare network", UNSHARE, 0x40000000)
attempt("setns", SETNS, 0, 0)
attempt("mount", MOUNT, b"none", b"/tmp", b"tmpfs", 0, None)
attempt("chroot", CHROOT, b".")
attempt("ptrace", PTRACE, 0, 0, 0, 0)
attempt("keyctl", KEYCTL, 0, -3, 1)
attempt("add_key", ADD_KEY, b"user", b"x", b"x", 1, -3)
attempt("bpf", BPF, 0, buffer, 64)
attempt("perf_event_open", PERF, buffer, 0, -1, -1, 0)
attempt("userfaultfd", USERFAULT, 1)
attempt("open_by_handle_at", HANDLE, -100, buffer, 0)
attempt("io_uring_setup", 425, 1, buffer)
attempt("clone3", 435, buffer, 88)
attempt("fsopen", 430, b"tmpfs", 0)
attempt("memfd_create", MEMFD, b"x", 0)
attempt("shmget", SHMGET, 0, 4096, 0o1600)
attempt("kexec_load", KEXEC, 0, 0, 0, 0)
attempt("init_module", INIT_MODULE, buffer, 0, b"")
attempt("delete_module", DELETE_MODULE, b"no_such_module", 0)
attempt("swapoff", SWAPOFF, b"/nowhere")
libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_char_p]
done["terminal input"] = ctypes.get_errno() if libc.ioctl(0, 0x5412, b"x") < 0 else 0
high = libc.ioctl(0, 0x100005412, b"x")  # the kernel looks at the low half only
done["terminal input, high half"] = ctypes.get_errno() if high < 0 else 0
try:
    os.setuid(0)
    done["become root"] = 0 if os.getuid() == 0 else 1
except OSError as error:
    done["become root"] = error.errno
print(json.dumps(done))
"""
NUMBERS = {
    "UNSHARE": (272, 97),
    "SETNS": (308, 268),
    "MOUNT": (165, 40),
    "CHROOT": (161, 51),
    "PTRACE": (101, 117),
    "KEYCTL": (250, 219),
    "ADD_KEY": (248, 217),
    "BPF": (321, 280),
    "PERF": (298, 241),
    "USERFAULT": (323, 282),
    "HANDLE": (304, 265),
    "MEMFD": (319, 279),
    "SHMGET": (29, 194),
    "KEXEC": (246, 104),
    "INIT_MODULE": (175, 105),
    "DELETE_MODULE": (176, 106),
    "SWAPOFF": (168, 225),
}
EPERM, ENOSYS = 1, 38


async def test_the_doors_of_the_kernel_are_closed(sandbox: Sandbox, tmp_path: Path) -> None:
    column = 0 if platform.machine() == "x86_64" else 1
    numbers = "".join(f"{name} = {pair[column]}\n" for name, pair in NUMBERS.items())
    answers = report(await run_python(sandbox, tmp_path, numbers + CALLS))
    absent = {"clone3", "memfd_create", "shmget"}
    assert answers == {name: ENOSYS if name in absent else EPERM for name in answers}
    assert len(answers) == 24


async def test_a_terminal_is_out_of_reach(sandbox: Sandbox, tmp_path: Path) -> None:
    source = "import os\nprint(os.getsid(0) == os.getpid() or os.getsid(0))\nopen('/dev/tty')"
    result = await run_python(sandbox, tmp_path, source)
    assert result.exit_code == 1
    assert "/dev/tty" in result.output


async def test_the_history_in_a_workspace_is_read_only_under_bubblewrap(tmp_path: Path) -> None:
    sandbox = sandbox_of("bubblewrap")
    (tmp_path / ".git" / "hooks").mkdir(parents=True)
    (tmp_path / ".git" / "config").write_text("[core]\n", encoding="utf-8")
    source = (
        "import os, shutil\n"
        "for act in (lambda: open('.git/config', 'a').write('x'),\n"
        "            lambda: open('.git/hooks/pre-commit', 'w').write('x'),\n"
        "            lambda: os.rename('.git', 'old'), lambda: os.unlink('.git/config')):\n"
        "    try: act()\n"
        "    except OSError: pass\n"
    )
    result = await run_python(sandbox, tmp_path, source)
    assert result.exit_code == 0, result.output
    assert (tmp_path / ".git" / "config").read_text(encoding="utf-8") == "[core]\n"
    assert list((tmp_path / ".git" / "hooks").iterdir()) == []


async def test_a_workspace_that_may_only_be_read_stays_as_it_is(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("before", encoding="utf-8")
    command = "echo x > file; echo y > new; rm -f file; cat file; echo z > /tmp/own; cat /tmp/own"
    result = await sandbox.run(command, tmp_path, LIMITS, writable=False)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "before"
    assert names_in(tmp_path) == ["file"]
    assert result.output.endswith("beforez\n")
