"""Is a Docker engine told to hold a command, and believed only after it has?"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from crews.errors import SandboxUnavailable
from crews.records.rows import RunRow
from crews.runtime.workflow import sandbox_of as run_sandbox
from crews.settings import Settings
from crews.tools import sandbox as module
from crews.tools.docker import Docker
from crews.tools.ownership import user_for
from crews.tools.sandbox import CommandLimits, choose
from tests.stories.players import team
from tests.support.engine import IMAGE_ID, Engine, engine
from tests.support.sandboxes import KINDS, sandbox_of

pytestmark = pytest.mark.anyio
IMAGE = "python:{}.{}-slim".format(*sys.version_info[:2])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    module.proven.cache_clear()
    with engine(sandbox_of(KINDS[0]), IMAGE, "own/image") as served:
        monkeypatch.setenv("DOCKER_HOST", served.url)
        yield served
    module.proven.cache_clear()


def test_it_proves_itself_before_it_is_used(server: Engine) -> None:
    assert choose("docker").name == "docker"
    assert len(server.started) == 1
    assert choose("docker") is choose("docker")
    assert len(server.started) == 1
    assert choose("docker").facts == {"image": IMAGE, "image_id": IMAGE_ID}


def test_an_engine_that_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module.proven.cache_clear()
    with engine(choose("none"), IMAGE) as served:
        monkeypatch.setenv("DOCKER_HOST", served.url)
        with pytest.raises(SandboxUnavailable, match="a file outside was written"):
            choose("docker")


async def test_the_engine_is_told_all_that_holds_a_command(server: Engine, tmp_path: Path) -> None:
    limits = CommandLimits(memory_mb=300, processes=20, file_mb=5, disk_mb=7)
    (tmp_path / ".git").mkdir()
    result = await Docker.found().run("echo $HOME; pwd; exit 3", tmp_path, limits, writable=False)
    assert (result.exit_code, result.output, result.killed_for) == (3, "/tmp\n/workspace\n", "")
    asked = server.asked[0]
    host = asked["HostConfig"]
    uid = user_for(tmp_path) or os.getuid()
    gid = user_for(tmp_path) or os.getgid()
    assert (asked["Image"], asked["User"]) == (IMAGE_ID, f"{uid}:{gid}")
    assert (asked["NetworkDisabled"], host["NetworkMode"]) == (True, "none")
    assert (host["ReadonlyRootfs"], host["CapDrop"]) == (True, ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["IpcMode"], host["CgroupnsMode"], host["Init"]) == ("private", "private", True)
    assert (host["PidsLimit"], host["Memory"], host["MemorySwap"]) == (23, 300 << 20, 300 << 20)
    assert host["Binds"] == [f"{tmp_path}:/workspace:ro", f"{tmp_path}/.git:/workspace/.git:ro"]
    assert host["Tmpfs"] == {"/tmp": f"size=7m,mode=0700,uid={uid},gid={gid},nosuid,nodev,exec"}
    assert {"Name": "fsize", "Soft": 5 << 20, "Hard": 5 << 20} in host["Ulimits"]
    for never in (
        "Privileged",
        "CapAdd",
        "Devices",
        "PidMode",
        "UTSMode",
        "UsernsMode",
        "VolumesFrom",
    ):
        assert not host.get(never)
    assert server.removed == server.started


async def test_nothing_of_the_environment_goes_in(
    server: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", "a-secret")
    result = await Docker.found().run("env", tmp_path, CommandLimits())
    assert "a-secret" not in result.output
    assert "a-secret" not in str(server.asked)


@pytest.mark.parametrize(
    ("command", "limits", "why"),
    [
        ("sleep 30", CommandLimits(wall_seconds=1), "time"),
        ("yes | head -c 3000000", CommandLimits(output_bytes=20_000), "output"),
        (
            "n=0; while :; do n=$((n+1)); head -c 4000000 /dev/zero > f$n || exit 9; done",
            CommandLimits(wall_seconds=20, disk_mb=64),
            "disk",
        ),
    ],
)
async def test_what_the_engine_does_not_limit_is_limited_from_here(
    server: Engine, tmp_path: Path, command: str, limits: CommandLimits, why: str
) -> None:
    result = await Docker.found().run(command, tmp_path, limits)
    assert (result.killed_for, result.exit_code) == (why, None)
    assert server.removed == server.started


async def test_a_command_that_ran_out_of_memory_is_said_to_have(
    server: Engine, tmp_path: Path
) -> None:
    server.out_of_memory = True
    assert (await Docker.found().run("exit 1", tmp_path, CommandLimits())).killed_for == "memory"


async def test_a_cancelled_command_is_taken_away(server: Engine, tmp_path: Path) -> None:
    task = asyncio.create_task(Docker.found().run("sleep 30", tmp_path, CommandLimits()))
    while not server.started:  # noqa: ASYNC110 - another thread's
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.removed == server.started


def test_another_image_can_be_named_and_none_is_fetched(server: Engine) -> None:
    assert Docker.found("own/image").image == "own/image"
    with pytest.raises(SandboxUnavailable, match="does not have the image `strange/image`") as why:
        choose("docker", image="strange/image")
    assert "CREWS_DOCKER_IMAGE" in why.value.hint
    assert server.asked == []


def test_the_settings_name_the_image_of_a_run(server: Engine) -> None:
    del server
    row = cast("RunRow", SimpleNamespace(asked=SimpleNamespace(sandbox="docker")))
    found, problem = run_sandbox(team(), row, Settings(docker_image="own/image"))
    assert problem == ""
    assert found is not None
    assert found.facts["image"] == "own/image"


def test_where_no_engine_answers_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    module.proven.cache_clear()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(SandboxUnavailable, match="no Docker engine answers") as refusal:
        choose("docker")
    assert "DOCKER_HOST" in refusal.value.hint


def test_where_the_package_is_missing_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    module.proven.cache_clear()
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(SandboxUnavailable, match="`docker` is not installed") as refusal:
        choose("docker")
    assert "crews[docker]" in refusal.value.hint


def test_auto_never_takes_it(server: Engine) -> None:
    assert choose("auto").name != "docker"
    assert server.asked == []
