"""What can no test do? Reach beyond loopback, or see the developer's keys, settings and files.

An attempt to reach out fails the test even where the code under test caught the error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.brake import FIXED, Brake, clean

pytest_plugins = ("tests.support.postgres",)

BRAKE = Brake()


def pytest_configure(config: pytest.Config) -> None:
    """Brake before any test module is imported: an import may connect too."""
    del config
    sys.addaudithook(BRAKE.audit)
    os.environ.update(FIXED)


@pytest.fixture
def network() -> Brake:
    """The brake, for a test that tries it; such a test clears `attempts`."""
    return BRAKE


@pytest.fixture(autouse=True)
def no_network() -> Iterator[None]:
    """Fail a test that reached beyond this machine, whoever caught the error."""
    yield
    attempts, BRAKE.attempts = BRAKE.attempts, []
    if attempts:
        pytest.fail(f"the test reached beyond loopback: {', '.join(attempts)}", pytrace=False)


@pytest.fixture(autouse=True)
def clean_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Give the test, and its children, an environment, home and working folder of its own."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))  # away from the checkout's .env
    wanted = clean(os.environ, home)
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Tests that are coroutines run on asyncio, like the engine."""
    return "asyncio"
