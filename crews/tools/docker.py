"""How does a command run in a container of its own, where the user has a Docker engine?

What it holds, by what the engine is asked for: no network, a read-only system, no capability, no
new privileges, the engine's own system call filter and ours on top of it, the user of the run, a
private `/tmp` in memory, limits on memory, processes and file size. Time, output and the growth of
the workspace are watched from here. The container sees the files of its image and the workspace.

What it does not hold: a hole in the kernel or the engine. The image must have `/bin/sh`, `env` and
`python`, and is never fetched; the engine must see the workspace under the same path, so it runs on
this machine. A process too many is refused to the command, which is not killed for it.

Where an engine is, `tests/tools/test_docker_engine.py` tries it: all ways out, and what the other
backends promise. Elsewhere a server that speaks its API and runs the commands in bubblewrap
(`tests/support/engine.py`) stands for it. `auto` does not choose it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import socket
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from crews.errors import SandboxUnavailable
from crews.tools.ending import unhurried
from crews.tools.output import Output
from crews.tools.ownership import taken_over
from crews.tools.paths import WORKSPACE_NAME
from crews.tools.sandbox import CommandLimits, CommandResult, KilledFor, Sandbox
from crews.tools.seccomp import Refusals, program
from crews.tools.surroundings import SHELL, environment
from crews.tools.watching import MIB, Watch

IMAGE = "python:{}.{}-slim".format(*sys.version_info[:2])
"""The official one of the running Python; where no other is set, commands run in it."""
SETTING = "CREWS_DOCKER_IMAGE"
LABEL = "crews.sandbox"
_SOCKET = "unix:///var/run/docker.sock"
_PATH = ("/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin")
_TMP = "/tmp"  # noqa: S108 - the container's own
_OWN = 3  # processes that are not the command's: the first one, and what ends it if we are gone
_GRACE = 30  # seconds after its time is up in which we would have ended it


# The engine's own filter lets io_uring, memfd_create and sockets to the hypervisor through, each
# version others: ours comes on top of it. Where it cannot be set, there is no command.
_FILTERED = """
import ctypes, os, struct, sys
calls = ctypes.create_string_buffer(bytes.fromhex(sys.argv[1]))
held = struct.pack("HP", len(calls) // 8, ctypes.addressof(calls))
if ctypes.CDLL(None).prctl(22, ctypes.c_ulong(2), held, 0, 0):
    sys.exit("no system call filter can be set: the command has not run")
os.execv(sys.argv[2], sys.argv[2:])
"""


class _Said(Protocol):
    """The output as it comes."""

    def __iter__(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _Engine(Protocol):
    """What is used of `docker.APIClient`."""

    def inspect_image(self, image: str) -> dict[str, Any]: ...
    def create_host_config(self, **options: Any) -> dict[str, Any]: ...
    def create_container(self, **options: Any) -> dict[str, Any]: ...
    def start(self, container: str) -> None: ...
    def attach(self, container: str, *, stream: bool) -> _Said: ...
    def wait(self, container: str, timeout: float) -> dict[str, Any]: ...
    def inspect_container(self, container: str) -> dict[str, Any]: ...
    def kill(self, container: str) -> None: ...
    def remove_container(self, container: str, *, v: bool, force: bool) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Docker(Sandbox):
    """The backend, with the image that commands run in."""

    name: ClassVar[str] = "docker"
    image: str
    digest: str
    """What the image is, by its content."""
    calls: bytes = field(repr=False)
    """The system call filter that is set on top of the engine's."""

    @property
    def facts(self) -> dict[str, str]:
        """See `Sandbox.facts`."""
        return {"image": self.image, "image_id": self.digest}

    @classmethod
    def found(cls, image: str = "") -> Docker:
        """The backend with the engine that `DOCKER_HOST` names, or the local one.

        Args:
            image: That commands run in; empty: `IMAGE`.

        Raises:
            SandboxUnavailable: the package, the engine or the image is not here.
        """
        image = image or IMAGE
        with _engine() as engine:
            try:
                digest = str(engine.inspect_image(image)["Id"])
            except Exception as error:
                raise SandboxUnavailable(
                    f"the engine does not have the image `{image}`: {_why(error)}",
                    hint=f"`docker pull {image}`, or name another image in {SETTING}.",
                ) from error
        calls = program(platform.machine(), Refusals())
        if calls is None:
            raise SandboxUnavailable(f"no system call filter is known for {platform.machine()}")
        return cls(image, digest, calls)

    async def run(
        self, command: str, workspace: Path, limits: CommandLimits, writable: bool = True
    ) -> CommandResult:
        """See `Sandbox.run`."""
        workspace, uid = await asyncio.to_thread(taken_over, workspace)
        user = f"{uid}:{uid}" if uid is not None else f"{os.getuid()}:{os.getgid()}"
        container = await asyncio.to_thread(
            _Container.created, self.digest, _arguments(command, limits, self.calls), user, workspace, limits,
            writable,
        )  # fmt: skip
        try:
            return await asyncio.to_thread(container.carry_out, workspace, limits)
        finally:
            await unhurried(asyncio.to_thread(container.removed))


def _arguments(command: str, limits: CommandLimits, calls: bytes) -> list[str]:
    """The command with an environment that is not the image's, our filter, and its own end if we are gone."""
    given = [f"{name}={value}" for name, value in environment(_PATH, _TMP).items()]
    ended = int(limits.wall_seconds) + _GRACE
    script = f'{{ sleep {ended}; kill -9 -1; }} >/dev/null 2>&1 & exec {SHELL} -c "$1"'
    filtered = ["python", "-I", "-S", "-c", _FILTERED, calls.hex()]
    return ["env", "-i", *given, *filtered, SHELL, "-c", script, "sh", command]


def _host_config(
    engine: _Engine, workspace: Path, user: str, limits: CommandLimits, writable: bool
) -> dict[str, Any]:
    """What holds the command, as the engine is told it."""
    uid, _, gid = user.partition(":")
    binds = [f"{workspace}:{WORKSPACE_NAME}:{'rw' if writable else 'ro'}"]
    history = workspace / ".git"
    if history.exists() and not history.is_symlink():
        binds.append(f"{history}:{WORKSPACE_NAME}/.git:ro")
    size = f"size={limits.disk_mb}m,mode=0700,uid={uid},gid={gid},nosuid,nodev,exec"
    most = {"fsize": limits.file_mb * MIB, "nofile": 1024, "core": 0}
    return engine.create_host_config(
        binds=binds,
        network_mode="none",
        ipc_mode="private",
        cgroupns="private",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        pids_limit=limits.processes + _OWN,
        mem_limit=limits.memory_mb * MIB,
        memswap_limit=limits.memory_mb * MIB,
        tmpfs={_TMP: size},
        shm_size=min(64, limits.memory_mb) * MIB,
        ulimits=[{"Name": name, "Soft": value, "Hard": value} for name, value in most.items()],
        log_config={"Type": "none"},  # it would keep each line on the engine's disk
        init=True,
    )


@dataclass(slots=True)
class _Container:
    """One container, from its making to its removal."""

    id: str

    @classmethod
    def created(
        cls,
        image: str,
        arguments: list[str],
        user: str,
        workspace: Path,
        limits: CommandLimits,
        writable: bool,
    ) -> _Container:
        with _engine() as engine:
            try:
                made = engine.create_container(
                    image=image,
                    entrypoint=[],
                    command=arguments,
                    user=user,
                    working_dir=WORKSPACE_NAME,
                    hostname="sandbox",
                    network_disabled=True,
                    labels={LABEL: str(os.getpid())},
                    host_config=_host_config(engine, workspace, user, limits, writable),
                )
            except Exception as error:
                raise SandboxUnavailable(f"no container can be made: {_why(error)}") from error
            return cls(str(made["Id"]))

    def carry_out(self, workspace: Path, limits: CommandLimits) -> CommandResult:
        """Start it, listen, hold it to its limits."""
        output, began = Output(limits.output_bytes), time.monotonic()
        watch = Watch(0, limits, (workspace,), self.killed)
        with _engine() as engine, self._begun(engine) as said:
            watch.start()
            try:
                for chunk in said:
                    output.add(chunk)
                    if output.endless:
                        _let_go(
                            said
                        )  # the engine kills nothing whose output somebody may still read
                        watch.passed_by("output")
                        break
                code = int(engine.wait(self.id, timeout=limits.wall_seconds + 60)["StatusCode"])
                state = cast("dict[str, Any]", engine.inspect_container(self.id)["State"])
            finally:
                watch.stop()
        killed: KilledFor = (
            "memory" if state.get("OOMKilled") and not watch.passed else watch.passed
        )
        return CommandResult(
            exit_code=None if killed else code,
            output=output.text(),
            truncated=output.truncated,
            timed_out=killed == "time",
            killed_for=killed,
            seconds=time.monotonic() - began,
        )

    @contextlib.contextmanager
    def _begun(self, engine: _Engine) -> Generator[_Said]:
        """It runs, and its output comes as it is written: the engine's logs would come line by line."""
        try:
            said = engine.attach(self.id, stream=True)
            try:
                engine.start(self.id)
            except BaseException:
                _let_go(said)
                raise
        except Exception as error:
            raise SandboxUnavailable(f"the container did not start: {_why(error)}") from error
        try:
            yield said
        finally:
            _let_go(said)

    def killed(self) -> None:
        """End whatever runs in it; called from any thread."""
        with contextlib.suppress(Exception), _engine() as engine:
            engine.kill(self.id)

    def removed(self) -> None:
        """End it and take it away; it may be gone already."""
        with contextlib.suppress(Exception), _engine() as engine:
            engine.remove_container(self.id, v=True, force=True)


@contextlib.contextmanager
def _engine() -> Generator[_Engine]:
    """A connection to the engine, closed at the end.

    Raises:
        SandboxUnavailable: there is no package for it, or no engine answers.
    """
    try:
        import docker as package
    except ImportError as error:
        raise SandboxUnavailable(
            "the package `docker` is not installed", hint='pip install "crews[docker]"'
        ) from error
    library = cast("Any", package)
    try:
        where = library.utils.kwargs_from_env()
        _listens(where.get("base_url") or _SOCKET)
        client = library.APIClient(**where, version="auto", timeout=60)
    except Exception as error:
        raise SandboxUnavailable(
            f"no Docker engine answers: {_why(error)}",
            hint="Start the engine, or name it in DOCKER_HOST.",
        ) from error
    try:
        yield cast("_Engine", client)
    finally:
        client.close()


def _listens(url: str) -> None:
    """Raise OSError where nobody listens at a Unix socket: the package would leave one of its own open."""
    scheme, _, path = url.partition("://")
    if "unix" in scheme:
        with socket.socket(socket.AF_UNIX) as one:
            one.connect("/" + path.lstrip("/"))


def _let_go(said: _Said) -> None:
    """Stop listening. The stream's `close` only shuts the socket down: its descriptor goes with the answer."""
    with contextlib.suppress(Exception):
        said.close()
    answer = getattr(said, "_response", None)
    if answer is not None:
        with contextlib.suppress(Exception):
            answer.close()


def _why(error: Exception) -> str:
    """The error's first line."""
    return str(error).partition("\n")[0][:200] or type(error).__name__
