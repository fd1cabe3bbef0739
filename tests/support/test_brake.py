"""Does the brake hold: is nothing beyond loopback reached, nothing of the developer seen?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.support.brake import Brake, NetworkRefused

ROOT = Path(__file__).parents[2]
CHILD = """
import anthropic
client = anthropic.Anthropic(api_key="test", max_retries=0)
client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}])
"""


def outside_by_name() -> None:
    socket.create_connection(("api.anthropic.com", 443))


def outside_by_address() -> None:
    with socket.socket() as tcp:
        tcp.connect_ex(("93.184.215.14", 443))


def outside_by_datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.sendto(b"x", ("8.8.8.8", 53))


@pytest.mark.parametrize("reach", [outside_by_name, outside_by_address, outside_by_datagram])
def test_the_brake_refuses_what_leaves_the_machine(
    reach: Callable[[], None], network: Brake
) -> None:
    with pytest.raises(NetworkRefused, match="beyond loopback"):
        reach()
    assert len(network.attempts) == 1
    network.attempts.clear()


@pytest.mark.anyio
@pytest.mark.parametrize("proxies", [True, False])
async def test_the_brake_refuses_a_real_model_request(
    proxies: bool, network: Brake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in os.environ if n.lower().endswith("_proxy") and not proxies]:
        monkeypatch.delenv(name)
    async with AsyncAnthropic(api_key="test", max_retries=0) as client:
        with pytest.raises(anthropic.APIConnectionError):
            await client.messages.create(
                model="claude-haiku-5-5", max_tokens=9, messages=[{"role": "user", "content": "x"}]
            )
    wanted = "closed proxy" if proxies else "api.anthropic.com"
    assert any(wanted in attempt for attempt in network.attempts)
    network.attempts.clear()


def test_the_brake_holds_in_a_child() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Connection refused" in done.stderr  # by the proxy: no name was looked up


def test_no_key_and_no_setting_of_the_developer_is_seen(clean_environment: Path) -> None:
    assert not [name for name in os.environ if name.startswith(("ANTHROPIC_", "OPENAI_"))]
    assert [name for name in os.environ if name.startswith("CREWS_")] == ["CREWS_HOME"]
    assert Path.home() == clean_environment
    assert not Path.cwd().is_relative_to(ROOT)
