"""How does a command try to get out of a sandbox, and what does the host see of it?

Each attempt is a piece of Python that a command runs. Whether it got out is judged by the host: by
what was reached, changed or read (`Host`), and by what the command's processes hold while they wait
(`held`), never by what the command says of itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from crews.tools.sandbox import CommandResult, Sandbox
from tests.support.sandboxes import CREDENTIALS, KEY_SIZE, LIMITS, Host, names_in

FILES = {
    "read": "print(open(FILE).read())",
    "read as a relative path": "print(open('../' * 20 + FILE.lstrip('/')).read())",
    "read by a symbolic link": "os.symlink(FILE, 'link'); print(open('link').read())",
    "read by a hard link": "os.link(FILE, 'link'); print(open('link').read())",
    "read by the root of a process": "print(open(f'/proc/{VICTIM}/root{FILE}').read())",
    "read by the first process": "print(open(f'/proc/1/root{FILE}').read())",
    "write": "open(FILE, 'w').write('x')",
    "append": "open(FILE, 'a').write('x')",
    "create": "open(OUTSIDE + '/new', 'w').write('x')",
    "create by a symbolic link": "os.symlink(OUTSIDE, 'd'); open('d/new', 'w').write('x')",
    "create beside the workspace": "open('../escaped', 'w').write('x')",
    "create by a folder": "os.mkdir(OUTSIDE + '/new')",
    "create a link": "os.symlink('/', OUTSIDE + '/new')",
    "link outwards": "open('own', 'w').close(); os.link('own', OUTSIDE + '/new')",
    "move outwards": "open('own', 'w').close(); os.rename('own', OUTSIDE + '/new')",
    "move inwards": "os.rename(FILE, 'stolen'); print(open('stolen').read())",
    "remove": "os.unlink(FILE)",
    "cut short": "os.truncate(FILE, 0)",
    "change the mode": "os.chmod(FILE, 0o777)",
    "change the times": "os.utime(FILE, (0, 0))",
    "change the attributes": "os.setxattr(FILE, 'user.x', b'x')",
    **{
        f"credentials: {name}": f"print(open(OUTSIDE + '/home/{name}').read())"
        for name in CREDENTIALS
    },
}
PROCESSES = {
    "own environment": "print(os.environ)",
    "environment of the first process": "print(open('/proc/1/environ').read())",
    "environment of a process": "print(open(f'/proc/{VICTIM}/environ').read())",
    "command line of a process": "print(open(f'/proc/{VICTIM}/cmdline').read())",
    "memory of a process": (
        "m = open(f'/proc/{VICTIM}/mem', 'rb', 0); m.seek(ADDRESS); print(m.read(SIZE))"
    ),
    "memory of a process, by system call": (
        "own = ctypes.create_string_buffer(SIZE)\n"
        "vec = lambda address: struct.pack('=QQ', address, SIZE)\n"
        "call(READV, VICTIM, vec(ctypes.addressof(own)), 1, vec(ADDRESS), 1, 0)\n"
        "print(own.raw)"
    ),
    "list of processes": (
        "for n in os.listdir('/proc'):\n"
        "    if n.isdigit():\n"
        "        try:\n            print(open(f'/proc/{n}/cmdline').read())\n"
        "        except OSError:\n            pass"  # it has ended meanwhile
    ),
    "trace a process": "call(PTRACE, 0x4206, VICTIM, 0, 0); hold()",
    "signal": "os.kill(VICTIM, 9)",
    "stop": "os.kill(VICTIM, 19)",
    "signal to its group": "os.killpg(os.getpgid(VICTIM), 9)",
    "signal as its user": "os.setuid(os.stat(f'/proc/{VICTIM}').st_uid); os.kill(VICTIM, 9)",
    "signal by descriptor": "signal.pidfd_send_signal(os.pidfd_open(VICTIM), 9)",
    "signal by a file's owner": (
        "r, w = os.pipe(); fcntl.fcntl(r, 8, VICTIM); fcntl.fcntl(r, 10, 9)\n"
        "fcntl.fcntl(r, 4, os.O_ASYNC); os.write(w, b'x'); time.sleep(0.1)"
    ),
    "a descriptor of a process": "fd = call(GETFD, os.pidfd_open(VICTIM), 1, 0); hold('pipe')",
    "limits of a process": "resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (3, 3))",
}
SOCKETS = {
    "TCP": "socket.create_connection(('127.0.0.1', TCP), 2)",
    "TCP over IPv6": "socket.create_connection(('::1', TCP6), 2)",
    "UDP": "socket.socket(2, 2).sendto(b'x', ('127.0.0.1', UDP))",
    "Unix socket": "socket.socket(1, 1).connect(PATH_SOCKET)",
    "abstract socket": "socket.socket(1, 1).connect(ABSTRACT)",
    "netlink": "s = socket.socket(16, 3, 0); print(socket.if_nameindex())",
    "raw": "s = socket.socket(2, 3, 1); hold()",
    "packet": "s = socket.socket(17, 3, 0x300); hold()",
    "vsock": "s = socket.socket(40, 1); hold()",
    "kernel cryptography": "s = socket.socket(38, 5, 0); hold()",
}
NAMESPACES = {
    f"new namespace: {name}": f"call(UNSHARE, {flag}); hold()"
    for name, flag in {
        "user": 0x10000000,
        "mount": 0x20000,
        "network": 0x40000000,
        "names": 0x4000000,
        "messages": 0x8000000,
        "control groups": 0x2000000,
    }.items()
} | {
    "join a namespace": "call(SETNS, os.open(f'/proc/{VICTIM}/ns/net', 0), 0); hold()",
    "join a process": "call(SETNS, os.pidfd_open(VICTIM), 0x40000000); hold()",
    "clone a namespace": (
        "pid = call(CLONE, 0x10000000 | 17, 0, 0, 0, 0)\nif pid == 0:\n    hold()\nos.wait()"
    ),
    # On a folder of its own, and taken away again: where nothing confines it, it is the machine's.
    "mount": (
        "os.mkdir('m'); call(MOUNT, b'canary-mount', b'm', b'tmpfs', 0, 0)\n"
        "try:\n    hold()\nfinally:\n    call(UMOUNT, b'm', 2)"
    ),
    "a file system context": "fd = call(430, b'tmpfs', 0); hold()",
    "a detached tree": "fd = call(428, -100, b'/', 1); hold('tree')",
    "chroot": "call(CHROOT, b'/usr'); hold()",
    "pivot_root": "call(UNSHARE, 0x20000); os.mkdir('old'); call(PIVOT, b'.', b'old'); hold()",
    "a handle of a file": (
        "h = ctypes.create_string_buffer(struct.pack('=Ii', 128, 0), 136)\n"
        "call(HANDLE, -100, FILE.encode(), h, ctypes.byref(ctypes.c_int()), 0)\n"
        "print(os.read(call(BY_HANDLE, os.open('.', 0), h, 0), 99))"
    ),
}
_WRITES = "fd = os.open({!r}, os.O_WRONLY); hold()"
KERNEL = {
    "io_uring": "fd = call(425, 1, ctypes.create_string_buffer(256)); hold()",
    "bpf": "fd = call(BPF, 0, struct.pack('=IIII', 2, 4, 4, 1) + bytes(112), 128); hold()",
    "perf_event_open": (
        "fd = call(PERF, struct.pack('=IIQ', 1, 128, 0) + bytes(112), 0, -1, -1, 0); hold()"
    ),
    "userfaultfd": "fd = call(USERFAULT, 1); hold()",
    "fanotify": "fd = call(FANOTIFY, 0, 0); hold()",
    "memory of no process": "fd = call(MEMFD, b'x', 0); hold()",
    "a key": f"call(ADD_KEY, b'user', b'canary', b'x' * {KEY_SIZE}, {KEY_SIZE}, -2); hold()",
    "physical memory": "fd = os.open('/dev/mem', os.O_RDONLY); hold()",
    "kernel messages": "fd = os.open('/dev/kmsg', os.O_RDONLY); hold()",
    "core_pattern": _WRITES.format("/proc/sys/kernel/core_pattern"),
    "sysrq": _WRITES.format("/proc/sysrq-trigger"),
    "settings in /sys": _WRITES.format("/sys/kernel/mm/transparent_hugepage/enabled"),
    "control groups": (
        "import glob\nfor path in glob.glob('/sys/fs/cgroup/**/release_agent', recursive=True) + "
        "glob.glob('/sys/fs/cgroup/**/cgroup.procs', recursive=True):\n"
        "    fd = os.open(path, os.O_WRONLY); hold(); break"
    ),
    "a device of one's own": "os.mknod('device', 0o20666, os.makedev(1, 1)); hold()",
    "become root": "os.setuid(0); os.setgid(0); hold()",
}
TERMINAL = {
    "write to the terminal": "os.write(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY), b'x')",
    "type into the terminal": (
        "fcntl.ioctl(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY), 0x5412, b'x')"
    ),
    "type into the terminal, high half": (
        "fd = os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY); call(IOCTL, fd, 0x100005412, b'x')"
    ),
    "the controlling terminal": "os.write(os.open('/dev/tty', os.O_RDWR), b'x')",
    "control sequences": r"print('\x1b]0;title\x07\x1b[2J\x9b31m\x1bP1;1|x\x1b\\\x07\x08')",
}
VISIBLE = {
    "that a file exists, and its size": "print('size', os.stat(FILE).st_size)",
    "which process is alive": (
        "for pid in (VICTIM,):\n"
        "    try:\n        os.kill(pid, 0)\n"
        "    except PermissionError:\n        print('alive', pid)\n"
        "    except ProcessLookupError:\n        pass\n"
        "    else:\n        print('alive', pid)"
    ),
    "the machine's name": "print('name', os.uname().nodename)",
    "history in the workspace": "open('.git/config', 'a').write('x')",
    "hooks in the workspace": "open('.git/hooks/pre-commit', 'w').write('x')",
}
"""What Landlock cannot hold: `crews/tools/landlock.py` and `docs/sandboxes.md` name each."""
ATTEMPTS = FILES | PROCESSES | SOCKETS | NAMESPACES | KERNEL | TERMINAL | VISIBLE

_NUMBERS = {
    "BPF": (321, 280),
    "ADD_KEY": (248, 217),
    "BY_HANDLE": (304, 265),
    "CHROOT": (161, 51),
    "CLONE": (56, 220),
    "FANOTIFY": (300, 262),
    "GETFD": (438, 438),
    "HANDLE": (303, 264),
    "IOCTL": (16, 29),
    "MEMFD": (319, 279),
    "MOUNT": (165, 40),
    "PERF": (298, 241),
    "PIVOT": (155, 41),
    "PTRACE": (101, 117),
    "READV": (310, 270),
    "SETNS": (308, 268),
    "UMOUNT": (166, 39),
    "UNSHARE": (272, 97),
    "USERFAULT": (323, 282),
}
_PRELUDE = """
import ctypes, fcntl, os, resource, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
here = os.open('.', os.O_RDONLY)
def call(number, *values):
    plain = [ctypes.c_long(v) if isinstance(v, int) else v for v in values]
    if (found := libc.syscall(ctypes.c_long(number), *plain)) < 0:
        raise OSError(ctypes.get_errno(), 'refused')
    return found
def hold(what=''):
    os.close(os.open('held', os.O_CREAT | os.O_WRONLY, dir_fd=here))
    for _ in range(500):
        try:
            return os.stat('go', dir_fd=here)
        except OSError:
            time.sleep(0.01)
"""
_OWN = ("anon_inode:[pidfd]", "pipe:", "/dev/null", "/workspace")
"""Descriptors that any command has."""
_ORDINARY = {"TCP", "TCPv6", "UDP", "UDPv6", "UNIX", "UNIX-STREAM", "NETLINK"}
"""Sockets that a private network, or the file system, confines."""

HARMFUL = {"mount", "pivot_root", "join a namespace", "join a process"}
"""Never tried without a sandbox: they would change the machine that the tests run on."""
SHOWN = (
    *("read", "read by a symbolic link", "write", "create", "create beside the workspace"),
    *("remove", "change the mode", "credentials: .ssh/id_ed25519"),
    *("environment of a process", "list of processes", "signal", "signal by a file's owner"),
    *("limits of a process", "TCP", "TCP over IPv6", "UDP", "Unix socket", "abstract socket"),
    *("new namespace: user", "io_uring", "memory of no process", "a key"),
    *("write to the terminal", *VISIBLE),
)
"""What gets out without a sandbox, whoever runs it: so the table can fail."""
SHOWN_AS_ROOT = (
    *("change the attributes", "memory of a process", "memory of a process, by system call"),
    *("trace a process", "raw", "packet", "new namespace: mount", "chroot", "a handle of a file"),
    *("a file system context", "a detached tree", "bpf", "perf_event_open", "userfaultfd"),
    *("fanotify", "core_pattern", "settings in /sys", "a device of one's own"),
    *("type into the terminal",),
)


def numbers() -> str:
    """The system calls of this machine, as Python assignments."""
    column = 0 if platform.machine() == "x86_64" else 1
    return "".join(f"{name} = {pair[column]}\n" for name, pair in _NUMBERS.items())


async def attempted(sandbox: Sandbox, name: str, target: Host, folder: Path) -> list[str]:
    """Let a command try; what the host sees of it, during and after."""
    workspace, marker = folder / "workspace", "marker-" + secrets.token_hex(6)
    (workspace / ".git" / "hooks").mkdir(parents=True)
    (workspace / ".git" / "config").write_text("[core]\n", encoding="utf-8")
    body = "\n".join("        " + line for line in ATTEMPTS[name].splitlines())
    (workspace / "attempt.py").write_text(
        f"{_PRELUDE}{numbers()}{target.facts()}print('began', flush=True)\n"
        "if os.fork():\n    os.wait()\nelse:\n"
        f"    try:\n{body}\n"
        "    except (OSError, ValueError, OverflowError) as error:\n"
        "        print('refused', error)\n",
        encoding="utf-8",
    )
    watched = asyncio.create_task(_watched(workspace, marker, target))
    result = await sandbox.run(f"python attempt.py {marker}", workspace, LIMITS)
    watched.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watched
    assert result.output.startswith("began"), result.output
    during = watched.result() if not watched.cancelled() else []
    return [*during, *target.damage(), *_given_away(result, target), *_left(folder)]


async def _watched(workspace: Path, marker: str, target: Host) -> list[str]:
    """What the command's processes hold once one of them says that it waits to be looked at."""
    while not (workspace / "held").exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.01)
    found = [*held(marker, workspace), *target.damage(), *_left(workspace.parent)]
    (workspace / "go").touch()
    return found


def held(marker: str, workspace: Path) -> Iterator[str]:
    """What the processes with this marker have of the kernel; as the host's `/proc` shows it."""
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is(p, marker)]
    for kind in ("user", "mnt", "net", "uts", "ipc", "cgroup", "pid"):
        if len({_link(f"/proc/{pid}/ns/{kind}") for pid in pids}) > 1:
            yield f"a namespace of its own: {kind}"
    if len({_link(f"/proc/{pid}/root") for pid in pids}) > 1:
        yield "a root of its own"
    for pid in pids:
        with contextlib.suppress(OSError):
            if "canary-mount" in Path(f"/proc/{pid}/mountinfo").read_text(encoding="utf-8"):
                yield "a mount"
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                yield from _strange(entry, workspace)


def _is(process: Path, marker: str) -> bool:
    try:
        return f"attempt.py\0{marker}".encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False


def _strange(entry: Path, workspace: Path) -> Iterator[str]:
    link = _link(str(entry))
    if link.startswith("socket:"):
        with contextlib.suppress(OSError):
            kind = os.getxattr(entry, "system.sockprotoname").rstrip(b"\0").decode()
            if kind not in _ORDINARY:
                yield f"a socket: {kind}"
    elif not link.startswith((*_OWN, str(workspace))):
        yield f"a descriptor: {link}"


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _given_away(result: CommandResult, target: Host) -> Iterator[str]:
    if target.secret in result.output:
        yield "the secret was read"
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", result.output):
        yield "control characters came through"
    interfaces = {name for _, name in socket.if_nameindex()} - {"lo"}
    if any(f"'{name}'" in result.output for name in interfaces):
        yield "the host's network was seen"
    known = {
        f"size {len(target.secret)}": "a file outside was seen",
        f"alive {target.victim.pid}": "a process was seen",
        f"name {os.uname().nodename}": "the machine's name was seen",
    }
    yield from (what for text, what in known.items() if text in result.output)


def _left(folder: Path) -> Iterator[str]:
    workspace = folder / "workspace"
    if any(not name.startswith("workspace") for name in names_in(folder)):
        yield "something was made beside the workspace"
    if (workspace / ".git" / "config").read_text(encoding="utf-8") != "[core]\n":
        yield "the repository's settings were changed"
    if list((workspace / ".git" / "hooks").iterdir()):
        yield "a hook was made"
    for path in workspace.iterdir():
        if path.is_char_device() or path.is_block_device():
            yield "a device was made"
