"""Does a sandbox hold on this machine? Tried with real canaries, judged by the host."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crews.errors import SandboxUnavailable
from crews.tools.sandbox import CommandLimits, CommandResult, Sandbox
from crews.tools.surroundings import environment

_OF_THE_SHELL = {"PWD", "OLDPWD", "SHLVL", "_", "LC_CTYPE"}
_LIMITS = CommandLimits(wall_seconds=20, memory_mb=512)
_PROGRAM = """
import json, os, signal, socket, sys
facts = json.load(open("facts.json"))
done = []
def attempt(name, act):
    try:
        found = act()
    except OSError:
        return
    done.append([name, str(found)])
def read(path):
    with open(path) as file:
        return file.read()
def write(path):
    with open(path, "w") as file:
        file.write("written")
def link(path):
    os.link(path, "linked")
    return read("linked")
def connect(family, address):
    with socket.socket(family) as one:
        one.settimeout(1)
        one.connect(address)
attempt("read", lambda: read(facts["canary"]))
attempt("write", lambda: write(facts["canary"]))
attempt("create", lambda: write(facts["canary"] + ".new"))
attempt("link", lambda: link(facts["canary"]))
attempt("mode", lambda: os.chmod(facts["canary"], 0o777))
attempt("environment", lambda: read("/proc/%d/environ" % facts["victim"]))
attempt("connect", lambda: connect(socket.AF_INET, ("127.0.0.1", facts["port"])))
attempt("socket", lambda: connect(socket.AF_UNIX, facts["socket"]))
attempt("signal", lambda: os.kill(facts["victim"], signal.SIGKILL))
with open("report.json", "w") as file:
    json.dump({"token": facts["token"], "done": done, "environment": dict(os.environ)}, file)
"""


@dataclass(frozen=True, slots=True)
class _Bait:
    """What a command must not get at."""

    outside: Path
    canary: Path
    secret: str
    victim: subprocess.Popen[bytes]
    listeners: tuple[socket.socket, socket.socket]

    def facts(self, token: str) -> str:
        """What the command is told, as JSON."""
        return json.dumps(
            {
                "canary": str(self.canary),
                "victim": self.victim.pid,
                "port": self.listeners[0].getsockname()[1],
                "socket": self.listeners[1].getsockname(),
                "token": token,
            }
        )

    def touched(self) -> list[str]:
        """What the host sees to have been got at."""
        reached = {
            "a file outside was written": self.canary.read_text(encoding="utf-8") != self.secret,
            "a file outside was created": len(list(self.outside.iterdir())) != 2,
            "the mode of a file outside was changed": self.canary.stat().st_mode & 0o777 != 0o600,
            "a process of the host was killed": self.victim.poll() is not None,
            "a port of the host was reached": _was_called(self.listeners[0]),
            "a socket of the host was reached": _was_called(self.listeners[1]),
        }
        return [what for what, so in reached.items() if so]


async def prove(sandbox: Sandbox) -> str:
    """Try to get out of it; empty: it held, else what it let through or why it did not run."""
    with _bait() as bait, tempfile.TemporaryDirectory(prefix="crews-probe-") as folder:
        workspace, token = Path(folder), secrets.token_hex(8)
        (workspace / "facts.json").write_text(bait.facts(token), encoding="utf-8")
        (workspace / "probe.py").write_text(_PROGRAM, encoding="utf-8")
        try:
            result = await sandbox.run("python -I -S probe.py", workspace, _LIMITS)
        except SandboxUnavailable as refusal:
            return refusal.what
        except OSError as error:
            return f"it cannot be used: {error}"
        report = _report(workspace / "report.json", token)
        if isinstance(report, str):
            return f"{report}: {result.output.strip()[-500:]}"
        return "; ".join([*bait.touched(), *_given_away(report, bait.secret, result)])


@dataclass(frozen=True, slots=True)
class _Report:
    done: dict[str, str]
    environment: dict[str, str]


def _report(path: Path, token: str) -> _Report | str:
    """What the command wrote in the workspace; or why that is no report."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "Python did not run in it, or could not write the workspace"
    if said["token"] != token:
        return "the report is not the one that was asked for"
    return _Report(dict(said["done"]), said["environment"])


def _given_away(report: _Report, secret: str, result: CommandResult) -> Iterator[str]:
    yield from (f"`{name}` succeeded" for name in report.done)
    if secret in json.dumps([report.done, report.environment, result.output]):
        yield "a secret was read"
    strange = report.environment.keys() - environment((), "").keys() - _OF_THE_SHELL
    if strange:
        yield f"environment variables went in: {', '.join(sorted(strange))}"


@contextmanager
def _bait() -> Generator[_Bait]:
    secret = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="crews-canary-") as folder,
        socket.socket(socket.AF_INET) as port,
        socket.socket(socket.AF_UNIX) as local,
    ):
        outside = Path(folder).resolve()
        canary = outside / "canary"
        canary.write_text(secret, encoding="utf-8")
        canary.chmod(0o600)
        port.bind(("127.0.0.1", 0))
        local.bind(str(outside / "socket"))
        for listener in (port, local):
            listener.listen(1)
            listener.setblocking(False)
        victim = subprocess.Popen(["/bin/sleep", "60"], env={"CANARY": secret})
        try:
            yield _Bait(outside, canary, secret, victim, (port, local))
        finally:
            victim.kill()
            victim.wait()


def _was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True
