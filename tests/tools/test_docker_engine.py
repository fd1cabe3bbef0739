"""Does a Docker engine hold a command as the other sandboxes do? Where one answers, with an image that has Python.

    CREWS_DOCKER_IMAGE=IMAGE uv run pytest tests/tools/test_docker_engine.py

The ways out are those that are tried on the others, and what it promises is tried by the others' own tests.
"""

from __future__ import annotations

import inspect
import os
import secrets
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path

import pytest

from crews.errors import SandboxUnavailable
from crews.tools.docker import SETTING, Docker
from tests.support.escapes import ATTEMPTS, attempted
from tests.support.sandboxes import Host, host
from tests.tools import test_sandbox as work
from tests.tools import test_sandbox_escapes as escapes
from tests.tools import test_sandbox_limits as limits

try:  # before any test: the suite's own environment is cleaned of CREWS_ variables
    ENGINE = Docker.found(os.environ.get(SETTING, ""))
except SandboxUnavailable as refusal:
    pytest.skip(f"no Docker engine to try: {refusal.what}", allow_module_level=True)

pytestmark = pytest.mark.anyio


@pytest.fixture
def target() -> Generator[Host]:
    with host() as laid_out:
        yield laid_out


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_nothing_gets_out(
    name: str, target: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", target.secret)
    assert await attempted(ENGINE, name, target, tmp_path) == []


CONTRACT = (
    work.test_it_says_how_a_command_ended,
    work.test_tests_run,
    work.test_shell_work_gets_done,
    work.test_tmp_is_private_and_empty_each_time,
    work.test_a_database_can_be_used,
    work.test_processes_and_coroutines_work,
    work.test_git_works,
    work.test_the_output_is_plain_text,
    work.test_commands_run_at_once,
    work.test_what_a_command_writes_is_ours_to_read_and_remove,
    work.test_a_link_in_the_workspace_does_not_give_away_what_it_leads_to,
    escapes.test_the_doors_of_the_kernel_are_closed,
    escapes.test_a_terminal_is_out_of_reach,
    escapes.test_a_workspace_that_may_only_be_read_stays_as_it_is,
    limits.test_a_command_that_never_ends_is_ended,
    limits.test_what_a_command_leaves_running_ends_with_it,
    limits.test_a_cancelled_command_is_gone_when_the_caller_is_told,
    limits.test_memory_is_bounded_for_all_processes_together,
    limits.test_shared_pages_count_once,
    limits.test_empty_files_count_too,
    limits.test_what_was_there_before_does_not_count,
    limits.test_one_file_has_a_largest_size,
    limits.test_endless_output_is_cut_and_ended,
    limits.test_long_output_keeps_its_beginning_and_its_end,
    limits.test_the_limits_that_the_kernel_keeps_are_set,
)


@pytest.mark.parametrize("test", CONTRACT, ids=lambda test: test.__name__[5:])
async def test_it_keeps_the_others_promise(
    test: Callable[..., Awaitable[None]], tmp_path: Path
) -> None:
    given = {"sandbox": ENGINE, "tmp_path": tmp_path, "marker": "marker-" + secrets.token_hex(8)}
    await test(**{name: given[name] for name in inspect.signature(test).parameters})
